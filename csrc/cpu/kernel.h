// What the library asks of a kernel compiled for one instruction set.
#pragma once

#include <cstdint>

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

constexpr int kBands = 33;
constexpr int kIlluminants = 14;
constexpr int kMaxComponents = 512;  // that folding takes; the renderer itself has no such limit

template <typename T>
struct FoldTables {
  const T* fixed;           // [kIlluminants][kBands], zeros for D
  const T* daylights;       // [daylight_rows][kBands]
  const T* mean;            // [3][kBands]
  const T* slopes;          // [3][kBands][2]
  const T* raw_to_srgb;     // [grid][grid][3][3]
  const T* mixing;          // [components][kBands]
  const T* mixing_columns;  // [kBands][components]
  int daylight_rows, grid, components;
  T first_cct, cct_step, camera_range, cells_per_unit;
};

// Weights and highlight colour of one image, from mixture weights and CCT or (weights null) a spectrum.
template <typename T>
using Fold = void (*)(
    const FoldTables<T>&, const T* weights, T cct, const T* spectrum, const T* camera, T* folded,
    T* highlight);

// Its gradients; null where not wanted.
template <typename T>
using FoldBackward = void (*)(
    const FoldTables<T>&, const T* weights, T cct, const T* spectrum, const T* camera,
    const T* of_folded, const T* of_highlight, T* of_weights, T* of_cct, T* of_spectrum,
    T* of_camera);

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
