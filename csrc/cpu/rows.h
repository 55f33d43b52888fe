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

// A full row of sixteen numbers, of one vector or several.
template <typename T>
struct FullRowOf {
  typedef T type __attribute__((vector_size(kFull * sizeof(T))));
};
template <typename T>
using FullRow = typename FullRowOf<T>::type;

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

// The two halves of sixteen numbers, to a place each.
template <typename T>
BIOFACENET_INLINE void store_halves(T* first, T* second, const FullRow<T>& numbers) {
  union {
    FullRow<T> whole;
    Eight<T> halves[2];
  } split = {numbers};
  store_eight(first, split.halves[0]);
  store_eight(second, split.halves[1]);
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
