// The mathematics of one pixel, once for every backend.
//
//   r_l   = epidermis_l(melanin) * dermis_l(haemoglobin)            separable skin table
//   rgb_c = max(0, diffuse * sum_l r_l w_cl + specular * k_c)       folded light, camera and colour
//
// l runs over components (bands of the spectrum), c over red, green, blue. The type T is a pixel's
// scalar, V what one step computes on: a vector of consecutive components on the CPU, a single
// component on the GPU. Nothing here allocates, branches on data or includes another header, so that
// a C++ compiler, for any instruction set, and nvcc can both take it.
#pragma once

#ifdef __CUDACC__
#define BIOFACENET_INLINE __device__ __forceinline__
#else
#define BIOFACENET_INLINE inline __attribute__((always_inline))
#endif

// Each translation unit is compiled for one instruction set; a namespace of its own keeps the linker
// from merging a template compiled for one processor with that of another.
#ifndef BIOFACENET_TARGET
#define BIOFACENET_TARGET generic
#endif

namespace biofacenet {
namespace BIOFACENET_TARGET {

constexpr int kChannels = 3;

// Where a map value in [-1, 1] reads a table axis: between the rows `index` and `index` + 1.
template <typename T>
struct Position {
  int index;
  T fraction;  // in [0, 1]; NaN for NaN
};

// -1 and 1 are the centres of the first and the last row; values beyond are clamped.
template <typename T>
BIOFACENET_INLINE Position<T> locate(T value, int rows) {
  const T last = T(rows - 1);
  const T place = (value + T(1)) * T(0.5) * last;
  // In this order a NaN stays one, and each line is a single instruction.
  const T above = T(0) > place ? T(0) : place;
  const T clamped = last < above ? last : above;
  int index = clamped > T(0) ? int(clamped) : 0;  // a NaN is never converted
  index = index < rows - 2 ? index : rows - 2;
  return {index, clamped - T(index)};
}

// d(place) / d(value): 0 where the value was clamped, and at the ends.
template <typename T>
BIOFACENET_INLINE T place_slope(T value, int rows) {
  return value > T(-1) && value < T(1) ? T(0.5) * T(rows - 1) : T(0);
}

// A table read at a position: its value and its slope per row.
template <typename V>
struct Reading {
  V value;
  V slope;
};

template <typename V>
BIOFACENET_INLINE Reading<V> interpolate(V low, V high, V fraction) {
  const V slope = high - low;
  return {low + fraction * slope, slope};
}

template <typename V>
BIOFACENET_INLINE V reflectance(const Reading<V>& epidermis, const Reading<V>& dermis) {
  return epidermis.value * dermis.value;
}

// Forward, one step: adds the components' share of the skin's colour under unit diffuse shading.
template <typename V>
BIOFACENET_INLINE void add_colour(
    V reflectance, const V (&weights)[kChannels], V (&colour)[kChannels]) {
  for (int c = 0; c < kChannels; ++c) colour[c] = colour[c] + reflectance * weights[c];
}

// The pixel's colour from that of its skin. A NaN passes.
template <typename T>
BIOFACENET_INLINE T shade(T skin, T diffuse, T specular, T highlight) {
  const T value = diffuse * skin + specular * highlight;
  return T(0) > value ? T(0) : value;
}

// The gradient that reaches a channel's colour: none where it was clipped. A NaN passes it on.
template <typename T>
BIOFACENET_INLINE T pass(T gradient, T value) {
  return value <= T(0) ? T(0) : gradient;
}

// Sums over components that the gradients of a pixel's four values are made of.
template <typename V>
struct PixelSums {
  V melanin;      // sum_l (sum_c g_c w_cl) epidermis'_l dermis_l
  V haemoglobin;  // sum_l (sum_c g_c w_cl) epidermis_l  dermis'_l
  V diffuse;      // sum_l (sum_c g_c w_cl) epidermis_l  dermis_l
};

// Backward, one step. `gradient` is what `pass` gave.
template <typename V>
BIOFACENET_INLINE void add_gradients(
    const Reading<V>& epidermis, const Reading<V>& dermis, const V (&weights)[kChannels],
    const V (&gradient)[kChannels], PixelSums<V>& sums) {
  V weighted = gradient[0] * weights[0];
  for (int c = 1; c < kChannels; ++c) weighted = weighted + gradient[c] * weights[c];
  const V over_dermis = weighted * dermis.value;
  sums.melanin = sums.melanin + over_dermis * epidermis.slope;
  sums.diffuse = sums.diffuse + over_dermis * epidermis.value;
  sums.haemoglobin = sums.haemoglobin + (weighted * epidermis.value) * dermis.slope;
}

// Backward, one step: gradient of the folded weights, to be summed over the pixels of an image.
// `shaded` is the reflectance times diffuse shading.
template <typename V>
BIOFACENET_INLINE void add_weight_gradients(
    V shaded, const V (&gradient)[kChannels], V (&weights)[kChannels]) {
  for (int c = 0; c < kChannels; ++c) weights[c] = weights[c] + gradient[c] * shaded;
}

}  // namespace BIOFACENET_TARGET
}  // namespace biofacenet
