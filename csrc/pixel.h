// The mathematics of one pixel, once for every backend.
//
//   skin_c = sum_p e_p(x) Y_pc(y)                      half-folded skin: rendering/basis.py
//   rgb_c  = max(0, diffuse * skin_c + specular * k_c)
//
// One of the two pigment axes is fixed: x is the map on it (melanin, or haemoglobin), and its functions
// e_1 .. e_P belong to the skin model. The other axis is folded: y is the map on it, and an image's
// light, camera and colours are in its table Y (fold.h), rows of 3 P numbers at as many nodes as the
// skin table has. Both are read linearly between nodes. c runs over red, green, blue.
//
// The type T is a pixel's scalar; V is what one step computes on: a vector of some p on the CPU, a single
// one on the GPU. Nothing here allocates or includes another header, so that a C++ compiler, for
// any instruction set, and nvcc can both take it.
//
// What is not finite: a map value of NaN or infinity makes its pixel NaN, in all channels.
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

constexpr int kChannels = 3;

namespace BIOFACENET_TARGET {

// Where a map value in [-1, 1] reads an axis: between the nodes `index` and `index` + 1.
template <typename T>
struct Position {
  int index;
  T fraction;  // in [0, 1]; NaN for what is not finite
};

// -1 and 1 are the first and the last node; values beyond are clamped.
template <typename T>
BIOFACENET_INLINE Position<T> locate(T value, int nodes) {
  const T last = T(nodes - 1);
  const T place = (value + T(1)) * (T(0.5) * last);
  // In this order a NaN stays one, and each line is a single instruction.
  const T above = T(0) > place ? T(0) : place;
  const T clamped = last < above ? last : above;
  int index = clamped > T(0) ? int(clamped) : 0;  // a NaN is never converted
  index = index < nodes - 2 ? index : nodes - 2;
  return {index, (clamped - T(index)) + (value - value)};  // infinity minus itself is NaN
}

// d(place) / d(value): 0 where the value was clamped, and at the ends; `step` is half of the last node.
template <typename V, typename T>
BIOFACENET_INLINE V place_slope_of(V value, T step) {
  const V zero = {}, one = zero + T(1), inside = zero + step;
  return ((value > -one) & (value < one)) ? inside : zero;
}

template <typename T>
BIOFACENET_INLINE T place_slope(T value, int nodes) {
  return place_slope_of(value, T(0.5) * T(nodes - 1));
}

// An axis read at a position: its value and its slope per node.
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

// Forward, one step: the share of one (p, c) in its channel's skin colour.
template <typename V>
BIOFACENET_INLINE V share(const Reading<V>& fixed, const Reading<V>& folded) {
  return fixed.value * folded.value;
}

// A value shared out to the two nodes that a place lies between.
template <typename V>
struct Shares {
  V lower;
  V upper;
};

template <typename V>
BIOFACENET_INLINE Shares<V> share_out(V value, V fraction) {
  const V upper = fraction * value;
  return {value - upper, upper};
}

// The pixel's colour from that of its skin. A NaN passes, and infinite shading makes one.
template <typename V, typename T>
BIOFACENET_INLINE V shade(V skin, V diffuse, V specular, T highlight) {
  const V zero = {};
  const V value = diffuse * skin + specular * highlight;
  const V checked = value + ((diffuse - diffuse) + (specular - specular));
  return zero > checked ? zero : checked;
}

// The gradient that reaches a channel's colour: none where it was clipped. A NaN passes it on.
template <typename V>
BIOFACENET_INLINE V pass(V gradient, V value) {
  const V zero = {};
  return value <= zero ? zero : gradient;
}

// Sums over (p, c) that the gradients of a pixel's map values are made of.
template <typename V>
struct PixelSums {
  V fixed;    // sum g_c e'_p(x) Y_pc(y): times diffuse and place_slope, the gradient of x
  V folded;   // sum g_c e_p(x) Y'_pc(y): times diffuse and place_slope, the gradient of y
  V diffuse;  // sum g_c e_p(x) Y_pc(y):  the gradient of diffuse
};

// Backward, one step: adds one (p, c); `gradient` is what `pass` gave for channel c. Returns
// g_c e_p(x): times diffuse and (1 - fraction, fraction), the gradient of the two entries of Y.
template <typename V>
BIOFACENET_INLINE V add_gradients(const Reading<V>& fixed, const Reading<V>& folded, V gradient,
                                  PixelSums<V>& sums) {
  const V seen = gradient * folded.value;
  const V shone = gradient * fixed.value;
  sums.fixed = sums.fixed + seen * fixed.slope;
  sums.diffuse = sums.diffuse + seen * fixed.value;
  sums.folded = sums.folded + shone * folded.slope;
  return shone;
}

// The same with channels first, where a step is one p for all of them.

// The row at one node of the folded axis, as the gradient weighs it.
template <typename V>
BIOFACENET_INLINE V weigh(const V (&row)[kChannels], const V (&gradient)[kChannels]) {
  return gradient[0] * row[0] + gradient[1] * row[1] + gradient[2] * row[2];
}

// What one p adds to the sums; `seen` is the row weighed at both nodes, and interpolated. The gradient of
// the two entries of Y is g_c e_p(x), times diffuse and (1 - fraction, fraction).
template <typename V>
BIOFACENET_INLINE PixelSums<V> gradients_of(const Reading<V>& fixed, const Reading<V>& seen) {
  return {seen.value * fixed.slope, fixed.value * seen.slope, seen.value * fixed.value};
}

// The same sums from those of one node of the folded axis: with Y there for what Y is in between.
template <typename V>
struct NodeSums {
  V fixed;    // sum g_c e'_p(x) Y_pc
  V diffuse;  // sum g_c e_p(x) Y_pc
};

template <typename V>
BIOFACENET_INLINE PixelSums<V> sums_between(const NodeSums<V>& low, const NodeSums<V>& high, V fraction) {
  const Reading<V> diffuse = interpolate(low.diffuse, high.diffuse, fraction);
  return {interpolate(low.fixed, high.fixed, fraction).value, diffuse.slope, diffuse.value};
}

}  // namespace BIOFACENET_TARGET
}  // namespace biofacenet
