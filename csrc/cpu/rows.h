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

template <int Number>
struct Constant {
  static constexpr int value = Number;
};

template <int Vectors, typename Work>
BIOFACENET_INLINE void for_each_vector(const Work& work) {
  if constexpr (Vectors > 1) for_each_vector<Vectors - 1>(work);
  work(Constant<Vectors - 1>());
}

}  // namespace
}  // namespace BIOFACENET_TARGET
}  // namespace biofacenet
