// Light, camera, white balance and colour folded into an image's weights, and the gradient of that.
//
// The same steps as biofacenet/folding.py, an image at a time: what torch does in some fifty calls.
#pragma once

#include "kernel.h"
#include "vector.h"

namespace biofacenet {
namespace BIOFACENET_TARGET {

// Everything on the way from light and camera to weights, of one image.
template <typename T>
struct Folding {
  T spectrum[kBands], day[kBands], day_slope[kBands];
  T sensitivity[kChannels][kBands], seen[kChannels][kBands];
  T light[kChannels];
  T matrix[kChannels][kChannels], balanced[kChannels][kChannels];
  T mixed[kChannels][kMaxComponents];
  const T* corner;    // of the camera's cell in raw_to_srgb
  T along[2];         // place within the cell
  T place_slope[2];   // d(place) / d(camera): 0 beyond the table
  T day_place_slope;  // d(place) / d(cct)

  void compute(const FoldTables<T>& tables, const T* weights, T cct, const T* given,
               const T* camera) {
    if (weights) {
      const T last = T(tables.daylight_rows - 1);
      const T place = (cct - tables.first_cct) / tables.cct_step;
      const T above = T(0) > place ? T(0) : place;
      const T clamped = last < above ? last : above;
      int row = clamped > T(0) ? int(clamped) : 0;
      row = row < tables.daylight_rows - 2 ? row : tables.daylight_rows - 2;
      day_place_slope = place >= T(0) && place <= last ? T(1) / tables.cct_step : T(0);
      const T* cold = tables.daylights + row * kBands;
      const T fraction = clamped - T(row);
      for (int l = 0; l < kBands; ++l) {
        day_slope[l] = cold[kBands + l] - cold[l];
        day[l] = cold[l] + fraction * day_slope[l];
        spectrum[l] = weights[1] * day[l];
      }
      for (int i = 0; i < kIlluminants; ++i) {  // the row of D holds zeros
        for (int l = 0; l < kBands; ++l) {
          spectrum[l] += weights[i] * tables.fixed[i * kBands + l];
        }
      }
    } else {
      for (int l = 0; l < kBands; ++l) spectrum[l] = given[l];
    }
    for (int c = 0; c < kChannels; ++c) {
      light[c] = T(0);
      for (int l = 0; l < kBands; ++l) {
        const int at = c * kBands + l;
        const T value = tables.mean[at] + tables.slopes[2 * at] * camera[0] +
                        tables.slopes[2 * at + 1] * camera[1];
        sensitivity[c][l] = T(0) > value ? T(0) : value;
        seen[c][l] = sensitivity[c][l] * spectrum[l];
        light[c] += seen[c][l];
      }
    }
    int cell[2];
    for (int axis = 0; axis < 2; ++axis) {
      const T last = T(tables.grid - 1);
      const T place = (camera[axis] + tables.camera_range) * tables.cells_per_unit;
      const T above = T(0) > place ? T(0) : place;
      const T clamped = last < above ? last : above;
      cell[axis] = clamped > T(0) ? int(clamped) : 0;
      cell[axis] = cell[axis] < tables.grid - 2 ? cell[axis] : tables.grid - 2;
      along[axis] = clamped - T(cell[axis]);
      place_slope[axis] = place > T(0) && place < last ? tables.cells_per_unit : T(0);
    }
    corner = tables.raw_to_srgb + (int64_t(cell[0]) * tables.grid + cell[1]) * 9;
    const T* next = corner + tables.grid * 9;
    for (int c = 0; c < kChannels; ++c) {
      for (int d = 0; d < kChannels; ++d) {
        const int at = c * kChannels + d;
        const T upper = corner[at] + along[1] * (corner[at + 9] - corner[at]);
        const T lower = next[at] + along[1] * (next[at + 9] - next[at]);
        matrix[c][d] = upper + along[0] * (lower - upper);
        balanced[c][d] = matrix[c][d] / light[d];
      }
    }
    const int components = tables.components;
    for (int c = 0; c < kChannels; ++c) {
      for (int k = 0; k < components; ++k) mixed[c][k] = T(0);
      for (int l = 0; l < kBands; ++l) {
        const T value = seen[c][l];
        const T* row = tables.mixing_columns + l * components;
        for (int k = 0; k < components; ++k) mixed[c][k] += value * row[k];
      }
    }
  }
};

template <typename T>
void fold(const FoldTables<T>& tables, const T* weights, T cct, const T* given, const T* camera,
          T* folded, T* highlight) {
  Folding<T> f;
  f.compute(tables, weights, cct, given, camera);
  for (int c = 0; c < kChannels; ++c) {
    highlight[c] = f.matrix[c][0] + f.matrix[c][1] + f.matrix[c][2];
    for (int k = 0; k < tables.components; ++k) {
      folded[c * tables.components + k] = f.balanced[c][0] * f.mixed[0][k] +
                                          f.balanced[c][1] * f.mixed[1][k] +
                                          f.balanced[c][2] * f.mixed[2][k];
    }
  }
}

template <typename T>
void fold_backward(const FoldTables<T>& tables, const T* weights, T cct, const T* given,
                   const T* camera, const T* of_folded, const T* of_highlight, T* of_weights,
                   T* of_cct, T* of_given, T* of_camera) {
  Folding<T> f;
  f.compute(tables, weights, cct, given, camera);
  const int components = tables.components;
  T of_matrix[kChannels][kChannels], of_spectrum[kBands] = {};
  T from_camera[2] = {};
  for (int d = 0; d < kChannels; ++d) {
    T of_light = T(0), of_mixed[kMaxComponents], of_seen[kBands];
    for (int c = 0; c < kChannels; ++c) {
      T of_balanced = T(0);
      for (int k = 0; k < components; ++k) {
        of_balanced += of_folded[c * components + k] * f.mixed[d][k];
      }
      const T over_light = of_balanced / f.light[d];
      of_matrix[c][d] = over_light + of_highlight[c];
      of_light -= over_light * f.balanced[c][d];
    }
    for (int k = 0; k < components; ++k) {
      of_mixed[k] = f.balanced[0][d] * of_folded[k] + f.balanced[1][d] * of_folded[components + k] +
                    f.balanced[2][d] * of_folded[2 * components + k];
    }
    for (int l = 0; l < kBands; ++l) of_seen[l] = of_light;
    for (int k = 0; k < components; ++k) {
      const T* row = tables.mixing + k * kBands;
      for (int l = 0; l < kBands; ++l) of_seen[l] += of_mixed[k] * row[l];
    }
    for (int l = 0; l < kBands; ++l) {
      of_spectrum[l] += of_seen[l] * f.sensitivity[d][l];
      const T of_sensitivity = f.sensitivity[d][l] > T(0) ? of_seen[l] * f.spectrum[l] : T(0);
      from_camera[0] += of_sensitivity * tables.slopes[2 * (d * kBands + l)];
      from_camera[1] += of_sensitivity * tables.slopes[2 * (d * kBands + l) + 1];
    }
  }
  if (of_camera) {
    const T* corners[4] = {f.corner, f.corner + 9, f.corner + tables.grid * 9,
                           f.corner + tables.grid * 9 + 9};
    T of_corner[4] = {};
    for (int j = 0; j < 4; ++j) {
      for (int at = 0; at < 9; ++at) {
        of_corner[j] += corners[j][at] * of_matrix[at / kChannels][at % kChannels];
      }
    }
    const T down = (T(1) - f.along[1]) * (of_corner[2] - of_corner[0]) +
                   f.along[1] * (of_corner[3] - of_corner[1]);
    const T across = (T(1) - f.along[0]) * (of_corner[1] - of_corner[0]) +
                     f.along[0] * (of_corner[3] - of_corner[2]);
    of_camera[0] = from_camera[0] + down * f.place_slope[0];
    of_camera[1] = from_camera[1] + across * f.place_slope[1];
  }
  if (of_weights) {
    for (int i = 0; i < kIlluminants; ++i) {
      T sum = T(0);
      const T* emission = i == 1 ? f.day : tables.fixed + i * kBands;
      for (int l = 0; l < kBands; ++l) sum += of_spectrum[l] * emission[l];
      of_weights[i] = sum;
    }
  }
  if (of_cct) {
    T sum = T(0);
    for (int l = 0; l < kBands; ++l) sum += of_spectrum[l] * f.day_slope[l];
    *of_cct = weights[1] * sum * f.day_place_slope;
  }
  if (of_given) {
    for (int l = 0; l < kBands; ++l) of_given[l] = of_spectrum[l];
  }
}

}  // namespace BIOFACENET_TARGET
}  // namespace biofacenet
