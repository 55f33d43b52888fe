// What the library asks of a kernel compiled for one instruction set.
#pragma once

#include <cstdint>

#include "../fold.h"

namespace biofacenet {

// A map of one image, or a colour plane of it, wherever it lies in memory; strides in elements.
template <typename T>
struct Plane {
  const T* data;
  int64_t row_stride;
  int64_t column_stride;
};

// Read-only inputs of one image.
template <typename T>
struct Image {
  Plane<T> melanin, haemoglobin, diffuse, specular;
  const T* weights;    // [3][padded components]
  const T* highlight;  // [3]
  int64_t width;
};

// The skin table, rows padded with zeros to a multiple of kRowPadding.
template <typename T>
struct Skin {
  const T* epidermis;  // [epidermis_rows][padded components]
  const T* dermis;     // [dermis_rows][padded components]
  int epidermis_rows;
  int dermis_rows;
  int components;  // padded
};

constexpr int kRowPadding = 16;

template <typename T>
struct Gradients {
  // Of the maps, contiguous, at the image's first pixel; null where not wanted.
  T *melanin, *haemoglobin, *diffuse, *specular;
  // Of what all pixels of an image share, summed over the pixels of one call; null if not wanted.
  T* weights;    // [3][padded components]
  T* highlight;  // [3]
};

// Renders pixels `begin` to `end` of an image, counted along rows. `output` is contiguous, plane
// after plane, `plane` elements apart.
template <typename T>
using Forward = void (*)(
    const Image<T>&, const Skin<T>&, int64_t begin, int64_t end, T* output, int64_t plane);

// Gradients at those pixels, from that of the image and the image itself.
template <typename T>
using Backward = void (*)(
    const Image<T>&, const Skin<T>&, int64_t begin, int64_t end, const Plane<T> (&gradient)[3],
    const Plane<T> (&rendered)[3], const Gradients<T>&);

// Weights and highlight colour of one image.
template <typename T>
using Fold = void (*)(const FoldTables<T>&, const FoldInputs<T>&, T* folded, T* highlight);

// Gradients of what it was folded from.
template <typename T>
using FoldBackward = void (*)(const FoldTables<T>&, const FoldInputs<T>&, const T* of_folded,
                              const T* of_highlight, const FoldGradients<T>&);

struct Kernels {
  Forward<float> forward_float;
  Forward<double> forward_double;
  Backward<float> backward_float;
  Backward<double> backward_double;
  Fold<float> fold_float;
  Fold<double> fold_double;
  FoldBackward<float> fold_backward_float;
  FoldBackward<double> fold_backward_double;
};

}  // namespace biofacenet
