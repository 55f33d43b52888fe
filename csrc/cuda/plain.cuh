// Rendering by any number of functions, and in double precision: a pixel a thread, tables where they lie.
#pragma once

#include "common.cuh"

namespace biofacenet {
namespace cuda {

constexpr int kPlainThreads = 64, kPlainBlocks = 8;

// For both factors of a block's pixels, and the sums of their outer product.
template <typename T>
constexpr int64_t plain_shared(int64_t P, int64_t Q) {
  return (kPlainThreads * (Q + P * kChannels) + Q * P * kChannels) * int64_t(sizeof(T));
}

template <typename T>
struct PlainReader {
  Position<T> x, y;
  const T *functions, *table;
  int P;

  __device__ __forceinline__ PlainReader(const Lit<T>& lit, int64_t image, T fixed, T folded)
      : x(locate(fixed, lit.fixed_nodes)), y(locate(folded, lit.folded_nodes)), P(lit.P) {
    functions = lit.functions + x.index * P;
    table = lit.table_of(image) + int64_t(y.index) * (P * kChannels);
  }
  __device__ __forceinline__ Reading<T> fixed(int p) const {
    return interpolate(functions[p], functions[P + p], x.fraction);
  }
  __device__ __forceinline__ Reading<T> folded(int p, int c) const {
    const T* const at = table + p * kChannels + c;
    return interpolate(at[0], at[P * kChannels], y.fraction);
  }
};

template <typename Map, typename T>
__global__ void __launch_bounds__(kPlainThreads, kPlainBlocks)
    plain_render(Maps<Map> maps, Lit<T> lit, Items items, Map* image) {
  for (unsigned index = blockIdx.x; index < items.count; index += gridDim.x) {
    const Item item(items, index);
    const T* const highlight = lit.highlight_of(item.image);
    Map* const output = image + item.image * kChannels * items.pixels + item.begin;
    for (int start = 0; start < item.count; start += kPlainThreads * kPixels) {
      const Place<false> place(start, kPlainThreads);
      Values<T> own;
      read(maps, item, place, own);
      T colour[kChannels][kPixels];
      for (int k = 0; k < kPixels; ++k) {
        const PlainReader<T> reader(lit, item.image, own.fixed[k], own.folded[k]);
        T skin[kChannels] = {};
        for (int p = 0; p < lit.P; ++p) {
          const Reading<T> e = reader.fixed(p);
          for (int c = 0; c < kChannels; ++c) skin[c] += share(e, reader.folded(p, c));
        }
        for (int c = 0; c < kChannels; ++c) {
          colour[c][k] = shade(skin[c], own.diffuse[k], own.specular[k], highlight[c]);
        }
      }
      for (int c = 0; c < kChannels; ++c) store(output + c * items.pixels, place, item.count, colour[c]);
    }
  }
}

template <typename Map, typename T>
__global__ void __launch_bounds__(kPlainThreads, kPlainBlocks)
    plain_render_backward(Maps<Map> maps, Lit<T> lit, Items items, Colours<Map> colours,
                          Results<Map, T> results) {
  BIOFACENET_DYNAMIC_SHARED(Four, shared);
  const int width = lit.P * kChannels, products = lit.Q * width;
  T* const others = reinterpret_cast<T*>(shared);  // [kPlainThreads][Q]
  T* const skin = others + kPlainThreads * lit.Q;  // [kPlainThreads][P][kChannels]
  T* const sums = skin + kPlainThreads * width;    // [Q][P][kChannels]
  for (unsigned index = blockIdx.x; index < items.count; index += gridDim.x) {
    const Item item(items, index);
    const T* const highlight = lit.highlight_of(item.image);
    const int64_t first = item.image * items.pixels + item.begin;
    T of_highlight[kChannels] = {};
    if (results.sums) {
      for (int i = threadIdx.x; i < products; i += kPlainThreads) sums[i] = T(0);
    }
    for (int start = 0; start < item.count; start += kPlainThreads * kPixels) {
      const Place<false> place(start, kPlainThreads);
      Values<T> own, found;
      T gradient[kChannels][kPixels];
      read(maps, item, place, own);
      read(colours, items, item, place, gradient);
#pragma unroll
      for (int k = 0; k < kPixels; ++k) {
        const PlainReader<T> reader(lit, item.image, own.fixed[k], own.folded[k]);
        const T d = own.diffuse[k];
        PixelSums<T> sum = {};
        found.specular[k] = T(0);
        for (int p = 0; p < lit.P; ++p) {
          const Reading<T> e = reader.fixed(p);
          for (int c = 0; c < kChannels; ++c) {
            const T shone = add_gradients(e, reader.folded(p, c), gradient[c][k], sum);
            if (results.sums) skin[threadIdx.x * width + p * kChannels + c] = shone * d;
          }
        }
        found.fixed[k] = d * sum.fixed * place_slope(own.fixed[k], lit.fixed_nodes);
        found.folded[k] = d * sum.folded * place_slope(own.folded[k], lit.folded_nodes);
        found.diffuse[k] = sum.diffuse;
        for (int c = 0; c < kChannels; ++c) {
          found.specular[k] += gradient[c][k] * highlight[c];
          of_highlight[c] += gradient[c][k] * own.specular[k];
        }
        if (results.sums) {
          const T* const row = lit.others + reader.y.index * lit.Q;
          for (int q = 0; q < lit.Q; ++q) {
            others[threadIdx.x * lit.Q + q] =
                interpolate(row[q], row[lit.Q + q], reader.y.fraction).value;
          }
          __syncthreads();
          for (int i = threadIdx.x; i < products; i += kPlainThreads) {
            const T* left = others + i / width;
            const T* right = skin + i % width;
            T total = sums[i];
            for (int pixel = 0; pixel < kPlainThreads; ++pixel) {
              total += left[pixel * lit.Q] * right[pixel * width];
            }
            sums[i] = total;
          }
          __syncthreads();
        }
      }
      if (results.fixed) store(results.fixed + first, place, item.count, found.fixed);
      if (results.folded) store(results.folded + first, place, item.count, found.folded);
      if (results.diffuse) store(results.diffuse + first, place, item.count, found.diffuse);
      if (results.specular) store(results.specular + first, place, item.count, found.specular);
    }
    if (results.sums) {
      T* const line = results.sums + int64_t(index) * (products + kChannels);
      __syncthreads();
      for (int i = threadIdx.x; i < products; i += kPlainThreads) line[i] = sums[i];
      for (int c = 0; c < kChannels; ++c) {
        const T sum = warp_sum(of_highlight[c]);
        if (threadIdx.x % kWarp == 0) others[threadIdx.x / kWarp * kChannels + c] = sum;
      }
      __syncthreads();
      if (threadIdx.x < kChannels) {
        T sum = T(0);
        for (int w = 0; w < kPlainThreads / kWarp; ++w) sum += others[w * kChannels + threadIdx.x];
        line[products + threadIdx.x] = sum;
      }
      __syncthreads();
    }
  }
}

}  // namespace cuda
}  // namespace biofacenet
