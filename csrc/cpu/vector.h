// Vectors of the compiler's own: one source for AVX-512, AVX2, NEON and anything else.
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "../pixel.h"

namespace biofacenet {
namespace BIOFACENET_TARGET {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;  // NEON, SSE2
#endif

template <typename T>
struct VectorOf {
  static constexpr int lanes = kVectorBytes / int(sizeof(T));
  typedef T type __attribute__((vector_size(kVectorBytes)));
  typedef T unaligned __attribute__((vector_size(kVectorBytes), aligned(sizeof(T)), may_alias));
};

template <typename T>
using Vector = typename VectorOf<T>::type;
template <typename T>
constexpr int kLanes = VectorOf<T>::lanes;

template <typename T>
BIOFACENET_INLINE Vector<T> load(const T* from) {
  return *reinterpret_cast<const typename VectorOf<T>::unaligned*>(from);
}

template <typename T>
BIOFACENET_INLINE void store(T* to, Vector<T> vector) {
  *reinterpret_cast<typename VectorOf<T>::unaligned*>(to) = vector;
}

template <typename T>
BIOFACENET_INLINE Vector<T> splat(T value) {
  return value - Vector<T>{};
}

// Lanes of a 128-bit block: shuffles within blocks are the cheapest.
template <typename T>
constexpr int kBlockLanes = 16 / int(sizeof(T));

// A block of four, for float the 128 bits that all instruction sets have.
template <typename T>
struct BlockOf {
  typedef T type __attribute__((vector_size(4 * sizeof(T))));
  typedef T unaligned __attribute__((vector_size(4 * sizeof(T)), aligned(sizeof(T)), may_alias));
};

template <typename T>
using Block = typename BlockOf<T>::type;

template <typename T>
BIOFACENET_INLINE Block<T> load_block(const T* from) {
  return *reinterpret_cast<const typename BlockOf<T>::unaligned*>(from);
}

template <typename T>
BIOFACENET_INLINE void store_block(T* to, Block<T> block) {
  *reinterpret_cast<typename BlockOf<T>::unaligned*>(to) = block;
}

template <typename T>
BIOFACENET_INLINE Block<T> splat_block(T value) {
  return value - Block<T>{};
}

// Eight numbers, of one vector or several.
template <typename T>
struct EightOf {
  typedef T type __attribute__((vector_size(8 * sizeof(T))));
  typedef T unaligned __attribute__((vector_size(8 * sizeof(T)), aligned(sizeof(T)), may_alias));
};

template <typename T>
using Eight = typename EightOf<T>::type;

template <typename T>
BIOFACENET_INLINE Eight<T> load_eight(const T* from) {
  return *reinterpret_cast<const typename EightOf<T>::unaligned*>(from);
}

template <typename T>
BIOFACENET_INLINE void store_eight(T* to, const Eight<T>& eight) {
  *reinterpret_cast<typename EightOf<T>::unaligned*>(to) = eight;
}

template <typename T>
BIOFACENET_INLINE Eight<T> splat_eight(T value) {
  return value - Eight<T>{};
}

// A block of a vector.
template <int Index>
BIOFACENET_INLINE Block<float> block(Vector<float> vector) {
#if defined(__AVX512F__)
  if constexpr (Index == 0) return Block<float>(_mm512_castps512_ps128(__m512(vector)));
  return Block<float>(_mm512_extractf32x4_ps(__m512(vector), Index));
#elif defined(__AVX2__)
  if constexpr (Index == 0) return Block<float>(_mm256_castps256_ps128(__m256(vector)));
  return Block<float>(_mm256_extractf128_ps(__m256(vector), Index));
#else
  static_assert(Index == 0, "one block to a vector");
  return vector;
#endif
}

// Vector `Index` of the sixteen numbers (a b c .) (a a a a) (b b b b) (c c c c).
template <int Index>
BIOFACENET_INLINE Vector<float> spread(float a, float b, float c) {
#if defined(__AVX512F__)
  const __m512 with_b = _mm512_mask_broadcastss_ps(_mm512_set1_ps(a), 0x0F02, _mm_set_ss(b));
  return Vector<float>(_mm512_mask_broadcastss_ps(with_b, 0xF004, _mm_set_ss(c)));
#elif defined(__AVX2__)
  if constexpr (Index == 1) return Vector<float>(_mm256_blend_ps(_mm256_set1_ps(b), _mm256_set1_ps(c), 0xF0));
  const __m256 with_b = _mm256_blend_ps(_mm256_set1_ps(a), _mm256_set1_ps(b), 0x02);
  return Vector<float>(_mm256_blend_ps(with_b, _mm256_set1_ps(c), 0x04));
#else
  if constexpr (Index == 0) return Vector<float>{a, b, c, 0.0f};
  return splat(Index == 1 ? a : (Index == 2 ? b : c));
#endif
}

template <int... Lane>
struct Indices {};
template <int N, int... Lane>
struct Count : Count<N - 1, N - 1, Lane...> {};
template <int... Lane>
struct Count<0, Lane...> {
  typedef Indices<Lane...> type;
};

// A shuffle of two vectors: output lane i takes lane Pattern::source(i) of the concatenation (a, b).
template <typename Pattern, typename V, int... Lane>
BIOFACENET_INLINE V shuffle(V a, V b, Indices<Lane...>) {
#if defined(__clang__) || __GNUC__ >= 12
  return __builtin_shufflevector(a, b, Pattern::source(Lane)...);
#else
  typedef decltype(a < b) Mask;
  return __builtin_shuffle(a, b, Mask{Pattern::source(Lane)...});
#endif
}

// Runs of `Run` lanes taken from a and b in turn, within each block: the lower or the upper half.
template <typename T, int Run, bool Upper>
struct Interleave {
  static constexpr int source(int lane) {
    constexpr int block = kBlockLanes<T>;
    const int start = lane / block * block;
    const int pair = (lane - start) / (2 * Run) + (Upper ? block / Run / 2 : 0);
    const int from_b = (lane - start) / Run % 2;
    return from_b * kLanes<T> + start + pair * Run + lane % Run;
  }
};

// Every other block, first those of a, then those of b.
template <typename T, bool Odd>
struct Alternate {
  static constexpr int source(int lane) {
    constexpr int block = kBlockLanes<T>;
    constexpr int from_each = kLanes<T> / block / 2;
    const int output = lane / block;
    const int from_b = output / (from_each ? from_each : 1);
    const int taken = 2 * (output % (from_each ? from_each : 1)) + (Odd ? 1 : 0);
    return from_b * kLanes<T> + taken * block + lane % block;
  }
};

template <typename Pattern, typename T>
BIOFACENET_INLINE Vector<T> shuffled(Vector<T> a, Vector<T> b) {
  return shuffle<Pattern>(a, b, typename Count<kLanes<T>>::type());
}

// Transposes the square of lanes in each block of as many vectors as a block has lanes.
template <typename T>
BIOFACENET_INLINE void transpose_blocks(Vector<T> (&x)[kBlockLanes<T>]) {
  if constexpr (kBlockLanes<T> == 2) {
    const Vector<T> first = shuffled<Interleave<T, 1, false>, T>(x[0], x[1]);
    x[1] = shuffled<Interleave<T, 1, true>, T>(x[0], x[1]);
    x[0] = first;
  } else {
    static_assert(kBlockLanes<T> == 4, "blocks of two or four lanes");
    const Vector<T> a = shuffled<Interleave<T, 1, false>, T>(x[0], x[1]);
    const Vector<T> b = shuffled<Interleave<T, 1, true>, T>(x[0], x[1]);
    const Vector<T> c = shuffled<Interleave<T, 1, false>, T>(x[2], x[3]);
    const Vector<T> d = shuffled<Interleave<T, 1, true>, T>(x[2], x[3]);
    x[0] = shuffled<Interleave<T, 2, false>, T>(a, c);
    x[1] = shuffled<Interleave<T, 2, true>, T>(a, c);
    x[2] = shuffled<Interleave<T, 2, false>, T>(b, d);
    x[3] = shuffled<Interleave<T, 2, true>, T>(b, d);
  }
}

// Adds up the blocks of each of `Count` vectors, which together then fill one vector.
template <typename T, int Vectors>
BIOFACENET_INLINE Vector<T> sum_blocks(const Vector<T>* x) {
  if constexpr (Vectors == 1) {
    return x[0];
  } else {
    const Vector<T> a = sum_blocks<T, Vectors / 2>(x);
    const Vector<T> b = sum_blocks<T, Vectors / 2>(x + Vectors / 2);
    return shuffled<Alternate<T, false>, T>(a, b) + shuffled<Alternate<T, true>, T>(a, b);
  }
}

// Adds up the lanes within blocks of as many vectors as a block has lanes, one lane for each.
template <typename T>
BIOFACENET_INLINE Vector<T> sum_within_blocks(Vector<T> (&x)[kBlockLanes<T>]) {
  if constexpr (kBlockLanes<T> == 2) {
    return shuffled<Interleave<T, 1, false>, T>(x[0], x[1]) +
           shuffled<Interleave<T, 1, true>, T>(x[0], x[1]);
  } else {
    const Vector<T> a = shuffled<Interleave<T, 1, false>, T>(x[0], x[1]) +
                        shuffled<Interleave<T, 1, true>, T>(x[0], x[1]);
    const Vector<T> b = shuffled<Interleave<T, 1, false>, T>(x[2], x[3]) +
                        shuffled<Interleave<T, 1, true>, T>(x[2], x[3]);
    return shuffled<Interleave<T, 2, false>, T>(a, b) + shuffled<Interleave<T, 2, true>, T>(a, b);
  }
}

// One vector for each of kLanes pixels, waiting to be summed over its lanes. Where a vector has two
// or more blocks its halves are kept apart, two pixels to a vector, so that the first addition of the
// sum needs no shuffle.
template <typename T>
struct alignas(64) Partial {
  static constexpr bool halved = kLanes<T> > kBlockLanes<T>;
  static constexpr int half = kLanes<T> / 2;
  T low[kLanes<T> * kLanes<T> / (halved ? 2 : 1)];
  T high[halved ? kLanes<T> * kLanes<T> / 2 : 1];

  // Pixels `distance` apart share a vector, which leaves the sums in order: runs of 2 * distance pixels
  // take as many places, the first and the second half of a run in turn.
  static constexpr int distance = halved ? kBlockLanes<T> : 1;

  BIOFACENET_INLINE void put(int place, Vector<T> vector) {
    if constexpr (halved) {
      typedef T Half __attribute__((vector_size(kVectorBytes / 2)));
      typedef T Place __attribute__((vector_size(kVectorBytes / 2), aligned(sizeof(T)), may_alias));
      union {
        Vector<T> whole;
        Half halves[2];
      } split = {vector};
      *reinterpret_cast<Place*>(low + place * half) = split.halves[0];
      *reinterpret_cast<Place*>(high + place * half) = split.halves[1];
    } else {
      store(low + place * kLanes<T>, vector);
    }
  }

  // One lane for each pixel.
  BIOFACENET_INLINE Vector<T> sum() const {
    constexpr int lanes = kLanes<T>, block = kBlockLanes<T>;
    constexpr int groups = halved ? lanes / (2 * block) : 1;
    Vector<T> totals[groups];
    for (int g = 0; g < groups; ++g) {
      Vector<T> x[block];
      for (int i = 0; i < block; ++i) {
        const int at = (g * block + i) * lanes;
        x[i] = halved ? load(low + at) + load(high + at) : load(low + at);
      }
      totals[g] = sum_within_blocks<T>(x);
    }
    return sum_blocks<T, groups>(totals);
  }
};

}  // namespace BIOFACENET_TARGET
}  // namespace biofacenet
