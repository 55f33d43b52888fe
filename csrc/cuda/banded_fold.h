// Light, camera, white balance and colour folded into an image's weights, and the gradient of that.
//
//   W = M diag(1/L) S diag(e) Z^T,   k = M 1        (biofacenet/folding.py says what the letters are)
//
// Written for a team: one thread of a CPU, alone, or all threads of a GPU's block. Each step is a loop
// over independent elements, `team.each`, and `team.wait` stands where a step reads what others wrote.
#pragma once

#include <stdint.h>

#include "banded_pixel.h"

namespace biofacenet {

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

// What one image is folded from: mixture weights and CCT, or (mixture null) a spectrum; its camera.
template <typename T>
struct FoldInputs {
  const T* mixture;   // [kIlluminants]
  const T* cct;       // [1]
  const T* spectrum;  // [kBands]
  const T* camera;    // [2]

  BIOFACENET_INLINE FoldInputs image(int64_t index) const {
    return {mixture ? mixture + index * kIlluminants : nullptr, cct ? cct + index : nullptr,
            spectrum ? spectrum + index * kBands : nullptr, camera + index * 2};
  }
};

// Gradients of those; null where not wanted.
template <typename T>
struct FoldGradients {
  T *mixture, *cct, *spectrum, *camera;

  BIOFACENET_INLINE FoldGradients image(int64_t index) const {
    return {mixture ? mixture + index * kIlluminants : nullptr, cct ? cct + index : nullptr,
            spectrum ? spectrum + index * kBands : nullptr,
            camera ? camera + index * 2 : nullptr};
  }
};

namespace BIOFACENET_TARGET {

// A thread that does all the work itself.
struct Alone {
  template <typename Work>
  BIOFACENET_INLINE void each(int count, const Work& work) const {
    for (int i = 0; i < count; ++i) work(i);
  }
  template <typename Work>
  BIOFACENET_INLINE void each(int rows, int columns, const Work& work) const {
    for (int row = 0; row < rows; ++row) {
      for (int column = 0; column < columns; ++column) work(row, column);
    }
  }
  // out[rows][columns] = left[rows][inner] right[inner][columns]; rows of left and out may be longer.
  template <typename T>
  BIOFACENET_INLINE void multiply(int rows, int inner, int columns, const T* left, int left_row,
                                  const T* right, T* out, int out_row) const {
    for (int row = 0; row < rows; ++row) {
      T* line = out + row * out_row;
      for (int column = 0; column < columns; ++column) line[column] = T(0);
      for (int i = 0; i < inner; ++i) {
        const T value = left[row * left_row + i];
        for (int column = 0; column < columns; ++column) {
          line[column] += value * right[i * columns + column];
        }
      }
    }
  }
  BIOFACENET_INLINE void wait() const {}
};

// Where a coordinate falls in the cells of a table, and the slope of that: 0 where it was clamped.
template <typename T>
struct Cell {
  int index;
  T fraction, slope;
};

template <typename T>
BIOFACENET_INLINE Cell<T> cell_of(T place, int rows, T slope, bool inside) {
  const T last = T(rows - 1);
  const T above = T(0) > place ? T(0) : place;
  const T clamped = last < above ? last : above;
  int index = clamped > T(0) ? int(clamped) : 0;  // a NaN is never converted
  index = index < rows - 2 ? index : rows - 2;
  return {index, clamped - T(index), inside ? slope : T(0)};
}

// Everything on the way from light and camera to weights, of one image; shared by the team.
template <typename T>
struct Folding {
  T spectrum[kBands], day[kBands], day_slope[kBands];
  T sensitivity[kChannels][kBands], seen[kChannels][kBands];
  T light[kChannels];
  T matrix[kChannels * kChannels], balanced[kChannels * kChannels];
  T mixed[kChannels][kMaxComponents];
};

// What its gradient needs besides.
template <typename T>
struct FoldingBackward {
  T over_light[kChannels * kChannels], of_corner[4];
  T of_mixed[kChannels][kMaxComponents];
  T of_seen[kChannels][kBands];
  T of_spectrum[kBands];
  T from_camera[2][kChannels];
};

template <typename T>
struct Cells {
  Cell<T> day, camera[2];
  const T* corners[4];  // of the camera's cell in raw_to_srgb, row after row
};

template <typename T>
BIOFACENET_INLINE Cells<T> cells_of(const FoldTables<T>& tables, const FoldInputs<T>& inputs) {
  Cells<T> cells{};
  if (inputs.mixture) {
    const T place = (inputs.cct[0] - tables.first_cct) / tables.cct_step;
    const bool inside = place >= T(0) && place <= T(tables.daylight_rows - 1);
    cells.day = cell_of(place, tables.daylight_rows, T(1) / tables.cct_step, inside);
  }
  for (int axis = 0; axis < 2; ++axis) {
    const T place = (inputs.camera[axis] + tables.camera_range) * tables.cells_per_unit;
    const bool inside = place > T(0) && place < T(tables.grid - 1);
    cells.camera[axis] = cell_of(place, tables.grid, tables.cells_per_unit, inside);
  }
  const T* corner = tables.raw_to_srgb +
                    (int64_t(cells.camera[0].index) * tables.grid + cells.camera[1].index) * 9;
  for (int side = 0; side < 4; ++side) {
    cells.corners[side] = corner + (side / 2 * tables.grid + side % 2) * 9;
  }
  return cells;
}

// The team may read all of `f` when this returns.
template <typename T, typename Team>
BIOFACENET_INLINE void follow(const Team& team, const FoldTables<T>& tables,
                              const FoldInputs<T>& inputs, const Cells<T>& cells, Folding<T>& f) {
  team.each(kBands, [&](int l) {
    if (!inputs.mixture) {
      f.spectrum[l] = inputs.spectrum[l];
      return;
    }
    const T* cold = tables.daylights + cells.day.index * kBands;
    f.day_slope[l] = cold[kBands + l] - cold[l];
    f.day[l] = cold[l] + cells.day.fraction * f.day_slope[l];
    T sum = inputs.mixture[1] * f.day[l];
    for (int i = 0; i < kIlluminants; ++i) {  // the row of D holds zeros
      sum += inputs.mixture[i] * tables.fixed[i * kBands + l];
    }
    f.spectrum[l] = sum;
  });
  team.each(kChannels * kChannels, [&](int at) {
    const T down = cells.camera[0].fraction, across = cells.camera[1].fraction;
    const T* const* corners = cells.corners;
    const T upper = corners[0][at] + across * (corners[1][at] - corners[0][at]);
    const T lower = corners[2][at] + across * (corners[3][at] - corners[2][at]);
    f.matrix[at] = upper + down * (lower - upper);
  });
  team.wait();
  team.each(kChannels, kBands, [&](int c, int l) {
    const int at = c * kBands + l;
    const T value = tables.mean[at] + tables.slopes[2 * at] * inputs.camera[0] +
                    tables.slopes[2 * at + 1] * inputs.camera[1];
    f.sensitivity[c][l] = T(0) > value ? T(0) : value;
    f.seen[c][l] = f.sensitivity[c][l] * f.spectrum[l];
  });
  team.wait();
  team.each(kChannels, [&](int c) {
    T sum = T(0);
    for (int l = 0; l < kBands; ++l) sum += f.seen[c][l];
    f.light[c] = sum;
  });
  team.multiply(kChannels, kBands, tables.components, f.seen[0], kBands, tables.mixing_columns,
                f.mixed[0], kMaxComponents);
  team.wait();
  team.each(kChannels * kChannels,
            [&](int at) { f.balanced[at] = f.matrix[at] / f.light[at % kChannels]; });
  team.wait();
}

template <typename T, typename Team>
BIOFACENET_INLINE void fold(const Team& team, const FoldTables<T>& tables,
                            const FoldInputs<T>& inputs, Folding<T>& f, T* folded, T* highlight) {
  follow(team, tables, inputs, cells_of(tables, inputs), f);
  team.each(kChannels, [&](int c) {
    const T* row = f.matrix + c * kChannels;
    highlight[c] = row[0] + row[1] + row[2];
  });
  team.each(kChannels, tables.components, [&](int c, int k) {
    const T* row = f.balanced + c * kChannels;
    folded[c * tables.components + k] =
        row[0] * f.mixed[0][k] + row[1] * f.mixed[1][k] + row[2] * f.mixed[2][k];
  });
}

template <typename T, typename Team>
BIOFACENET_INLINE void fold_backward(const Team& team, const FoldTables<T>& tables,
                                     const FoldInputs<T>& inputs, Folding<T>& f,
                                     FoldingBackward<T>& b, const T* of_folded,
                                     const T* of_highlight, const FoldGradients<T>& gradients) {
  const Cells<T> cells = cells_of(tables, inputs);
  const int components = tables.components;
  follow(team, tables, inputs, cells, f);
  team.each(kChannels * kChannels, [&](int at) {
    const int c = at / kChannels, d = at % kChannels;
    T sum = T(0);
    for (int k = 0; k < components; ++k) sum += of_folded[c * components + k] * f.mixed[d][k];
    b.over_light[at] = sum / f.light[d];
  });
  team.each(kChannels, components, [&](int d, int k) {
    b.of_mixed[d][k] = f.balanced[d] * of_folded[k] +
                       f.balanced[kChannels + d] * of_folded[components + k] +
                       f.balanced[2 * kChannels + d] * of_folded[2 * components + k];
  });
  team.wait();
  team.multiply(kChannels, components, kBands, b.of_mixed[0], kMaxComponents, tables.mixing,
                b.of_seen[0], kBands);
  team.each(4, [&](int side) {
    T sum = T(0);
    for (int at = 0; at < kChannels * kChannels; ++at) {
      sum += cells.corners[side][at] * (b.over_light[at] + of_highlight[at / kChannels]);
    }
    b.of_corner[side] = sum;
  });
  team.wait();
  team.each(kChannels, kBands, [&](int d, int l) {
    for (int c = 0; c < kChannels; ++c) {
      const int at = c * kChannels + d;
      b.of_seen[d][l] -= b.over_light[at] * f.balanced[at];
    }
  });
  team.wait();
  team.each(kBands, [&](int l) {
    T sum = T(0);
    for (int d = 0; d < kChannels; ++d) sum += b.of_seen[d][l] * f.sensitivity[d][l];
    b.of_spectrum[l] = sum;
  });
  if (gradients.camera) {
    team.each(2, kChannels, [&](int axis, int d) {
      T sum = T(0);
      for (int l = 0; l < kBands; ++l) {
        const T passed = f.sensitivity[d][l] > T(0) ? b.of_seen[d][l] * f.spectrum[l] : T(0);
        sum += passed * tables.slopes[2 * (d * kBands + l) + axis];
      }
      b.from_camera[axis][d] = sum;
    });
  }
  team.wait();
  if (gradients.camera) {
    team.each(2, [&](int axis) {
      const T other = cells.camera[1 - axis].fraction;
      const int step = axis == 0 ? 2 : 1, across = 3 - step;
      const T slope = (T(1) - other) * (b.of_corner[step] - b.of_corner[0]) +
                      other * (b.of_corner[3] - b.of_corner[across]);
      const T* from = b.from_camera[axis];
      gradients.camera[axis] = from[0] + from[1] + from[2] + slope * cells.camera[axis].slope;
    });
  }
  if (gradients.mixture) {
    team.each(kIlluminants, [&](int i) {
      T sum = T(0);
      const T* emission = i == 1 ? f.day : tables.fixed + i * kBands;
      for (int l = 0; l < kBands; ++l) sum += b.of_spectrum[l] * emission[l];
      gradients.mixture[i] = sum;
    });
  }
  if (gradients.cct) {
    team.each(1, [&](int) {
      T sum = T(0);
      for (int l = 0; l < kBands; ++l) sum += b.of_spectrum[l] * f.day_slope[l];
      gradients.cct[0] = inputs.mixture[1] * sum * cells.day.slope;
    });
  }
  if (gradients.spectrum) {
    team.each(kBands, [&](int l) { gradients.spectrum[l] = b.of_spectrum[l]; });
  }
}

}  // namespace BIOFACENET_TARGET
}  // namespace biofacenet
