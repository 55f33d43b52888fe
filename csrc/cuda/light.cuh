// Light and camera to an image's table, and their gradients from the sums over its pixels: a block each.
#pragma once

#include "common.cuh"

namespace biofacenet {
namespace cuda {

constexpr int kFoldThreads = 256;

struct Block {
  template <typename Work>
  __device__ __forceinline__ void each(int count, const Work& work) const {
    for (int i = threadIdx.x; i < count; i += blockDim.x) work(i);
  }
  template <typename Work>
  __device__ __forceinline__ void each(int rows, int columns, const Work& work) const {
    for (int i = threadIdx.x; i < rows * columns; i += blockDim.x) work(i / columns, i % columns);
  }
  __device__ __forceinline__ void wait() const { __syncthreads(); }
};

// A tensor of a row for each light, or of one row for all; null where there is none.
template <typename T>
struct Rows {
  T* data;
  int64_t each;

  __device__ __forceinline__ T* of(int64_t light) const {
    return data ? data + light * each : nullptr;
  }
};

// Lights and cameras of all images, or gradients of them.
template <typename T>
struct Lights {
  Rows<T> mixture, cct, spectrum, camera, weights, highlight;
};

template <typename T>
__device__ __forceinline__ Light<T> light_of(const Lights<const T>& lights, int64_t light) {
  return {lights.mixture.of(light), lights.cct.of(light),     lights.spectrum.of(light),
          lights.camera.of(light),  lights.weights.of(light), lights.highlight.of(light)};
}

constexpr size_t table_shared(int64_t P, int64_t Q) { return P * Q * kChannels * sizeof(double); }

// A block a light: its table [folded_nodes][P][kChannels] and highlight.
template <typename T>
__global__ void __launch_bounds__(kFoldThreads)
    make_table(LightTables<T> tables, Basis<T> basis, Lights<const T> lights, T* table,
               T* highlight) {
  __shared__ Folding<double> folding;
  BIOFACENET_DYNAMIC_SHARED(double, mixed);  // [Q][P][kChannels]
  const Block block;
  const int64_t light = blockIdx.x;
  const int width = basis.P * kChannels;
  fold(block, tables, light_of(lights, light), folding);
  block.each(basis.Q * basis.P, [&](int qp) {
    double sum[kChannels] = {};
    for (int l = 0; l < kBands; ++l) {
      const double z = double(basis.mixing[int64_t(l) * basis.Q * basis.P + qp]);
      for (int c = 0; c < kChannels; ++c) sum[c] += z * folding.weights[c][l];
    }
    for (int c = 0; c < kChannels; ++c) mixed[qp * kChannels + c] = sum[c];
  });
  block.wait();
  T* const own = table + light * basis.folded_nodes * width;
  block.each(basis.folded_nodes, width, [&](int node, int at) {
    double sum = 0.0;
    for (int q = 0; q < basis.Q; ++q) {
      sum += double(basis.others[node * basis.Q + q]) * mixed[q * width + at];
    }
    own[int64_t(node) * width + at] = T(sum);
  });
  block.each(kChannels, [&](int c) { highlight[light * kChannels + c] = T(folding.highlight[c]); });
}

constexpr int kTotalRows = 32;

// Totals over a light's items, in their order: kWarp numbers of one light a block.
template <typename T>
__global__ void __launch_bounds__(kWarp* kTotalRows)
    add_up(const T* sums, int64_t items, int width, T* totals) {
  __shared__ T partial[kTotalRows][kWarp + 1];
  const int column = blockIdx.x * kWarp + threadIdx.x;
  const int64_t light = blockIdx.y;
  T total = T(0);
  if (column < width) {
#pragma unroll 4
    for (int64_t row = threadIdx.y; row < items; row += kTotalRows) {
      total += sums[(light * items + row) * width + column];
    }
  }
  partial[threadIdx.y][threadIdx.x] = total;
  __syncthreads();
  if (threadIdx.y != 0 || column >= width) return;
  for (int row = 1; row < kTotalRows; ++row) total += partial[row][threadIdx.x];
  totals[light * width + column] = total;
}

// A block a light: gradients of what it was made of, from the totals [Q][P][kChannels] and those of the
// highlight.
template <typename T>
__global__ void __launch_bounds__(kFoldThreads)
    light_gradients(LightTables<T> tables, Basis<T> basis, Lights<const T> lights, const T* totals,
                    Lights<T> gradients) {
  __shared__ Folding<double> folding;
  __shared__ FoldingBackward<double> backward;
  __shared__ double of_weights[kChannels * kBands], of_highlight[kChannels];
  const Block block;
  const int64_t light = blockIdx.x;
  const Light<T> inputs = light_of(lights, light);
  const int products = basis.Q * basis.P;
  const T* const own = totals + light * (products * kChannels + kChannels);
  fold(block, tables, inputs, folding);
  block.each(kChannels, kBands, [&](int c, int l) {
    double sum = 0.0;
    for (int qp = 0; qp < products; ++qp) {
      sum += double(basis.mixing[int64_t(l) * products + qp]) * double(own[qp * kChannels + c]);
    }
    of_weights[c * kBands + l] = sum;
  });
  block.each(kChannels, [&](int c) { of_highlight[c] = double(own[products * kChannels + c]); });
  block.wait();
  const auto put = [&](const Rows<T>& rows, int count, const double* values) {
    T* const to = rows.of(light);
    if (to) block.each(count, [&](int i) { to[i] = T(values[i]); });
  };
  put(gradients.weights, kChannels * kBands, of_weights);
  put(gradients.highlight, kChannels, of_highlight);
  if (inputs.weights) return;
  fold_backward(block, tables, inputs, folding, of_weights, of_highlight, backward);
  put(gradients.mixture, kIlluminants, backward.mixture);
  put(gradients.cct, 1, backward.cct);
  put(gradients.spectrum, kBands, backward.spectrum);
  put(gradients.camera, 2, backward.camera);
}

// Sums of rows [lights][width], in their order: for what all images share while they differ in others.
template <typename T>
__global__ void __launch_bounds__(kFoldThreads)
    sum_rows(const T* rows, int64_t lights, int width, T* sums) {
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    double sum = 0.0;
    for (int64_t light = 0; light < lights; ++light) sum += double(rows[light * width + i]);
    sums[i] = T(sum);
  }
}

}  // namespace cuda
}  // namespace biofacenet
