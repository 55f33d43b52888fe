// A run of pixels: its values and places, one pixel a lane, all of it in the first-level cache.
#pragma once

#include "kernel.h"
#include "vector.h"

namespace biofacenet {
namespace BIOFACENET_TARGET {
namespace {

constexpr int kRun = 128;  // pixels, few, as tables fill the cache; the last run is padded with zeros

template <typename T>
struct alignas(64) Row {
  T at[kRun];
};

// Copies the run's values of one plane to `row`.
template <typename T>
__attribute__((noinline)) const T* copy(const Plane<T>& plane, int64_t width, int64_t begin, int count,
                                        Row<T>& row) {
  const int64_t y = begin / width;
  int64_t x = begin - y * width;
  const T* line = plane.data + y * plane.row_stride;
  if (plane.row_stride == width * plane.column_stride || x + count <= width) {
    line += x * plane.column_stride;
    if (plane.column_stride == 0) {  // one value for all, as the gradient of a sum is
      for (int i = 0; i < count; ++i) row.at[i] = line[0];
    } else {
      for (int i = 0; i < count; ++i) row.at[i] = line[i * plane.column_stride];
    }
  } else {
    for (int i = 0; i < count; ++i) {
      row.at[i] = line[x * plane.column_stride];
      if (++x == width) {
        x = 0;
        line += plane.row_stride;
      }
    }
  }
  for (int i = count; i < kRun; ++i) row.at[i] = T(0);
  return row.at;
}

// The run's values of one plane: in place where they are consecutive, and without the division that
// finds a line, which takes as long as all else for some pixels; else copied to `row`.
template <typename T>
BIOFACENET_INLINE const T* read(const Plane<T>& plane, int64_t width, int64_t begin, int count,
                                Row<T>& row) {
  if (plane.row_stride == width && plane.column_stride == 1 && count == kRun) {
    return plane.data + begin;
  }
  return copy(plane, width, begin, count, row);
}

// Where a run's results go: in place, or by way of `row` where the run is cut short.
template <typename T>
BIOFACENET_INLINE T* place_for(T* target, int count, Row<T>& row) {
  return count == kRun ? target : row.at;
}

template <typename T>
BIOFACENET_INLINE void finish(T* target, int count, const Row<T>& row) {
  if (count == kRun) return;
  for (int i = 0; i < count; ++i) target[i] = row.at[i];
}

// Planes whose next run is asked for while one is worked at, a line of each at a time: the hardware looks
// ahead within a page of memory only, and here are up to fourteen planes.
template <typename T>
class Ahead {
 public:
  void add(const T* data) {
    if (data) planes_[count_++] = data;
  }
  void add(const Plane<T>& plane, int64_t width) {
    if (plane.column_stride == 1 && plane.row_stride == width) add(plane.data);
  }

  // Of the pixels from `next` on, as many as make `kPixels`.
  BIOFACENET_INLINE void ask(int64_t next) const {
    for (int i = 0; i < count_; ++i) {
      __builtin_prefetch(planes_[i] + next);
      if (sizeof(T) == sizeof(double)) __builtin_prefetch(planes_[i] + next + kPixels / 2);
    }
  }
  static constexpr int kPixels = 16;

 private:
  const T* planes_[14];
  int count_ = 0;
};

// Where each pixel of a run reads the table of one axis: where its row begins, and how far to the next.
template <typename T>
struct Places {
  alignas(64) unsigned row[kRun];
  Row<T> fraction;
};

template <typename T>
void locate_all(const T* __restrict values, int nodes, int row, Places<T>& places) {
  for (int i = 0; i < kRun; ++i) {
    const Position<T> at = locate(values[i], nodes);
    places.row[i] = unsigned(at.index) * unsigned(row);
    places.fraction.at[i] = at.fraction;
  }
}

#if defined(__AVX512F__)
// The same, a full vector at a time: compilers make comparisons and blends of each maximum.
void locate_all(const float* __restrict values, int nodes, int row, Places<float>& places) {
  const __m512 last = _mm512_set1_ps(float(nodes - 1)), zero = _mm512_setzero_ps();
  const __m512 scale = _mm512_set1_ps(0.5f * float(nodes - 1)), one = _mm512_set1_ps(1.0f);
  const __m512i highest = _mm512_set1_epi32(nodes - 2);
  for (int i = 0; i < kRun; i += 16) {
    const __m512 value = _mm512_loadu_ps(values + i);
    const __m512 place = _mm512_mul_ps(_mm512_add_ps(value, one), scale);
    // The second operand is the result where one is NaN.
    const __m512 clamped = _mm512_min_ps(last, _mm512_max_ps(zero, place));
    // Of a NaN the conversion makes the lowest number there is.
    const __m512i whole = _mm512_max_epi32(_mm512_cvttps_epi32(clamped), _mm512_setzero_si512());
    const __m512i index = _mm512_min_epi32(whole, highest);
    const __m512 fraction = _mm512_sub_ps(clamped, _mm512_cvtepi32_ps(index));
    _mm512_store_si512(places.row + i, _mm512_mullo_epi32(index, _mm512_set1_epi32(row)));
    _mm512_store_ps(places.fraction.at + i,
                    _mm512_add_ps(fraction, _mm512_sub_ps(value, value)));
  }
}
#endif

}  // namespace
}  // namespace BIOFACENET_TARGET
}  // namespace biofacenet
