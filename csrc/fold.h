// Light, camera, white balance and colour folded into an image's table Y, and the gradient of that.
//
//   W_c(l) = sum_d (M diag(1/L))_cd S_d(l) e(l)    weights of the bands, (3, 33)
//   k_c    = sum_d M_cd                            highlight colour, (3)
//   Y_pc(y) = sum_q D_q(y) sum_l Z_qp(l) W_c(l)    table of the folded axis
//
// e: light, S: camera, L = S e: colour of the light, M: raw to linear sRGB, read from a grid over the
// camera's two coordinates. Skin is R(x, y, l) = sum_pq e_p(x) D_q(y) Z_qp(l); rendering/basis.py makes
// the functions e_p of the fixed axis, D_q of the folded axis, and what mixes them. An image may come
// with W and k instead of a light and a camera.
//
// What backends take, all contiguous, of one dtype (float32 or float64) but for the maps:
//   functions (fixed nodes, P), others (folded nodes, Q), mixing (33, Q, P);
//   `melanin_fixed`: whether x is melanin and y haemoglobin, or the other way round;
//   each of mixture (B, 14), cct (B), spectrum (B, 33), camera (B, 2), weights (B, 3, 33) and
//   highlight (B, 3) for every image, or with B = 1 for all images; its gradient is then the sum.
// How Y lies in memory is a backend's own business: it is made and used within one call.
//
// Steps up to W are written for a team: one thread of a CPU, alone, or all threads of a GPU's block.
// Each is a loop over independent elements, `team.each`, and `team.wait` stands where a step reads what
// others wrote. T is the type of inputs and tables, A that of the arithmetic.
#pragma once

#include <stdint.h>

#include "pixel.h"

namespace biofacenet {

constexpr int kBands = 33;
constexpr int kIlluminants = 14;

template <typename T>
struct LightTables {
  const T* fixed;        // [kIlluminants][kBands], zeros for D
  const T* daylights;    // [daylight_rows][kBands]
  const T* mean;         // [3][kBands]
  const T* slopes;       // [3][kBands][2]
  const T* raw_to_srgb;  // [grid][grid][3][3]
  int daylight_rows, grid;
  double first_cct, cct_step, camera_range;
};

// The skin table as a sum of products.
template <typename T>
struct Basis {
  const T* functions;  // [fixed_nodes][P]
  const T* others;     // [folded_nodes][Q]
  const T* mixing;     // [kBands][Q][P]
  int fixed_nodes, folded_nodes, P, Q;
};

// What one image is lit by and seen with: mixture and cct, or a spectrum; and a camera. Or, with all
// of these null, weights and highlight.
template <typename T>
struct Light {
  const T* mixture;    // [kIlluminants]
  const T* cct;        // [1]
  const T* spectrum;   // [kBands]
  const T* camera;     // [2]
  const T* weights;    // [3][kBands]
  const T* highlight;  // [3]
};

// Everything on the way from light and camera to weights, of one image; shared by the team.
template <typename A>
struct Folding {
  A spectrum[kBands], day[kBands], day_slope[kBands];
  A sensitivity[kChannels][kBands], seen[kChannels][kBands];
  A light[kChannels];
  A matrix[kChannels * kChannels], balanced[kChannels * kChannels];
  A weights[kChannels][kBands], highlight[kChannels];  // the results
};

// The gradient's way back, and what it leads to.
template <typename A>
struct FoldingBackward {
  A over_light[kChannels * kChannels], of_corner[4];
  A of_seen[kChannels][kBands];
  A from_camera[2][kChannels];
  A mixture[kIlluminants], cct[1], spectrum[kBands], camera[2];  // the results
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
  BIOFACENET_INLINE void wait() const {}
};

// Where a coordinate falls in the cells of a table, and the slope of that: 0 where it was clamped.
template <typename A>
struct Cell {
  int index;
  A fraction, slope;
};

template <typename A>
BIOFACENET_INLINE Cell<A> cell_of(A place, int rows, A slope, bool inside) {
  const A last = A(rows - 1);
  const A above = A(0) > place ? A(0) : place;
  const A clamped = last < above ? last : above;
  int index = clamped > A(0) ? int(clamped) : 0;  // a NaN is never converted
  index = index < rows - 2 ? index : rows - 2;
  return {index, clamped - A(index), inside ? slope : A(0)};
}

template <typename A, typename T>
struct Cells {
  Cell<A> day, camera[2];
  const T* corners[4];  // of the camera's cell in raw_to_srgb, row after row
};

template <typename A, typename T>
BIOFACENET_INLINE Cells<A, T> cells_of(const LightTables<T>& tables, const Light<T>& inputs) {
  Cells<A, T> cells{};
  if (inputs.mixture) {
    const A step = A(tables.cct_step);
    const A place = (A(inputs.cct[0]) - A(tables.first_cct)) / step;
    const bool inside = place >= A(0) && place <= A(tables.daylight_rows - 1);
    cells.day = cell_of(place, tables.daylight_rows, A(1) / step, inside);
  }
  const A range = A(tables.camera_range);
  const A slope = A(tables.grid - 1) / (A(2) * range);
  for (int axis = 0; axis < 2; ++axis) {
    const A place = (A(inputs.camera[axis]) + range) * slope;
    const bool inside = place > A(0) && place < A(tables.grid - 1);
    cells.camera[axis] = cell_of(place, tables.grid, slope, inside);
  }
  const T* corner = tables.raw_to_srgb +
                    (int64_t(cells.camera[0].index) * tables.grid + cells.camera[1].index) * 9;
  for (int side = 0; side < 4; ++side) {
    cells.corners[side] = corner + (side / 2 * tables.grid + side % 2) * 9;
  }
  return cells;
}

// Weights and highlight of one image, and all on the way; the team may read `f` when this returns.
template <typename A, typename T, typename Team>
BIOFACENET_INLINE void fold(const Team& team, const LightTables<T>& tables,
                            const Light<T>& inputs, Folding<A>& f) {
  if (inputs.weights) {
    team.each(kChannels, kBands,
              [&](int c, int l) { f.weights[c][l] = A(inputs.weights[c * kBands + l]); });
    team.each(kChannels, [&](int c) { f.highlight[c] = A(inputs.highlight[c]); });
    team.wait();
    return;
  }
  const Cells<A, T> cells = cells_of<A>(tables, inputs);
  team.each(kBands, [&](int l) {
    if (!inputs.mixture) {
      f.spectrum[l] = A(inputs.spectrum[l]);
      return;
    }
    const T* cold = tables.daylights + cells.day.index * kBands;
    f.day_slope[l] = A(cold[kBands + l]) - A(cold[l]);
    f.day[l] = A(cold[l]) + cells.day.fraction * f.day_slope[l];
    A sum = A(inputs.mixture[1]) * f.day[l];
    for (int i = 0; i < kIlluminants; ++i) {  // the row of D holds zeros
      sum += A(inputs.mixture[i]) * A(tables.fixed[i * kBands + l]);
    }
    f.spectrum[l] = sum;
  });
  team.each(kChannels * kChannels, [&](int at) {
    const A down = cells.camera[0].fraction, across = cells.camera[1].fraction;
    const T* const* corners = cells.corners;
    const A upper = A(corners[0][at]) + across * (A(corners[1][at]) - A(corners[0][at]));
    const A lower = A(corners[2][at]) + across * (A(corners[3][at]) - A(corners[2][at]));
    f.matrix[at] = upper + down * (lower - upper);
  });
  team.wait();
  team.each(kChannels, kBands, [&](int c, int l) {
    const int at = c * kBands + l;
    const A value = A(tables.mean[at]) + A(tables.slopes[2 * at]) * A(inputs.camera[0]) +
                    A(tables.slopes[2 * at + 1]) * A(inputs.camera[1]);
    f.sensitivity[c][l] = A(0) > value ? A(0) : value;
    f.seen[c][l] = f.sensitivity[c][l] * f.spectrum[l];
  });
  team.wait();
  team.each(kChannels, [&](int c) {
    A sum = A(0);
    for (int l = 0; l < kBands; ++l) sum += f.seen[c][l];
    f.light[c] = sum;
    const A* row = f.matrix + c * kChannels;
    f.highlight[c] = row[0] + row[1] + row[2];
  });
  team.wait();
  team.each(kChannels * kChannels,
            [&](int at) { f.balanced[at] = f.matrix[at] / f.light[at % kChannels]; });
  team.wait();
  team.each(kChannels, kBands, [&](int c, int l) {
    const A* row = f.balanced + c * kChannels;
    f.weights[c][l] = row[0] * f.seen[0][l] + row[1] * f.seen[1][l] + row[2] * f.seen[2][l];
  });
  team.wait();
}

// Gradients of mixture and cct or spectrum, and of the camera, into `b`, from those of weights [3][33]
// and highlight [3]; `f` is what `fold` left. Not for images that came with their weights.
template <typename A, typename T, typename Team>
BIOFACENET_INLINE void fold_backward(const Team& team, const LightTables<T>& tables,
                                     const Light<T>& inputs, const Folding<A>& f,
                                     const A* of_weights, const A* of_highlight,
                                     FoldingBackward<A>& b) {
  const Cells<A, T> cells = cells_of<A>(tables, inputs);
  team.each(kChannels * kChannels, [&](int at) {
    const int c = at / kChannels, d = at % kChannels;
    A sum = A(0);
    for (int l = 0; l < kBands; ++l) sum += of_weights[c * kBands + l] * f.seen[d][l];
    b.over_light[at] = sum / f.light[d];
  });
  team.wait();
  team.each(4, [&](int side) {
    A sum = A(0);
    for (int at = 0; at < kChannels * kChannels; ++at) {
      sum += A(cells.corners[side][at]) * (b.over_light[at] + of_highlight[at / kChannels]);
    }
    b.of_corner[side] = sum;
  });
  team.each(kChannels, kBands, [&](int d, int l) {
    A sum = A(0);
    for (int c = 0; c < kChannels; ++c) {
      const int at = c * kChannels + d;
      sum += f.balanced[at] * (of_weights[c * kBands + l] - b.over_light[at]);
    }
    b.of_seen[d][l] = sum;
  });
  team.wait();
  team.each(kBands, [&](int l) {
    A sum = A(0);
    for (int d = 0; d < kChannels; ++d) sum += b.of_seen[d][l] * f.sensitivity[d][l];
    b.spectrum[l] = sum;
  });
  team.each(2, kChannels, [&](int axis, int d) {
    A sum = A(0);
    for (int l = 0; l < kBands; ++l) {
      const A passed = f.sensitivity[d][l] > A(0) ? b.of_seen[d][l] * f.spectrum[l] : A(0);
      sum += passed * A(tables.slopes[2 * (d * kBands + l) + axis]);
    }
    b.from_camera[axis][d] = sum;
  });
  team.wait();
  team.each(2, [&](int axis) {
    const A other = cells.camera[1 - axis].fraction;
    const int step = axis == 0 ? 2 : 1, across = 3 - step;
    const A slope = (A(1) - other) * (b.of_corner[step] - b.of_corner[0]) +
                    other * (b.of_corner[3] - b.of_corner[across]);
    const A* from = b.from_camera[axis];
    b.camera[axis] = from[0] + from[1] + from[2] + slope * cells.camera[axis].slope;
  });
  if (inputs.mixture) {
    team.each(kIlluminants, [&](int i) {
      A sum = A(0);
      for (int l = 0; l < kBands; ++l) {
        sum += b.spectrum[l] * (i == 1 ? f.day[l] : A(tables.fixed[i * kBands + l]));
      }
      b.mixture[i] = sum;
    });
    team.each(1, [&](int) {
      A sum = A(0);
      for (int l = 0; l < kBands; ++l) sum += b.spectrum[l] * f.day_slope[l];
      b.cct[0] = A(inputs.mixture[1]) * sum * cells.day.slope;
    });
  }
  team.wait();
}

}  // namespace BIOFACENET_TARGET
}  // namespace biofacenet
