// Forward and backward over the pixels of an image, compiled once for each instruction set.
//
// A run of pixels at a time, all of it in the first-level cache: values and places are worked out with
// one pixel a lane, rows of the two tables are read with one (function, channel) a lane, and sums over
// functions are turned back into one pixel a lane with as few shuffles as there can be.

#if defined(__GNUC__) && !defined(__clang__)
// All of this is inlined, so that no vector is passed by any ABI; and GCC takes its own headers' way of
// saying "any value" for a mistake.
#pragma GCC diagnostic ignored "-Wpsabi"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#include "kernel.h"

#include "vector.h"

namespace biofacenet {
namespace BIOFACENET_TARGET {
namespace {

constexpr int kRun = 64;  // pixels, few, as tables fill the cache; the last run is padded with zeros

template <typename T>
struct alignas(64) Row {
  T at[kRun];
};

// The run's values of one plane: in place where they are consecutive, else copied to `row`.
template <typename T>
const T* read(const Plane<T>& plane, int64_t width, int64_t begin, int count, Row<T>& row) {
  const int64_t y = begin / width;
  int64_t x = begin - y * width;
  const T* line = plane.data + y * plane.row_stride;
  if (plane.row_stride == width * plane.column_stride || x + count <= width) {
    line += x * plane.column_stride;
    if (plane.column_stride == 1 && count == kRun) return line;
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

// Where a run's results go: in place, or through `row` where the run is cut short.
template <typename T>
class Write {
 public:
  Write(T* target, int count, Row<T>& row) : target_(target), count_(count), row_(row) {}
  ~Write() {
    for (int i = 0; count_ < kRun && i < count_; ++i) target_[i] = row_.at[i];
  }
  T* at() const { return count_ == kRun ? target_ : row_.at; }

 private:
  T* target_;
  int count_;
  Row<T>& row_;
};

// Asks for a plane's next run while one is worked at, where its values are consecutive: the hardware
// looks ahead within a page of memory only, and here are ten planes.
template <typename T>
BIOFACENET_INLINE void ask_for_next(const Plane<T>& plane, int64_t width, int64_t begin) {
  if (plane.column_stride != 1 || plane.row_stride != width) return;
  constexpr int line = 64 / int(sizeof(T));
  for (int i = 0; i < kRun; i += line) __builtin_prefetch(plane.data + begin + kRun + i);
}

// Where each pixel of a run reads one axis.
template <typename T>
struct Places {
  alignas(64) unsigned index[kRun];
  Row<T> fraction;
};

template <typename T>
void locate_all(const T* __restrict values, int nodes, Places<T>& places) {
  for (int i = 0; i < kRun; ++i) {
    const Position<T> at = locate(values[i], nodes);
    places.index[i] = unsigned(at.index);
    places.fraction.at[i] = at.fraction;
  }
}

#if defined(__AVX512F__)
// The same, a full vector at a time: compilers make comparisons and blends of each maximum.
void locate_all(const float* __restrict values, int nodes, Places<float>& places) {
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
    _mm512_store_si512(places.index + i, index);
    _mm512_store_ps(places.fraction.at + i,
                    _mm512_add_ps(fraction, _mm512_sub_ps(value, value)));
  }
}
#endif

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

// The image of a run, from the colour of its skin under unit shading.
template <typename T>
void shade_all(const Image<T>& image, int64_t start, int count, const Row<T> (&colour)[kChannels],
               Row<T> (&rows)[4], T* output, int64_t plane) {
  const T* __restrict diffuse = read(image.diffuse, image.width, start, count, rows[2]);
  const T* __restrict specular = read(image.specular, image.width, start, count, rows[3]);
  for (int c = 0; c < kChannels; ++c) {
    Write<T> write(output + c * plane + start, count, rows[0]);
    T* __restrict target = write.at();
    const T highlight = image.highlight[c];
    for (int i = 0; i < kRun; ++i) {
      target[i] = shade(colour[c].at[i], diffuse[i], specular[i], highlight);
    }
  }
}

// The basis and the table of an image

template <typename T>
void copy_functions(const Basis<T>& basis, Skin<T>& skin) {
  const int P = basis.P;
  for (int node = 0; node < basis.fixed_nodes; ++node) {
    const T* from = basis.functions + node * P;
    if (!packed<T>(P)) {
      for (int p = 0; p < P; ++p) skin.functions[node * P + p] = from[p];
      continue;
    }
    T* full = skin.functions + node * kFull;
    for (int c = 0; c <= kChannels; ++c) {
      full[c] = c < kChannels ? from[4] : T(0);
      for (int p = 0; p < 4 && c < kChannels; ++p) full[4 + 4 * c + p] = from[p];
    }
    T* tails = skin.functions + basis.fixed_nodes * kFull + node * tail<T>(P);
    for (int c = 0; c < tail<T>(P); ++c) tails[c] = c < kChannels ? from[5] : T(0);
  }
}

// Where function p of channel c stands in a row, the tail counted on from the full row: first + step c.
struct Place {
  int first, step;
};

template <typename T>
BIOFACENET_INLINE Place place_in_row(int P, int p) {
  if (!packed<T>(P)) return {4 * p, 1};
  return p < 4 ? Place{4 + p, 4} : (p == 4 ? Place{0, 1} : Place{kFull, 1});
}

// Eight numbers of twice the precision: what few of are summed, and carefully.
typedef double Wide __attribute__((vector_size(64)));
constexpr int kWide = 8;

template <typename T>
BIOFACENET_INLINE Wide widened(const T* from) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == sizeof(float)) return Wide(_mm512_cvtps_pd(_mm256_loadu_ps(from)));
#endif
  typedef T Eight __attribute__((vector_size(kWide * sizeof(T))));
  return __builtin_convertvector(load_like(from, Eight{}), Wide);
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

// Some numbers of each row of a table, and of `mixed`: `Full`, and where `rest` is not null the tail.
template <typename T>
struct Part {
  T* full;
  int full_row;
  T* rest;
  T* mixed;
  int mixed_row;
};

// table[node] = sum_q others[node][q] mixed[q], for Count nodes.
template <int Count, bool Rest, typename Full, typename T>
BIOFACENET_INLINE void fill_nodes(const T* others, int Q, int node, const Part<T>& part) {
  Full sums[Count] = {};
  Block<T> rests[Count] = {};
  others += node * Q;
  for (int q = 0; q < Q; ++q) {
    const T* mixed = part.mixed + q * part.mixed_row;
    const Full numbers = load_like(mixed, Full{});
    for (int i = 0; i < Count; ++i) sums[i] = sums[i] + others[i * Q + q] * numbers;
    if constexpr (Rest) {
      const Block<T> last = load_block(mixed + kFull);
      for (int i = 0; i < Count; ++i) rests[i] = rests[i] + others[i * Q + q] * last;
    }
  }
  for (int i = 0; i < Count; ++i) {
    store_like(part.full + (node + i) * part.full_row, sums[i]);
    if constexpr (Rest) store_block(part.rest + (node + i) * 4, rests[i]);
  }
}

// The gradient of Count rows of `mixed`, sums over the nodes.
template <int Count, bool Rest, typename Full, typename T>
BIOFACENET_INLINE void sum_nodes(const T* others, int Q, int nodes, int q, const Part<T>& part) {
  Full sums[Count] = {};
  Block<T> rests[Count] = {};
  others += q;
  for (int node = 0; node < nodes; ++node, others += Q) {
    const Full numbers = load_like(part.full + node * part.full_row, Full{});
    for (int i = 0; i < Count; ++i) sums[i] = sums[i] + others[i] * numbers;
    if constexpr (Rest) {
      const Block<T> last = load_block(part.rest + node * 4);
      for (int i = 0; i < Count; ++i) rests[i] = rests[i] + others[i] * last;
    }
  }
  for (int i = 0; i < Count; ++i) {
    T* mixed = part.mixed + (q + i) * part.mixed_row;
    store_like(mixed, sums[i]);
    if constexpr (Rest) store_block(mixed + kFull, rests[i]);
  }
}

// The whole of a table from `mixed`, or, Back, of the gradient of `mixed` from that of the table.
template <bool Back, bool Rest, typename Full, typename T>
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
void multiply_all(const Basis<T>& basis, T* table, T* mixed) {
  const int P = basis.P, row = table_row<T>(P);
  if constexpr (packed<T>(5)) {
    const Part<T> part = {table, kFull, table + basis.folded_nodes * kFull, mixed, row};
    if (P == 5) return multiply<Back, false, FullRow<T>>(basis, part);
    if (P == 6) return multiply<Back, true, FullRow<T>>(basis, part);
  }
  for (int p = 0; p < P; ++p) {
    const Part<T> part = {table + 4 * p, row, nullptr, mixed + 4 * p, row};
    multiply<Back, false, Block<T>>(basis, part);
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
  multiply_all<false>(basis, skin.table, skin.mixed);
}

template <typename T>
void gather(const Basis<T>& basis, Skin<T>& skin, double* of_weights) {
  const int P = basis.P, row = table_row<T>(P);
  multiply_all<true>(basis, skin.of_table, skin.mixed);
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

// Pixels

// Forward with packed rows, of which the tail has as many numbers.
template <int Tail>
void forward_packed(const Image<float>& image, const Skin<float>& skin, int64_t begin, int64_t end,
                    float* output, int64_t plane) {
  typedef float T;
  constexpr int vectors = kFull / kLanes<T>;  // to a full row
  constexpr int blocks = kLanes<T> / 4;       // to a vector
  const T *const functions = skin.functions, *const table = skin.table;
  const T* const fixed_tails = functions + skin.fixed_nodes * kFull;
  const T* const folded_tails = table + skin.folded_nodes * kFull;
  Row<T> rows[4];
  Places<T> fixed, folded;
  Row<T> colour[kChannels];
  for (int64_t start = begin; start < end; start += kRun) {
    const int count = end - start < kRun ? int(end - start) : kRun;
    locate_all(read(image.fixed, image.width, start, count, rows[0]), skin.fixed_nodes, fixed);
    locate_all(read(image.folded, image.width, start, count, rows[1]), skin.folded_nodes, folded);
    for (int group = 0; group < kRun; group += 4) {
      Vector<T> x[vectors][4];
      for (int j = 0; j < 4; ++j) {
        const int i = group + j;
        const T* e = functions + fixed.index[i] * kFull;
        const T* y = table + folded.index[i] * kFull;
        const Vector<T> across = splat(fixed.fraction.at[i]), down = splat(folded.fraction.at[i]);
        Vector<T> first = {};
        if constexpr (Tail) {
          first = widen(share(
              read_block(fixed_tails + fixed.index[i] * Tail, Tail, block<0>(across)),
              read_block(folded_tails + folded.index[i] * Tail, Tail, block<0>(down))));
        }
        for (int v = 0; v < vectors; ++v) {
          const Vector<T> product = share(read_vector(e + v * kLanes<T>, kFull, across),
                                          read_vector(y + v * kLanes<T>, kFull, down));
          x[v][j] = v == 0 && Tail ? product + first : product;
        }
      }
      // Of the first block each lane is a channel, of the others they add up.
      Vector<T> sums[vectors];
      for (int v = 1; v < vectors; ++v) sums[v] = sum_within_blocks<T>(x[v]);
      transpose_blocks<T>(x[0]);
      sums[0] = (x[0][0] + x[0][1]) + (x[0][2] + x[0][3]);
      store_block(colour[0].at + group, block<1 % blocks>(sums[1 / blocks]) + block<0>(x[0][0]));
      store_block(colour[1].at + group, block<2 % blocks>(sums[2 / blocks]) + block<0>(x[0][1]));
      store_block(colour[2].at + group, block<3 % blocks>(sums[3 / blocks]) + block<0>(x[0][2]));
    }
    shade_all(image, start, count, colour, rows, output, plane);
  }
}

// Forward with any number of functions.
template <typename T>
void forward_any(const Image<T>& image, const Skin<T>& skin, int64_t begin, int64_t end, T* output,
                 int64_t plane) {
  const int P = skin.P;
  Row<T> rows[4];
  Places<T> fixed, folded;
  Row<T> colour[kChannels];
  for (int64_t start = begin; start < end; start += kRun) {
    const int count = end - start < kRun ? int(end - start) : kRun;
    locate_all(read(image.fixed, image.width, start, count, rows[0]), skin.fixed_nodes, fixed);
    locate_all(read(image.folded, image.width, start, count, rows[1]), skin.folded_nodes, folded);
    for (int i = 0; i < kRun; ++i) {
      const T* e = skin.functions + fixed.index[i] * P;
      const T* y = skin.table + folded.index[i] * 4 * P;
      const T across = fixed.fraction.at[i];
      const Block<T> down = splat_block(folded.fraction.at[i]);
      Block<T> sum = {};
      for (int p = 0; p < P; ++p) {
        const Reading<T> function = interpolate(e[p], e[P + p], across);
        const Reading<Block<T>> spread = {splat_block(function.value), {}};
        sum = sum + share(spread, read_block(y + 4 * p, 4 * P, down));
      }
      for (int c = 0; c < kChannels; ++c) colour[c].at[i] = sum[c];
    }
    shade_all(image, start, count, colour, rows, output, plane);
  }
}

// What both ways back need of a run.
template <typename T>
struct Run {
  Row<T> rows[6];
  Places<T> fixed, folded;
  Row<T> active[kChannels];  // gradient where the image was not clipped
  Row<T> lower, upper;       // diffuse times the shares of the two nodes of Y
  Row<T> fixed_sums, folded_sums, diffuse_sums;
  const T *fixed_values, *folded_values, *diffuse, *specular;

  void begin(const Image<T>& image, const Skin<T>& skin, int64_t start, int count,
             const Plane<T> (&gradient)[kChannels], const Plane<T> (&rendered)[kChannels]) {
    ask_for_next(image.fixed, image.width, start);
    ask_for_next(image.folded, image.width, start);
    ask_for_next(image.diffuse, image.width, start);
    ask_for_next(image.specular, image.width, start);
    for (int c = 0; c < kChannels; ++c) {
      ask_for_next(gradient[c], image.width, start);
      ask_for_next(rendered[c], image.width, start);
    }
    fixed_values = read(image.fixed, image.width, start, count, rows[0]);
    folded_values = read(image.folded, image.width, start, count, rows[1]);
    diffuse = read(image.diffuse, image.width, start, count, rows[2]);
    specular = read(image.specular, image.width, start, count, rows[3]);
    locate_all(fixed_values, skin.fixed_nodes, fixed);
    locate_all(folded_values, skin.folded_nodes, folded);
    for (int i = 0; i < kRun; ++i) {
      upper.at[i] = diffuse[i] * folded.fraction.at[i];
      lower.at[i] = diffuse[i] - upper.at[i];
    }
    for (int c = 0; c < kChannels; ++c) {
      const T* __restrict above = read(gradient[c], image.width, start, count, rows[4]);
      const T* __restrict value = read(rendered[c], image.width, start, count, rows[5]);
      for (int i = 0; i < kRun; ++i) {
        const T whole = above[i];
        active[c].at[i] = pass(whole, value[i]);
      }
    }
  }

  // Fills the maps' gradients from the sums, and adds to the highlight's.
  void end(const Image<T>& image, const Skin<T>& skin, int64_t start, int count,
           const Gradients<T>& gradients, double (&highlight)[kChannels]) {
    if (gradients.fixed) {
      Write<T> write(gradients.fixed + start, count, rows[4]);
      T* __restrict target = write.at();
      for (int i = 0; i < kRun; ++i) {
        target[i] = diffuse[i] * fixed_sums.at[i] * place_slope(fixed_values[i], skin.fixed_nodes);
      }
    }
    if (gradients.folded) {
      Write<T> write(gradients.folded + start, count, rows[4]);
      T* __restrict target = write.at();
      for (int i = 0; i < kRun; ++i) {
        target[i] =
            diffuse[i] * folded_sums.at[i] * place_slope(folded_values[i], skin.folded_nodes);
      }
    }
    if (gradients.diffuse) {
      Write<T> write(gradients.diffuse + start, count, rows[4]);
      T* __restrict target = write.at();
      for (int i = 0; i < kRun; ++i) target[i] = diffuse_sums.at[i];
    }
    if (gradients.specular) {
      Write<T> write(gradients.specular + start, count, rows[4]);
      T* __restrict target = write.at();
      for (int i = 0; i < kRun; ++i) {
        target[i] = active[0].at[i] * image.highlight[0] + active[1].at[i] * image.highlight[1] +
                    active[2].at[i] * image.highlight[2];
      }
    }
    if (gradients.highlight) {
      for (int c = 0; c < kChannels; ++c) {
        Vector<T> sum = {};
        for (int i = 0; i < kRun; i += kLanes<T>) {
          sum = sum + load(active[c].at + i) * load(specular + i);
        }
        for (int lane = 0; lane < kLanes<T>; ++lane) highlight[c] += double(sum[lane]);
      }
    }
  }
};

template <typename T>
BIOFACENET_INLINE void add_to(T* target, Vector<T> value) {
  store(target, load(target) + value);
}

template <typename T>
BIOFACENET_INLINE void add_block_to(T* target, Block<T> value) {
  store_block(target, load_block(target) + value);
}

// Adds up the lanes of the sums of as many pixels as a vector has lanes, one lane for each pixel: in
// registers where there are thirty-two, else by way of memory.
template <bool Maps, typename Sums>
BIOFACENET_INLINE void add_lanes(const Sums& sums_of, float* fixed, float* folded, float* diffuse) {
  typedef float T;
  constexpr int lanes = kLanes<T>, block = kBlockLanes<T>, groups = lanes / block;
  if constexpr (!Maps) {
    for (int pixel = 0; pixel < lanes; ++pixel) sums_of(pixel);
  } else if constexpr (groups == 4) {
    Vector<T> totals[3][groups];
    for (int g = 0; g < groups; ++g) {
      Vector<T> terms[3][block];
      for_each_vector<block>([&](auto place) __attribute__((always_inline)) {
        constexpr int i = decltype(place)::value;
        const PixelSums<Vector<T>> sums = sums_of(g * block + i);
        terms[0][i] = sums.fixed;
        terms[1][i] = sums.folded;
        terms[2][i] = sums.diffuse;
      });
      for (int t = 0; t < 3; ++t) totals[t][g] = sum_within_blocks<T>(terms[t]);
    }
    store(fixed, sum_blocks<T, groups>(totals[0]));
    store(folded, sum_blocks<T, groups>(totals[1]));
    store(diffuse, sum_blocks<T, groups>(totals[2]));
  } else {
    Partial<T> fixed_terms, folded_terms, diffuse_terms;
    const auto put = [&](int pixel, int place) __attribute__((always_inline)) {
      const PixelSums<Vector<T>> sums = sums_of(pixel);
      fixed_terms.put(place, sums.fixed);
      folded_terms.put(place, sums.folded);
      diffuse_terms.put(place, sums.diffuse);
    };
    constexpr int distance = Partial<T>::distance;
    for (int first = 0; first < lanes; first += 2 * distance) {
      for (int i = 0; i < distance; ++i) {
        put(first + i, first + 2 * i);
        put(first + i + distance, first + 2 * i + 1);
      }
    }
    store(fixed, fixed_terms.sum());
    store(folded, folded_terms.sum());
    store(diffuse, diffuse_terms.sum());
  }
}

template <int Tail, bool Maps, bool Table>
void backward_packed(const Image<float>& image, const Skin<float>& skin, int64_t begin, int64_t end,
                     const Plane<float> (&gradient)[kChannels],
                     const Plane<float> (&rendered)[kChannels], const Gradients<float>& gradients) {
  typedef float T;
  constexpr int lanes = kLanes<T>, vectors = kFull / lanes;
  // Copies, which no store can change.
  const T *const functions = skin.functions, *const table = skin.table;
  const T* const fixed_tails = functions + skin.fixed_nodes * kFull;
  T* const of_table = skin.of_table;
  const unsigned folded_full = unsigned(skin.folded_nodes) * kFull;
  Run<T> run;
  double highlight[kChannels] = {};
  for (int64_t start = begin; start < end; start += kRun) {
    const int count = end - start < kRun ? int(end - start) : kRun;
    run.begin(image, skin, start, count, gradient, rendered);
    for (int group = 0; group < kRun; group += lanes) {
      const auto sums_of = [&](int pixel) __attribute__((always_inline)) {
        const int i = group + pixel;
        const T* e = functions + run.fixed.index[i] * kFull;
        const unsigned at = run.folded.index[i] * kFull;
        const Vector<T> across = splat(run.fixed.fraction.at[i]);
        const Vector<T> down = splat(run.folded.fraction.at[i]);
        const Vector<T> lower = splat(run.lower.at[i]), upper = splat(run.upper.at[i]);
        const T red = run.active[0].at[i], green = run.active[1].at[i], blue = run.active[2].at[i];
        const Vector<T> active = spread<0>(red, green, blue);
        PixelSums<Vector<T>> sums = {};
        if constexpr (Tail) {
          const unsigned tail_at = folded_full + run.folded.index[i] * Tail;
          PixelSums<Block<T>> first = {};
          const Block<T> shone = add_gradients(
              read_block(fixed_tails + run.fixed.index[i] * Tail, Tail, block<0>(across)),
              read_block(table + tail_at, Tail, block<0>(down)), block<0>(active), first);
          if (Maps) sums = {widen(first.fixed), widen(first.folded), widen(first.diffuse)};
          if (Table) {
            add_block_to(of_table + tail_at, shone * block<0>(lower));
            add_block_to(of_table + tail_at + Tail, shone * block<0>(upper));
          }
        }
        for_each_vector<vectors>([&](auto vector) __attribute__((always_inline)) {
          constexpr int v = decltype(vector)::value;
          const Vector<T> shone =
              add_gradients(read_vector(e + v * lanes, kFull, across),
                            read_vector(table + at + v * lanes, kFull, down),
                            v == 0 ? active : spread<v>(red, green, blue), sums);
          if (Table) {
            add_to(of_table + at + v * lanes, shone * lower);
            add_to(of_table + at + kFull + v * lanes, shone * upper);
          }
        });
        return sums;
      };
      add_lanes<Maps>(sums_of, run.fixed_sums.at + group, run.folded_sums.at + group,
                      run.diffuse_sums.at + group);
    }
    run.end(image, skin, start, count, gradients, highlight);
  }
  for (int c = 0; gradients.highlight && c < kChannels; ++c) gradients.highlight[c] += highlight[c];
}

template <typename T, bool Table>
void backward_any(const Image<T>& image, const Skin<T>& skin, int64_t begin, int64_t end,
                  const Plane<T> (&gradient)[kChannels], const Plane<T> (&rendered)[kChannels],
                  const Gradients<T>& gradients) {
  const int P = skin.P;
  Run<T> run;
  double highlight[kChannels] = {};
  for (int64_t start = begin; start < end; start += kRun) {
    const int count = end - start < kRun ? int(end - start) : kRun;
    run.begin(image, skin, start, count, gradient, rendered);
    for (int i = 0; i < kRun; ++i) {
      const T* e = skin.functions + run.fixed.index[i] * P;
      const int at = run.folded.index[i] * 4 * P;
      const T across = run.fixed.fraction.at[i];
      const Block<T> down = splat_block(run.folded.fraction.at[i]);
      const Block<T> lower = splat_block(run.lower.at[i]), upper = splat_block(run.upper.at[i]);
      const Block<T> active = {run.active[0].at[i], run.active[1].at[i], run.active[2].at[i], T(0)};
      PixelSums<Block<T>> sums = {};
      for (int p = 0; p < P; ++p) {
        const Reading<T> function = interpolate(e[p], e[P + p], across);
        const Reading<Block<T>> spread = {splat_block(function.value), splat_block(function.slope)};
        const Block<T> shone = add_gradients(
            spread, read_block(skin.table + at + 4 * p, 4 * P, down), active, sums);
        if (Table) {
          add_block_to(skin.of_table + at + 4 * p, shone * lower);
          add_block_to(skin.of_table + at + 4 * (P + p), shone * upper);
        }
      }
      run.fixed_sums.at[i] = sums.fixed[0] + sums.fixed[1] + sums.fixed[2];
      run.folded_sums.at[i] = sums.folded[0] + sums.folded[1] + sums.folded[2];
      run.diffuse_sums.at[i] = sums.diffuse[0] + sums.diffuse[1] + sums.diffuse[2];
    }
    run.end(image, skin, start, count, gradients, highlight);
  }
  for (int c = 0; gradients.highlight && c < kChannels; ++c) gradients.highlight[c] += highlight[c];
}

// Which of these a skin and the gradients that are wanted take

template <typename T>
void forward(const Image<T>& image, const Skin<T>& skin, int64_t begin, int64_t end, T* output,
             int64_t plane) {
  if constexpr (packed<T>(5)) {
    if (skin.P == 5) return forward_packed<tail<T>(5)>(image, skin, begin, end, output, plane);
    if (skin.P == 6) return forward_packed<tail<T>(6)>(image, skin, begin, end, output, plane);
  }
  forward_any(image, skin, begin, end, output, plane);
}

template <typename T>
void backward(const Image<T>& image, const Skin<T>& skin, int64_t begin, int64_t end,
              const Plane<T> (&gradient)[kChannels], const Plane<T> (&rendered)[kChannels],
              const Gradients<T>& gradients) {
  auto run = skin.of_table ? backward_any<T, true> : backward_any<T, false>;
  if constexpr (packed<T>(5)) {
    const bool maps =
        gradients.fixed || gradients.folded || gradients.diffuse || gradients.specular;
    constexpr int none = tail<T>(5), some = tail<T>(6);
    if (skin.P == 5) {
      run = !maps           ? backward_packed<none, false, true>
            : skin.of_table ? backward_packed<none, true, true>
                            : backward_packed<none, true, false>;
    } else if (skin.P == 6) {
      run = !maps           ? backward_packed<some, false, true>
            : skin.of_table ? backward_packed<some, true, true>
                            : backward_packed<some, true, false>;
    }
  }
  run(image, skin, begin, end, gradient, rendered, gradients);
}

template <typename T>
void fold_alone(const LightTables<T>& tables, const Light<T>& inputs, Folding<double>& folding) {
  fold(Alone(), tables, inputs, folding);
}

template <typename T>
void fold_backward_alone(const LightTables<T>& tables, const Light<T>& inputs,
                         const Folding<double>& folding, const double* of_weights,
                         const double* of_highlight, FoldingBackward<double>& backward) {
  fold_backward(Alone(), tables, inputs, folding, of_weights, of_highlight, backward);
}

template <typename T>
constexpr KernelsOf<T> kernels_of() {
  return {fold_alone<T>, fold_backward_alone<T>, copy_functions<T>, make_table<T>,
          gather<T>,     forward<T>,             backward<T>};
}

}  // namespace

extern const Kernels kernels = {kernels_of<float>(), kernels_of<double>()};

}  // namespace BIOFACENET_TARGET
}  // namespace biofacenet
