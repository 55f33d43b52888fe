// Maps to the image: sums over functions are turned into one pixel a lane with as few shuffles as there
// can be.
#pragma once

#include "eights.h"
#include "rows.h"
#include "runs.h"

namespace biofacenet {
namespace BIOFACENET_TARGET {
namespace {

// The image of a run, from the colour of its skin under unit shading; `rows` are free.
template <typename T>
BIOFACENET_INLINE void shade_all(const Image<T>& image, int64_t start, int count,
                                 const Row<T> (&colour)[kChannels], Row<T> (&rows)[5], T* output,
                                 int64_t plane) {
  const T* const diffuse = read(image.diffuse, image.width, start, count, rows[3]);
  const T* const specular = read(image.specular, image.width, start, count, rows[4]);
  T* targets[kChannels];
  for (int c = 0; c < kChannels; ++c) {
    targets[c] = place_for(output + c * plane + start, count, rows[c]);
  }
  for (int i = 0; i < kRun; i += kLanes<T>) {
    const Vector<T> d = load(diffuse + i), s = load(specular + i);
    for (int c = 0; c < kChannels; ++c) {
      store(targets[c] + i, shade(load(colour[c].at + i), d, s, image.highlight[c]));
    }
  }
  for (int c = 0; c < kChannels; ++c) finish(output + c * plane + start, count, rows[c]);
}

// What is read and written of an image's next run.
template <typename T>
BIOFACENET_INLINE Ahead<T> ahead_of(const Image<T>& image, const T* output, int64_t plane) {
  Ahead<T> ahead;
  const Plane<T> maps[] = {image.fixed, image.folded, image.diffuse, image.specular};
  for (const auto& map : maps) ahead.add(map, image.width);
  for (int c = 0; c < kChannels; ++c) ahead.add(output + c * plane);
  return ahead;
}

// Forward with full rows.
void forward_full(const Image<float>& image, const Skin<float>& skin, int64_t begin, int64_t end,
                  float* output, int64_t plane) {
  typedef float T;
  constexpr int vectors = kFull / kLanes<T>;  // to a full row
  constexpr int blocks = kLanes<T> / 4;       // to a vector
  const T *const functions = skin.functions, *const table = skin.table;
  const Ahead<T> ahead = ahead_of(image, output, plane);
  Row<T> rows[5];
  Places<T> fixed, folded;
  Row<T> colour[kChannels];
  for (int64_t start = begin; start < end; start += kRun) {
    const int count = end - start < kRun ? int(end - start) : kRun;
    locate_all(read(image.fixed, image.width, start, count, rows[0]), skin.fixed_nodes, kFull,
               fixed);
    locate_all(read(image.folded, image.width, start, count, rows[1]), skin.folded_nodes, kFull,
               folded);
    for (int group = 0; group < kRun; group += 4) {
      if (group % Ahead<T>::kPixels == 0) ahead.ask(start + kRun + group);
      Vector<T> x[vectors][4];
      for (int j = 0; j < 4; ++j) {
        const int i = group + j;
        const T* e = functions + fixed.row[i];
        const T* y = table + folded.row[i];
        const Vector<T> across = splat(fixed.fraction.at[i]), down = splat(folded.fraction.at[i]);
        for (int v = 0; v < vectors; ++v) {
          x[v][j] = share(read_vector(e + v * kLanes<T>, kFull, across),
                          read_vector(y + v * kLanes<T>, kFull, down));
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

#if defined(__AVX512F__)
// Colours of sixteen pixels' skin under unit shading: red and green of a pixel share a vector, and so
// does blue of two.
BIOFACENET_INLINE void add_functions(const float* functions, const float* table, const float* blues,
                                     const Places<float>& fixed, const Places<float>& folded, int group,
                                     Row<float> (&colour)[kChannels]) {
  typedef TwoEights V;
  Eight<float> blue[16];
  const auto red_green = [&](int pixel) __attribute__((always_inline)) {
    const int i = group + pixel;
    const float* const e = functions + fixed.row[i];
    const float *const y = table + 2 * folded.row[i], *const b = blues + folded.row[i];
    const V across = splat(fixed.fraction.at[i]), down = splat(folded.fraction.at[i]);
    const Shares<V> shares = share_out(interpolate(twice(e), twice(e + kEight), across).value, down);
    blue[pixel] = first_eight(shares.lower) * load_eight(b) +
                  first_eight(shares.upper) * load_eight(b + kEight);
    return Several<V, 1>{{shares.lower * load(y) + shares.upper * load(y + kFull)}};
  };
  for (int half = 0; half < 16; half += 8) {
    const V sums = sum_lanes<3>(red_green, half).at[0];
    store_eight(colour[0].at + group + half, first_eight(sums));
    store_eight(colour[1].at + group + half, Eight<float>(_mm512_extractf32x8_ps(__m512(sums), 1)));
  }
  const V sums = sum_lanes<3>([&](int pixel) __attribute__((always_inline)) {
    return Several<V, 1>{{V(_mm512_insertf32x8(_mm512_castps256_ps512(__m256(blue[pixel])),
                                               __m256(blue[pixel + 8]), 1))}};
  }, 0).at[0];
  store(colour[2].at + group, sums);
}

constexpr int kAdded = 16;
#else
// The colours of a pixel's skin under unit shading, still to be summed over functions.
BIOFACENET_INLINE Three colours_of(const float* e, const float* red_green, const float* blue,
                                   float across, float down) {
  typedef Eight<float> V;
  const V function = interpolate(load_eight(e), load_eight(e + kEight), splat_eight(across)).value;
  const Shares<V> shares = share_out(function, splat_eight(down));
  const auto colour = [&](const float* low, int row) __attribute__((always_inline)) {
    return in_one(shares.lower * load_eight(low) + shares.upper * load_eight(low + row));
  };
  return {{colour(red_green, kFull), colour(red_green + kEight, kFull), colour(blue, kEight)}};
}

// Colours of some pixels' skin under unit shading.
BIOFACENET_INLINE void add_functions(const float* functions, const float* table, const float* blues,
                                     const Places<float>& fixed, const Places<float>& folded, int group,
                                     Row<float> (&colour)[kChannels]) {
  const Three sums = sum_lanes<kSteps>([&](int pixel) __attribute__((always_inline)) {
    const int i = group + pixel;
    return colours_of(functions + fixed.row[i], table + 2 * folded.row[i], blues + folded.row[i],
                      fixed.fraction.at[i], folded.fraction.at[i]);
  }, 0);
  for (int c = 0; c < kChannels; ++c) store_summed(colour[c].at + group, sums.at[c]);
}

constexpr int kAdded = kSummed;
#endif

// Forward with rows of eights.
void forward_eights(const Image<float>& image, const Skin<float>& skin, int64_t begin, int64_t end,
                    float* output, int64_t plane) {
  const float *const functions = skin.functions, *const table = skin.table;
  const float* const blues = table + skin.folded_nodes * kFull;
  const Ahead<float> ahead = ahead_of(image, output, plane);
  Row<float> rows[5];
  Places<float> fixed, folded;
  Row<float> colour[kChannels];
  for (int64_t start = begin; start < end; start += kRun) {
    const int count = end - start < kRun ? int(end - start) : kRun;
    locate_all(read(image.fixed, image.width, start, count, rows[0]), skin.fixed_nodes, kEight,
               fixed);
    locate_all(read(image.folded, image.width, start, count, rows[1]), skin.folded_nodes, kEight,
               folded);
    for (int group = 0; group < kRun; group += kAdded) {
      if (group % Ahead<float>::kPixels == 0) ahead.ask(start + kRun + group);
      add_functions(functions, table, blues, fixed, folded, group, colour);
    }
    shade_all(image, start, count, colour, rows, output, plane);
  }
}

// Forward with any number of functions.
template <typename T>
void forward_any(const Image<T>& image, const Skin<T>& skin, int64_t begin, int64_t end, T* output,
                 int64_t plane) {
  const int P = skin.P;
  const Ahead<T> ahead = ahead_of(image, output, plane);
  Row<T> rows[5];
  Places<T> fixed, folded;
  Row<T> colour[kChannels];
  for (int64_t start = begin; start < end; start += kRun) {
    const int count = end - start < kRun ? int(end - start) : kRun;
    locate_all(read(image.fixed, image.width, start, count, rows[0]), skin.fixed_nodes, P, fixed);
    locate_all(read(image.folded, image.width, start, count, rows[1]), skin.folded_nodes, 4 * P,
               folded);
    for (int i = 0; i < kRun; ++i) {
      if (i % Ahead<T>::kPixels == 0) ahead.ask(start + kRun + i);
      const T* e = skin.functions + fixed.row[i];
      const T* y = skin.table + folded.row[i];
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
