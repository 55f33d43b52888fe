// The tables of a few functions in shared memory, so that random reads do not wait for each other.
//
// A node of an axis is a row, and a row holds each group of numbers as often as it fits: the eight lanes
// that shared memory serves at a time read copies in different banks. Of the rows of 128 bytes this is so
// for all eight; rows of 64 bytes take half the room, and two lanes may wait for each other.
//
//   E  copies of e_1 .. e_4         Y  copies of [Y_p1 Y_p2 Y_p3 -] for p = 1 .. 4
//   F  copies of e_5, e_6           G  copies of [Y_51 Y_52 Y_53 Y_61]     H  copies of [Y_62 Y_63]
//
// Functions that a skin has less than six of are 0.
//
// Lanes read the four parts of Y each in an order of its own, part j ^ lane % 4 in turn j, so that four
// lanes need one copy; the copies of e_1 .. e_4 have these orders too.
#pragma once

#include "common.cuh"

namespace biofacenet {
namespace cuda {

constexpr int kFunctions = 6;  // at most
constexpr int kTurns = 4;      // functions that are read in a lane's own order; the others follow
constexpr int kPart = 16;      // bytes

struct alignas(8) Two {
  float at[2];
};

// Row is 128 or 64.
template <int Row>
struct Tables {
  static constexpr int64_t bytes(int fixed_nodes, int folded_nodes) {
    return int64_t(Row) * (fixed_nodes * 2 + folded_nodes * 3);
  }

  char *e, *f, *y, *g, *h;
  int part, two;  // offsets within a row of what this lane reads

  __device__ __forceinline__ Tables(char* memory, int fixed_nodes, int folded_nodes, int lane) {
    e = memory;
    f = e + fixed_nodes * Row;
    y = f + fixed_nodes * Row;
    g = y + folded_nodes * Row;
    h = g + folded_nodes * Row;
    part = lane % (Row / kPart) * kPart;
    two = lane % (Row / 8) * 8;
  }

  // Copies P functions of the fixed axis.
  __device__ __forceinline__ void stage_fixed(const float* functions, int nodes, int P) const {
    constexpr int kCopies = Row / kPart, kTwos = Row / 8;
#pragma unroll 4
    for (int i = threadIdx.x; i < nodes * kCopies; i += blockDim.x) {
      const float* const from = functions + i / kCopies * P;
      Four copy;
      for (int j = 0; j < kTurns; ++j) {
        const int p = j ^ i % kTurns;
        copy.at[j] = p < P ? from[p] : 0.0f;
      }
      reinterpret_cast<Four*>(e)[i] = copy;
    }
#pragma unroll 4
    for (int i = threadIdx.x; i < nodes * kTwos; i += blockDim.x) {
      const float* const from = functions + i / kTwos * P;
      reinterpret_cast<Two*>(f)[i] = {{P > 4 ? from[4] : 0.0f, P > 5 ? from[5] : 0.0f}};
    }
  }

  // Copies an image's table, [nodes][P][kChannels].
  __device__ __forceinline__ void stage_folded(const float* table, int nodes, int P) const {
    constexpr int kCopies = Row / kPart, kTwos = Row / 8;
    const int width = P * kChannels;
#pragma unroll 4
    for (int i = threadIdx.x; i < nodes * kCopies; i += blockDim.x) {
      const float* const from = table + i / kCopies * width;
      const auto at = [&](int p, int c) { return p < P ? from[p * kChannels + c] : 0.0f; };
      const int own = i % kTurns;
      reinterpret_cast<Four*>(y)[i] = {{at(own, 0), at(own, 1), at(own, 2), 0.0f}};
      reinterpret_cast<Four*>(g)[i] = {{at(4, 0), at(4, 1), at(4, 2), at(5, 0)}};
    }
#pragma unroll 4
    for (int i = threadIdx.x; i < nodes * kTwos; i += blockDim.x) {
      const float* const last = table + i / kTwos * width + 5 * kChannels;
      reinterpret_cast<Two*>(h)[i] = {{P > 5 ? last[1] : 0.0f, P > 5 ? last[2] : 0.0f}};
    }
  }

  // The functions at a node, the first four in the lane's order.
  __device__ __forceinline__ void read_fixed(int node, float (&values)[kFunctions]) const {
    const Four four = *reinterpret_cast<const Four*>(e + node * Row + part);
    const Two last = *reinterpret_cast<const Two*>(f + node * Row + two);
    for (int j = 0; j < kTurns; ++j) values[j] = four.at[j];
    for (int j = 0; j < 2; ++j) values[kTurns + j] = last.at[j];
  }

  // The image's table at a node, in the same order.
  __device__ __forceinline__ void read_folded(int node,
                                              float (&values)[kFunctions][kChannels]) const {
    const char* const row = y + node * Row;
    for (int j = 0; j < kTurns; ++j) {
      // Parts lie on multiples of 16 bytes, and four of them on 64: the exclusive or counts parts.
      const Four four = *reinterpret_cast<const Four*>(row + (part ^ (j * kPart)));
      for (int c = 0; c < kChannels; ++c) values[j][c] = four.at[c];
    }
    const Four fifth = *reinterpret_cast<const Four*>(g + node * Row + part);
    const Two last = *reinterpret_cast<const Two*>(h + node * Row + two);
    for (int c = 0; c < kChannels; ++c) values[4][c] = fifth.at[c];
    values[5][0] = fifth.at[3];
    values[5][1] = last.at[0];
    values[5][2] = last.at[1];
  }
};

}  // namespace cuda
}  // namespace biofacenet
