// Rows of a table as vectors, one (function, channel) a lane.
#pragma once

#include "kernel.h"
#include "vector.h"

namespace biofacenet {
namespace BIOFACENET_TARGET {
namespace {

template <typename T>
BIOFACENET_INLINE Reading<Vector<T>> read_vector(const T* row, int length, Vector<T> fraction) {
  return interpolate(load(row), load(row + length), fraction);
}

template <typename T>
BIOFACENET_INLINE Reading<Block<T>> read_block(const T* row, int length, Block<T> fraction) {
  return interpolate(load_block(row), load_block(row + length), fraction);
}

template <typename T, typename Many>
BIOFACENET_INLINE Many load_like(const T* from, const Many&) {
  typedef Many Unaligned __attribute__((aligned(sizeof(T)), may_alias));
  return *reinterpret_cast<const Unaligned*>(from);
}

template <typename T, typename Many>
BIOFACENET_INLINE void store_like(T* to, const Many& numbers) {
  typedef Many Unaligned __attribute__((aligned(sizeof(T)), may_alias));
  *reinterpret_cast<Unaligned*>(to) = numbers;
}

template <int Number>
struct Constant {
  static constexpr int value = Number;
};

template <int Vectors, typename Work>
BIOFACENET_INLINE void for_each_vector(const Work& work) {
  if constexpr (Vectors > 1) for_each_vector<Vectors - 1>(work);
  work(Constant<Vectors - 1>());
}

// `Count` numbers in vectors that the processor has: compilers take longer ones through memory.
template <typename T, int Count>
struct Numbers {
  static constexpr int lanes = Count < kLanes<T> ? Count : kLanes<T>;
  typedef T V __attribute__((vector_size(lanes * sizeof(T))));
  V at[Count / lanes];

  static BIOFACENET_INLINE Numbers load(const T* from) {
    Numbers numbers;
    for (int i = 0; i < Count / lanes; ++i) numbers.at[i] = load_like(from + i * lanes, V{});
    return numbers;
  }
  BIOFACENET_INLINE void store(T* to) const {
    for (int i = 0; i < Count / lanes; ++i) store_like(to + i * lanes, at[i]);
  }
  // The two halves, to a place each.
  BIOFACENET_INLINE void store(T* first, T* second) const {
    constexpr int half = Count / 2;
    if constexpr (lanes == Count) {
      typedef T Half __attribute__((vector_size(half * sizeof(T))));
      union {
        V whole;
        Half halves[2];
      } split = {at[0]};
      store_like(first, split.halves[0]);
      store_like(second, split.halves[1]);
    } else {
      for (int i = 0; i < half / lanes; ++i) {
        store_like(first + i * lanes, at[i]);
        store_like(second + i * lanes, at[half / lanes + i]);
      }
    }
  }
  BIOFACENET_INLINE void add(T factor, const Numbers& numbers) {
    for (int i = 0; i < Count / lanes; ++i) at[i] = at[i] + factor * numbers.at[i];
  }
};

// Eight numbers of twice the precision: what few of are summed, and carefully.
typedef double Wide __attribute__((vector_size(64)));
constexpr int kWide = 8;

template <typename T>
BIOFACENET_INLINE Wide widened(const T* from) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == sizeof(float)) return Wide(_mm512_cvtps_pd(_mm256_loadu_ps(from)));
#endif
  return __builtin_convertvector(load_eight(from), Wide);
}

BIOFACENET_INLINE double sum_of(const Wide& wide) {
  typedef double Four __attribute__((vector_size(32)));
  typedef double Two __attribute__((vector_size(16)));
  union {
    Wide whole;
    Four halves[2];
  } eight = {wide};
  union {
    Four whole;
    Two halves[2];
  } four = {eight.halves[0] + eight.halves[1]};
  const Two two = four.halves[0] + four.halves[1];
  return two[0] + two[1];
}

}  // namespace
}  // namespace BIOFACENET_TARGET
}  // namespace biofacenet
