// The table of an image, from the weights that light and camera were folded into, and the way back.
#pragma once

#include "rows.h"

namespace biofacenet {
namespace BIOFACENET_TARGET {
namespace {

template <typename T>
void copy_functions(const Basis<T>& basis, Skin<T>& skin) {
  const int P = basis.P, row = functions_row<T>(P);
  for (int node = 0; node < basis.fixed_nodes; ++node) {
    const T* from = basis.functions + node * P;
    T* to = skin.functions + node * row;
    if (full<T>(P)) {
      for (int i = 0; i < 4; ++i) to[i] = i < kChannels ? from[4] : T(0);
      for (int i = 4; i < row; ++i) to[i] = from[i % 4];
    } else {
      for (int p = 0; p < P; ++p) to[p] = from[p];
      for (int p = P; p < row; ++p) to[p] = T(0);
    }
  }
}

// Where function p of channel c stands in a row, the rest counted on: first + step c.
struct Place {
  int first, step;
};

template <typename T>
BIOFACENET_INLINE Place place_in_row(int P, int p) {
  if (eights<T>(P)) return {p, kEight};
  if (!full<T>(P)) return {4 * p, 1};
  return p < 4 ? Place{4 + p, 4} : Place{0, 1};
}

// The mixing of all bands, Q P numbers each, `kWide` at a time: `work(first, fresh, mixing)` gets a
// function of the band that gives those from `first` on, which counts where `fresh` and later. The last
// begin early so as to be as many; where there are fewer in all, zeros follow.
template <typename T, typename Work>
BIOFACENET_INLINE void for_each_mixing(const Basis<T>& basis, const Work& work) {
  const int count = basis.Q * basis.P;
  const T* const all = basis.mixing;
  if (count < kWide) {
    work(0, 0, count, [&](int band) __attribute__((always_inline)) {
      T padded[kWide] = {};
      for (int i = 0; i < count; ++i) padded[i] = all[band * count + i];
      return widened(padded);
    });
    return;
  }
  for (int fresh = 0; fresh < count; fresh += kWide) {
    const int first = fresh < count - kWide ? fresh : count - kWide;
    work(first, fresh, first + kWide, [&](int band) __attribute__((always_inline)) {
      return widened(all + band * count + first);
    });
  }
}

// How many rows are summed at a time, as many as there are registers for.
constexpr int kTogether = kVectorBytes == 64 ? 12 : 4;

// Calls `work` with a constant for a count from 1 to Most.
template <int Most, typename Work>
BIOFACENET_INLINE void with_count(int count, const Work& work) {
  if constexpr (Most > 1) {
    if (count < Most) return with_count<Most - 1>(count, work);
  }
  work(Constant<Most>());
}

// Some numbers of each row of a table, and of `mixed`: those of `full`, whose second eight lie in rows of
// their own where `second` is not null, and eight more of `rest`, where that is not null.
template <typename T>
struct Part {
  T* full;
  int full_row;
  T* second;
  T* rest;
  T* mixed;
  int mixed_row;
};

// table[node] = sum_q others[node][q] mixed[q], for Count nodes.
template <int Count, bool Rest, int Full, typename T>
BIOFACENET_INLINE void fill_nodes(const T* others, int Q, int node, const Part<T>& part) {
  // Copies, which no store can change.
  T *const full = part.full + node * part.full_row, *const second = part.second, *const rest = part.rest;
  const int row = part.full_row;
  Numbers<T, Full> sums[Count] = {};
  Numbers<T, kEight> rests[Count] = {};
  others += node * Q;
  for (int q = 0; q < Q; ++q) {
    const T* mixed = part.mixed + q * part.mixed_row;
    const auto numbers = Numbers<T, Full>::load(mixed);
    for (int i = 0; i < Count; ++i) sums[i].add(others[i * Q + q], numbers);
    if constexpr (Rest) {
      const auto last = Numbers<T, kEight>::load(mixed + kFull);
      for (int i = 0; i < Count; ++i) rests[i].add(others[i * Q + q], last);
    }
  }
  if constexpr (Rest) {
    for (int i = 0; i < Count; ++i) rests[i].store(rest + (node + i) * kEight);
    if (second) {
      for (int i = 0; i < Count; ++i) {
        sums[i].store(full + i * kEight, second + (node + i) * kEight);
      }
      return;
    }
  }
  for (int i = 0; i < Count; ++i) sums[i].store(full + i * row);
}

// The gradient of Count rows of `mixed`, sums over the nodes.
template <int Count, bool Rest, int Full, typename T>
BIOFACENET_INLINE void sum_nodes(const T* others, int Q, int nodes, int q, const Part<T>& part) {
  Numbers<T, Full> sums[Count] = {};
  Numbers<T, kEight> rests[Count] = {};
  others += q;
  for (int node = 0; node < nodes; ++node, others += Q) {
    const auto numbers = Numbers<T, Full>::load(part.full + node * part.full_row);
    for (int i = 0; i < Count; ++i) sums[i].add(others[i], numbers);
    if constexpr (Rest) {
      const T* const shares = part.rest + node * kFull;  // the row before has the other half
      auto last = Numbers<T, kEight>::load(shares);
      if (node) last.add(T(1), Numbers<T, kEight>::load(shares - kEight));
      for (int i = 0; i < Count; ++i) rests[i].add(others[i], last);
    }
  }
  for (int i = 0; i < Count; ++i) {
    T* mixed = part.mixed + (q + i) * part.mixed_row;
    sums[i].store(mixed);
    if constexpr (Rest) rests[i].store(mixed + kFull);
  }
}

// The whole of a table from `mixed`, or, Back, of the gradient of `mixed` from that of the table.
template <bool Back, bool Rest, int Full, typename T>
void multiply(const Basis<T>& basis, const Part<T>& part) {
  const int Q = basis.Q, nodes = basis.folded_nodes, rows = Back ? Q : nodes;
  for (int row = 0; row < rows; row += kTogether) {
    with_count<kTogether>(rows - row, [&](auto count) __attribute__((always_inline)) {
      constexpr int Count = decltype(count)::value;
      if constexpr (Back) {
        sum_nodes<Count, Rest, Full>(basis.others, Q, nodes, row, part);
      } else {
        fill_nodes<Count, Rest, Full>(basis.others, Q, row, part);
      }
    });
  }
}

template <bool Back, typename T>
void multiply_all(const Basis<T>& basis, T* table, bool planes, T* mixed) {
  const int P = basis.P, row = table_row<T>(P);
  if constexpr (full<T>(5)) {
    T *const second = planes ? table + basis.folded_nodes * kEight : nullptr,
             *const rest = table + basis.folded_nodes * kFull;
    const Part<T> part = {table, planes ? kEight : kFull, second, rest, mixed, row};
    if (full<T>(P)) return multiply<Back, false, kFull>(basis, part);
    if (eights<T>(P)) return multiply<Back, true, kFull>(basis, part);
  }
  for (int p = 0; p < P; ++p) {
    const Part<T> part = {table + 4 * p, row, nullptr, nullptr, mixed + 4 * p, row};
    multiply<Back, false, 4>(basis, part);
  }
}

template <typename T>
void make_table(const Basis<T>& basis, const double* weights, Skin<T>& skin) {
  const int P = basis.P, row = table_row<T>(P);
  for (int i = 0; i < basis.Q * row; ++i) skin.mixed[i] = T(0);
  int p = 0;
  T* mixed = skin.mixed;
  for_each_mixing(basis, [&](int first, int fresh, int end, const auto& mixing_of) {
    Wide red = {}, green = {}, blue = {};
    for (int l = 0; l < kBands; ++l) {
      const Wide mixing = mixing_of(l);
      red = red + weights[l] * mixing;
      green = green + weights[kBands + l] * mixing;
      blue = blue + weights[2 * kBands + l] * mixing;
    }
    const Wide sums[kChannels] = {red, green, blue};
    for (int i = fresh - first; i < end - first; ++i) {
      const Place place = place_in_row<T>(P, p);
      for (int c = 0; c < kChannels; ++c) mixed[place.first + place.step * c] = T(sums[c][i]);
      if (++p == P) p = 0, mixed += row;
    }
  });
  multiply_all<false>(basis, skin.table, skin.planes, skin.mixed);
}

template <typename T>
void gather(const Basis<T>& basis, Skin<T>& skin, double* of_weights) {
  const int P = basis.P, row = table_row<T>(P);
  multiply_all<true>(basis, skin.of_table, false, skin.mixed);
  Wide sums[kBands][kChannels] = {};
  int p = 0;
  const T* mixed = skin.mixed;
  for_each_mixing(basis, [&](int first, int fresh, int end, const auto& mixing_of) {
    alignas(64) double above[kChannels][kWide] = {};
    for (int i = fresh - first; i < end - first; ++i) {
      const Place place = place_in_row<T>(P, p);
      for (int c = 0; c < kChannels; ++c) above[c][i] = double(mixed[place.first + place.step * c]);
      if (++p == P) p = 0, mixed += row;
    }
    const Wide red = load_like(above[0], Wide{}), green = load_like(above[1], Wide{}),
               blue = load_like(above[2], Wide{});
    for (int l = 0; l < kBands; ++l) {
      const Wide mixing = mixing_of(l);
      sums[l][0] = sums[l][0] + red * mixing;
      sums[l][1] = sums[l][1] + green * mixing;
      sums[l][2] = sums[l][2] + blue * mixing;
    }
  });
  for (int c = 0; c < kChannels; ++c) {
    for (int l = 0; l < kBands; ++l) of_weights[c * kBands + l] += sum_of(sums[l][c]);
  }
}

}  // namespace
}  // namespace BIOFACENET_TARGET
}  // namespace biofacenet
