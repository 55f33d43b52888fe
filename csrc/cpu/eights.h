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

// In each block the even, or the odd, lanes of a, then those of b: of all shuffles of two vectors the one
// that processors do on two units.
template <bool Odd>
struct EveryOther {
  static constexpr int source(int lane) {
    constexpr int block = 4;
    const int start = lane / block * block, place = lane % block;
    return (place < block / 2 ? 0 : kSummed)+start + 2 * (place % (block / 2)) + (Odd ? 1 : 0);
  }
};

// The first block of a and the second of b; `Crossed`, the second of a and the first of b.
template <bool Crossed>
struct BlockOfEach {
  static constexpr int source(int lane) {
    constexpr int block = 4;
    const int from = lane / block;
    return from * kSummed + (Crossed ? 1 - from : from) * block + lane % block;
  }
};

// A step of the sums over lanes of as many vectors as one has lanes: 1 and 2 of lanes within blocks, 3 of
// blocks. After all steps each lane is the sum over one vector's.
template <int Step>
BIOFACENET_INLINE Lanes sum_of_two(Lanes a, Lanes b) {
  typedef typename Count<kSummed>::type All;
  if constexpr (Step == 3) {
    return shuffle<BlockOfEach<false>>(a, b, All()) + shuffle<BlockOfEach<true>>(a, b, All());
  } else {
    return shuffle<EveryOther<false>>(a, b, All()) + shuffle<EveryOther<true>>(a, b, All());
  }
}

// The sums over lanes of three vectors of each of 2^Steps pixels, a pixel a lane; `of(pixel)` gives the
// three. Added up on the way, so that few wait for their like.
struct Three {
  Lanes at[3];
};

template <int Steps, typename Of>
BIOFACENET_INLINE Three sum_lanes(const Of& of, int first) {
  if constexpr (Steps == 0) {
    return of(first);
  } else {
    const Three a = sum_lanes<Steps - 1>(of, first);
    const Three b = sum_lanes<Steps - 1>(of, first + (1 << (Steps - 1)));
    return {{sum_of_two<Steps>(a.at[0], b.at[0]), sum_of_two<Steps>(a.at[1], b.at[1]),
             sum_of_two<Steps>(a.at[2], b.at[2])}};
  }
}

}  // namespace
}  // namespace BIOFACENET_TARGET
}  // namespace biofacenet
