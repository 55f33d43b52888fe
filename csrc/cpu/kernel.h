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
  Plane<T> fixed, folded, diffuse, specular;  // fixed and folded: the map on that axis
  T highlight[3];
  int64_t width;
};

// Rows of a table as the pixel loop reads them, zeros where nothing is. With float32 and 5 functions
// (`full`) a row of Y is one of sixteen numbers, blocks of four:
//     (Y_4r Y_4g Y_4b 0) (Y_0r .. Y_3r) (Y_0g .. Y_3g) (Y_0b .. Y_3b)
// and the functions of the fixed axis are repeated to match: (e_4 e_4 e_4 0) (e_0 .. e_3) (e_0 .. e_3)
// (e_0 .. e_3). With float32 and 6 to 8 (`eights`) a row is (Y_0r .. Y_7r) (Y_0g .. Y_7g), after all of
// which come the rows (Y_0b .. Y_7b), and one of the functions is (e_0 .. e_7); `planes`, all rows
// (Y_0r .. Y_7r), then those of green, then those of blue, so that two neighbours can be read at once. Else
// a row of Y is P blocks (Y_pr Y_pg Y_pb 0), and one of the functions is (e_0 .. e_P-1).
constexpr int kFull = 16, kEight = 8;

template <typename T>
constexpr bool full(int P) {
  return sizeof(T) == sizeof(float) && P == 5;
}

template <typename T>
constexpr bool eights(int P) {
  return sizeof(T) == sizeof(float) && P > 5 && P <= kEight;
}

template <typename T>
constexpr int table_row(int P) {
  return full<T>(P) ? kFull : (eights<T>(P) ? kFull + kEight : 4 * P);
}

// Of the table's gradient: the same, but that where there are eights each row of blue is one of sixteen, what
// it adds to the row (Y_0b .. Y_7b) and to the next.
template <typename T>
constexpr int gradient_row(int P) {
  return eights<T>(P) ? 2 * kFull : table_row<T>(P);
}

template <typename T>
constexpr int functions_row(int P) {
  return full<T>(P) ? kFull : (eights<T>(P) ? kEight : P);
}

// A thread's own copy of the basis, and the table of the image that it is at.
template <typename T>
struct Skin {
  T* functions;  // [fixed_nodes] rows
  T* table;      // [folded_nodes] rows
  T* of_table;   // the gradient of it, or null; `gradient_row` says how it lies
  T* mixed;      // [Q] rows: table = others * mixed
  int fixed_nodes, folded_nodes, P;
  bool planes;  // how `table` lies
};

template <typename T>
struct Gradients {
  // Of the maps, contiguous, at the image's first pixel; null where not wanted.
  T *fixed, *folded, *diffuse, *specular;
  double* highlight;  // [3], added to; null where neither light nor camera is wanted
};

// The kernels of one type. `begin` to `end` are pixels of an image, counted along rows.
template <typename T>
struct KernelsOf {
  // Weights and highlight of an image, and the way back.
  void (*fold)(const LightTables<T>&, const Light<T>&, Folding<double>&);
  void (*fold_backward)(const LightTables<T>&, const Light<T>&, const Folding<double>&,
                        const double* of_weights, const double* of_highlight,
                        FoldingBackward<double>&);
  void (*copy_functions)(const Basis<T>&, Skin<T>&);
  // The table of an image from its weights [3][kBands].
  void (*make_table)(const Basis<T>&, const double* weights, Skin<T>&);
  // Adds the gradient of the weights [3][kBands] that the gradient of the table amounts to.
  void (*gather)(const Basis<T>&, Skin<T>&, double* of_weights);
  // `output` is contiguous, plane after plane, `plane` elements apart.
  void (*forward)(const Image<T>&, const Skin<T>&, int64_t begin, int64_t end, T* output,
                  int64_t plane);
  void (*backward)(const Image<T>&, const Skin<T>&, int64_t begin, int64_t end,
                   const Plane<T> (&gradient)[3], const Plane<T> (&rendered)[3],
                   const Gradients<T>&);
};

struct Kernels {
  KernelsOf<float> single;
  KernelsOf<double> twice;

  template <typename T>
  const KernelsOf<T>& of() const {
    if constexpr (sizeof(T) == sizeof(float)) {
      return single;
    } else {
      return twice;
    }
  }
};

}  // namespace biofacenet
