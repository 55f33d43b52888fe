// Rows of eights: a function a lane, and the sums over them, a pixel a lane.
#pragma once

#include "vector.h"

namespace biofacenet {
namespace BIOFACENET_TARGET {
namespace {

// What is summed over: eight lanes, or four, to which the halves are added, where vectors have no more.
#if defined(__AVX2__)
typedef Eight<float> Lanes;
#else
typedef Block<float> Lanes;
#endif
constexpr int kSummed = int(sizeof(Lanes) / sizeof(float));
constexpr int kSteps = kSummed == 8 ? 3 : 2;

BIOFACENET_INLINE Lanes in_one(const Eight<float>& eight) {
  if constexpr (kSummed == 8) {
    return *reinterpret_cast<const Lanes*>(&eight);
  } else {
    union {
      Eight<float> whole;
      Lanes halves[2];
    } split = {eight};
    return split.halves[0] + split.halves[1];
  }
}

BIOFACENET_INLINE void store_summed(float* to, Lanes lanes) {
  typedef Lanes Unaligned __attribute__((aligned(4), may_alias));
  *reinterpret_cast<Unaligned*>(to) = lanes;
}

BIOFACENET_INLINE void add_eight_to(float* target, const Eight<float>& value) {
  store_eight(target, load_eight(target) + value);
}

#if defined(__AVX512F__)
typedef Vector<float> TwoEights;

BIOFACENET_INLINE TwoEights twice(const float* eight) {
  return TwoEights(_mm512_broadcast_f32x8(_mm256_loadu_ps(eight)));
}

BIOFACENET_INLINE Eight<float> first_eight(const TwoEights& two) {
  return Eight<float>(_mm512_castps512_ps256(__m512(two)));
}

// The first, or the second, eights of a and b.
template <bool Second>
BIOFACENET_INLINE TwoEights eights_of(const TwoEights& a, const TwoEights& b) {
  return TwoEights(_mm512_shuffle_f32x4(__m512(a), __m512(b), Second ? 0xEE : 0x44));
}

// The first eight of a, and the second of b.
BIOFACENET_INLINE TwoEights eight_each(const TwoEights& a, const TwoEights& b) {
  return TwoEights(_mm512_mask_blend_ps(0xFF00, __m512(a), __m512(b)));
}
#endif

// In each block the even, or the odd, lanes of a, then those of b: of all shuffles of two vectors the one
// that processors do on two units.
template <int Of, bool Odd>
struct EveryOther {
  static constexpr int source(int lane) {
    const int start = lane / 4 * 4, place = lane % 4;
    return (place < 2 ? 0 : Of) + start + 2 * (place % 2) + (Odd ? 1 : 0);
  }
};

// Of each pair of blocks the first of a and the second of b; `Crossed`, the second of a and the first of b.
template <int Of, bool Crossed>
struct BlockOfEach {
  static constexpr int source(int lane) {
    const int from = lane / 4 % 2, pair = lane / 8 * 8;
    return from * Of + pair + (Crossed ? 1 - from : from) * 4 + lane % 4;
  }
};

// A step of the sums over each eight lanes of eight vectors, or each four of four: 1 and 2 of lanes within
// blocks, 3 of blocks. After all steps each lane is the sum over one vector's.
template <int Step, typename V>
BIOFACENET_INLINE V sum_of_two(V a, V b) {
  constexpr int of = int(sizeof(V) / sizeof(float));
  typedef typename Count<of>::type All;
  if constexpr (Step == 3) {
    return shuffle<BlockOfEach<of, false>>(a, b, All()) + shuffle<BlockOfEach<of, true>>(a, b, All());
  } else {
    return shuffle<EveryOther<of, false>>(a, b, All()) + shuffle<EveryOther<of, true>>(a, b, All());
  }
}

// Some vectors of a pixel.
template <typename V, int Vectors>
struct Several {
  V at[Vectors];
};
typedef Several<Lanes, 3> Three;

// The sums over lanes of the vectors of each of 2^Steps pixels, a pixel a lane; `of(pixel)` gives the
// vectors. Added up on the way, so that few wait for their like.
template <int Steps, typename Of>
BIOFACENET_INLINE auto sum_lanes(const Of& of, int first) {
  if constexpr (Steps == 0) {
    return of(first);
  } else {
    auto a = sum_lanes<Steps - 1>(of, first);
    const auto b = sum_lanes<Steps - 1>(of, first + (1 << (Steps - 1)));
    for (unsigned i = 0; i < sizeof(a) / sizeof(a.at[0]); ++i) {
      a.at[i] = sum_of_two<Steps>(a.at[i], b.at[i]);
    }
    return a;
  }
}

}  // namespace
}  // namespace BIOFACENET_TARGET
}  // namespace biofacenet
