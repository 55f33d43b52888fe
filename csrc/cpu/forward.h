// Maps to the image: sums over functions are turned into one pixel a lane with as few shuffles as there
// can be.
#pragma once

#include "rows.h"
#include "runs.h"

namespace biofacenet {
namespace BIOFACENET_TARGET {
namespace {

// The image of a run, from the colour of its skin under unit shading.
template <typename T>
void shade_all(const Image<T>& image, int64_t start, int count, const Row<T> (&colour)[kChannels],
               Row<T> (&rows)[4], T* output, int64_t plane) {
  const T* __restrict diffuse = read(image.diffuse, image.width, start, count, rows[2]);
  const T* __restrict specular = read(image.specular, image.width, start, count, rows[3]);
  for (int c = 0; c < kChannels; ++c) {
    Write<T> write(output + c * plane + start, count, rows[0]);
    T* __restrict target = write.at();
    const T highlight = image.highlight[c];
    for (int i = 0; i < kRun; ++i) {
      target[i] = shade(colour[c].at[i], diffuse[i], specular[i], highlight);
    }
  }
}

// Forward with packed rows, of which the tail has as many numbers.
template <int Tail>
void forward_packed(const Image<float>& image, const Skin<float>& skin, int64_t begin, int64_t end,
                    float* output, int64_t plane) {
  typedef float T;
  constexpr int vectors = kFull / kLanes<T>;  // to a full row
  constexpr int blocks = kLanes<T> / 4;       // to a vector
  const T *const functions = skin.functions, *const table = skin.table;
  const T* const fixed_tails = functions + skin.fixed_nodes * kFull;
  const T* const folded_tails = table + skin.folded_nodes * kFull;
  Row<T> rows[4];
  Places<T> fixed, folded;
  Row<T> colour[kChannels];
  for (int64_t start = begin; start < end; start += kRun) {
    const int count = end - start < kRun ? int(end - start) : kRun;
    locate_all(read(image.fixed, image.width, start, count, rows[0]), skin.fixed_nodes, fixed);
    locate_all(read(image.folded, image.width, start, count, rows[1]), skin.folded_nodes, folded);
    for (int group = 0; group < kRun; group += 4) {
      Vector<T> x[vectors][4];
      for (int j = 0; j < 4; ++j) {
        const int i = group + j;
        const T* e = functions + fixed.index[i] * kFull;
        const T* y = table + folded.index[i] * kFull;
        const Vector<T> across = splat(fixed.fraction.at[i]), down = splat(folded.fraction.at[i]);
        Vector<T> first = {};
        if constexpr (Tail) {
          first = widen(share(
              read_block(fixed_tails + fixed.index[i] * Tail, Tail, block<0>(across)),
              read_block(folded_tails + folded.index[i] * Tail, Tail, block<0>(down))));
        }
        for (int v = 0; v < vectors; ++v) {
          const Vector<T> product = share(read_vector(e + v * kLanes<T>, kFull, across),
                                          read_vector(y + v * kLanes<T>, kFull, down));
          x[v][j] = v == 0 && Tail ? product + first : product;
        }
      }
      // Of the first block each lane is a channel, of the others they add up.
      Vector<T> sums[vectors];
      for (int v = 1; v < vectors; ++v) sums[v] = sum_within_blocks<T>(x[v]);
      transpose_blocks<T>(x[0]);
      sums[0] = (x[0][0] + x[0][1]) + (x[0][2] + x[0][3]);
      store_block(colour[0].at + group, block<1 % blocks>(sums[1 / blocks]) + block<0>(x[0][0]));
      store_block(colour[1].at + group, block<2 % blocks>(sums[2 / blocks]) + block<0>(x[0][1]));
      store_block(colour[2].at + group, block<3 % blocks>(sums[3 / blocks]) + block<0>(x[0][2]));
    }
    shade_all(image, start, count, colour, rows, output, plane);
  }
}

// Forward with any number of functions.
template <typename T>
void forward_any(const Image<T>& image, const Skin<T>& skin, int64_t begin, int64_t end, T* output,
                 int64_t plane) {
  const int P = skin.P;
  Row<T> rows[4];
  Places<T> fixed, folded;
  Row<T> colour[kChannels];
  for (int64_t start = begin; start < end; start += kRun) {
    const int count = end - start < kRun ? int(end - start) : kRun;
    locate_all(read(image.fixed, image.width, start, count, rows[0]), skin.fixed_nodes, fixed);
    locate_all(read(image.folded, image.width, start, count, rows[1]), skin.folded_nodes, folded);
    for (int i = 0; i < kRun; ++i) {
      const T* e = skin.functions + fixed.index[i] * P;
      const T* y = skin.table + folded.index[i] * 4 * P;
      const T across = fixed.fraction.at[i];
      const Block<T> down = splat_block(folded.fraction.at[i]);
      Block<T> sum = {};
      for (int p = 0; p < P; ++p) {
        const Reading<T> function = interpolate(e[p], e[P + p], across);
        const Reading<Block<T>> spread = {splat_block(function.value), {}};
        sum = sum + share(spread, read_block(y + 4 * p, 4 * P, down));
      }
      for (int c = 0; c < kChannels; ++c) colour[c].at[i] = sum[c];
    }
    shade_all(image, start, count, colour, rows, output, plane);
  }
}

}  // namespace
}  // namespace BIOFACENET_TARGET
}  // namespace biofacenet
