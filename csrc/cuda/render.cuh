// Rendering by up to six functions in single precision: a pixel a thread at a time, tables in shared memory.
//
// Two nodes of an axis are read and the sums over functions interpolated, not the functions: reading is
// linear, and there are fewer sums. What all pixels of an image share is the sum of an outer product,
// D_q(y) with g_c e_p(x) diffuse (fold.h has how it leads on). A warp lays 32 pixels of both factors
// in a strip of shared memory; then each of its four groups of eight lanes takes every fourth pixel, and
// a lane a piece of the product, 3 q by 3 p by 3 c. Blocks store their items' sums, and a second kernel
// adds them up in order: equal inputs, equal bits.
#pragma once

#include "tables.cuh"

namespace biofacenet {
namespace cuda {

constexpr int kForwardThreads = 512, kBackwardThreads = 256;
constexpr int kOthers = 12;      // most functions of the folded axis
constexpr int kOthersRow = 64;   // bytes of a node's: four parts, of three functions and nothing

// The items of a block: neighbours, so that few of them are of another image than the one before.
struct Share {
  unsigned first, last;

  __device__ __forceinline__ explicit Share(const Items& items) {
    first = unsigned(uint64_t(items.count) * blockIdx.x / gridDim.x);
    last = unsigned(uint64_t(items.count) * (blockIdx.x + 1) / gridDim.x);
  }
};

template <typename Map, int Row, bool Together>
__global__ void __launch_bounds__(kForwardThreads, 1)
    render(Maps<Map> maps, Lit<float> lit, Items items, Map* image) {
  BIOFACENET_DYNAMIC_SHARED(Four, shared);
  const Tables<Row> tables(reinterpret_cast<char*>(shared), lit.fixed_nodes, lit.folded_nodes,
                              threadIdx.x % kWarp);
  tables.stage_fixed(lit.functions, lit.fixed_nodes, lit.P);
  int64_t staged = -1;
  const Share share(items);
  for (unsigned index = share.first; index < share.last; ++index) {
    const Item item(items, index);
    if (lit.light(item.image) != staged) {
      __syncthreads();
      staged = lit.light(item.image);
      tables.stage_folded(lit.table_of(item.image), lit.folded_nodes, lit.P);
      __syncthreads();
    }
    const float* const highlight = lit.highlight_of(item.image);
    Map* const output = image + item.image * kChannels * items.pixels + item.begin;
    for (int start = 0; start < item.count; start += kForwardThreads * kPixels) {
      const Place<Together> place(start, kForwardThreads);
      Values<float> own;
      read(maps, item, place, own);
      float colour[kChannels][kPixels];
#pragma unroll
      for (int k = 0; k < kPixels; ++k) {
        const Position<float> x = locate(own.fixed[k], lit.fixed_nodes);
        const Position<float> y = locate(own.folded[k], lit.folded_nodes);
        float low[kFunctions], high[kFunctions], e[kFunctions];
        float rows[kFunctions][kChannels], skin[2][kChannels] = {};
        tables.read_fixed(x.index, low);
        tables.read_fixed(x.index + 1, high);
        for (int j = 0; j < kFunctions; ++j) e[j] = interpolate(low[j], high[j], x.fraction).value;
        for (int side = 0; side < 2; ++side) {
          tables.read_folded(y.index + side, rows);
          for (int j = 0; j < kFunctions; ++j) {
            for (int c = 0; c < kChannels; ++c) skin[side][c] += e[j] * rows[j][c];
          }
        }
        for (int c = 0; c < kChannels; ++c) {
          const float seen = interpolate(skin[0][c], skin[1][c], y.fraction).value;
          colour[c][k] = shade(seen, own.diffuse[k], own.specular[k], highlight[c]);
        }
      }
      for (int c = 0; c < kChannels; ++c) store(output + c * items.pixels, place, item.count, colour[c]);
    }
  }
}

// The sum of outer products that a warp works on.
struct Outer {
  static constexpr int kOthersStride = 80, kSkinStride = 112;  // bytes: rows of neighbours, other banks
  static constexpr int kBytes = kWarp * (kOthersStride + kSkinStride);
  static constexpr int kQ = 3, kP = 3;              // of a lane's piece
  static constexpr int kPieces = kOthers / kQ * 2;  // lanes of a group

  const char* others;  // [nodes] rows of kOthersRow, in shared memory
  char *strip, *skin;
  int lane;
  float sums[kQ][kP][kChannels];

  __device__ __forceinline__ Outer(const char* others, char* strip, int lane)
      : others(others), strip(strip), skin(strip + kWarp * kOthersStride), lane(lane) {}

  __device__ __forceinline__ void clear() {
    for (int q = 0; q < kQ; ++q) {
      for (int p = 0; p < kP; ++p) {
        for (int c = 0; c < kChannels; ++c) sums[q][p][c] = 0.0f;
      }
    }
  }

  // Adds the warp's pixels, one a lane: a place of the folded axis, and both factors but for D.
  __device__ __forceinline__ void add(const Position<float>& y, const float (&e)[kFunctions],
                                      const float (&shone)[kChannels]) {
    const int own = lane % kTurns * kPart;
    const char* const row = others + y.index * kOthersRow;
    char* const to_others = strip + lane * kOthersStride;
    char* const to_skin = skin + lane * kSkinStride;
    __syncwarp();
    for (int j = 0; j < kTurns; ++j) {
      const int part = own ^ (j * kPart);
      const Four low = *reinterpret_cast<const Four*>(row + part);
      const Four high = *reinterpret_cast<const Four*>(row + kOthersRow + part);
      Four d = {};
      for (int q = 0; q < kQ; ++q) d.at[q] = interpolate(low.at[q], high.at[q], y.fraction).value;
      *reinterpret_cast<Four*>(to_others + part) = d;
    }
    for (int j = 0; j < kFunctions; ++j) {
      const int part = j < kTurns ? own ^ (j * kPart) : j * kPart;
      *reinterpret_cast<Four*>(to_skin + part) = {
          {e[j] * shone[0], e[j] * shone[1], e[j] * shone[2], 0.0f}};
    }
    __syncwarp();
    const char* const from_others = strip + lane / kPieces * kOthersStride + own;
    const char* const from_skin = skin + lane / kPieces * kSkinStride + lane / kTurns % 2 * (kP * kPart);
#pragma unroll 2
    for (int turn = 0; turn < kWarp; turn += kWarp / kPieces) {
      const Four d = *reinterpret_cast<const Four*>(from_others + turn * kOthersStride);
      for (int p = 0; p < kP; ++p) {
        const Four s = *reinterpret_cast<const Four*>(from_skin + turn * kSkinStride + p * kPart);
        for (int q = 0; q < kQ; ++q) {
          for (int c = 0; c < kChannels; ++c) sums[q][p][c] += d.at[q] * s.at[c];
        }
      }
    }
  }

  // The warp's sums, [Q][P][kChannels], to a line of shared memory.
  __device__ __forceinline__ void finish(int Q, int P, float* line) {
    for (int q = 0; q < kQ; ++q) {
      for (int p = 0; p < kP; ++p) {
        for (int c = 0; c < kChannels; ++c) {
          float& sum = sums[q][p][c];
          for (int step = kPieces; step < kWarp; step *= 2) {
            sum += __shfl_xor_sync(kAllLanes, sum, step);
          }
          const int to_q = lane % kTurns * kQ + q, to_p = lane / kTurns % 2 * kP + p;
          if (lane < kPieces && to_q < Q && to_p < P) {
            line[(to_q * P + to_p) * kChannels + c] = sum;
          }
        }
      }
    }
  }
};

// Copies the functions of the folded axis, zeros behind the last.
__device__ __forceinline__ void stage_others(const float* functions, int nodes, int Q, char* shared) {
#pragma unroll 4
  for (int i = threadIdx.x; i < nodes * (kOthersRow / 4); i += blockDim.x) {
    const int place = i % (kOthersRow / 4), q = place / 4 * Outer::kQ + place % 4;
    const bool there = place % 4 < Outer::kQ && q < Q;
    reinterpret_cast<float*>(shared)[i] = there ? functions[i / (kOthersRow / 4) * Q + q] : 0.0f;
  }
}

template <int Row>
constexpr int64_t backward_shared(int fixed_nodes, int folded_nodes, bool sums) {
  const int64_t outer = folded_nodes * kOthersRow + kBackwardThreads / kWarp * Outer::kBytes;
  return Tables<Row>::bytes(fixed_nodes, folded_nodes) + (sums ? outer : 0);
}

template <typename Map, int Row, bool Together, bool Sums>
__global__ void __launch_bounds__(kBackwardThreads, 1)
    render_backward(Maps<Map> maps, Lit<float> lit, Items items, Colours<Map> colours,
                    Results<Map, float> results) {
  BIOFACENET_DYNAMIC_SHARED(Four, shared);
  char* const memory = reinterpret_cast<char*>(shared);
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const Tables<Row> tables(memory, lit.fixed_nodes, lit.folded_nodes, lane);
  char* const others = memory + Tables<Row>::bytes(lit.fixed_nodes, lit.folded_nodes);
  char* const strips = others + lit.folded_nodes * kOthersRow;
  tables.stage_fixed(lit.functions, lit.fixed_nodes, lit.P);
  if (Sums) stage_others(lit.others, lit.folded_nodes, lit.Q, others);
  int64_t staged = -1;
  const Share share(items);
  for (unsigned index = share.first; index < share.last; ++index) {
    const Item item(items, index);
    __syncthreads();
    if (lit.light(item.image) != staged) {
      staged = lit.light(item.image);
      tables.stage_folded(lit.table_of(item.image), lit.folded_nodes, lit.P);
      __syncthreads();
    }
    const float* const highlight = lit.highlight_of(item.image);
    const int64_t first = item.image * items.pixels + item.begin;
    // Made anew for each item: the lines of the one before lay in its strip.
    Outer outer(others, Sums ? strips + warp * Outer::kBytes : memory, lane);
    float of_highlight[kChannels] = {};
    if (Sums) outer.clear();
    for (int start = 0; start < item.count; start += kBackwardThreads * kPixels) {
      const Place<Together> place(start, kBackwardThreads);
      Values<float> own, found;
      float gradient[kChannels][kPixels];
      read(maps, item, place, own);
      read(colours, items, item, place, gradient);
#pragma unroll
      for (int k = 0; k < kPixels; ++k) {
        const Position<float> x = locate(own.fixed[k], lit.fixed_nodes);
        const Position<float> y = locate(own.folded[k], lit.folded_nodes);
        float low[kFunctions], high[kFunctions], e[kFunctions], slope[kFunctions];
        float rows[kFunctions][kChannels], above[kChannels];
        for (int c = 0; c < kChannels; ++c) above[c] = gradient[c][k];
        tables.read_fixed(x.index, low);
        tables.read_fixed(x.index + 1, high);
        for (int j = 0; j < kFunctions; ++j) {
          const Reading<float> reading = interpolate(low[j], high[j], x.fraction);
          e[j] = reading.value;
          slope[j] = reading.slope;
        }
        float value[2] = {}, change[2] = {};  // sums with e and with its slope, at both nodes of y
        for (int side = 0; side < 2; ++side) {
          tables.read_folded(y.index + side, rows);
          for (int j = 0; j < kFunctions; ++j) {
            const float seen = weigh(rows[j], above);
            value[side] += e[j] * seen;
            change[side] += slope[j] * seen;
          }
        }
        const float d = own.diffuse[k];
        const Reading<float> sum = interpolate(value[0], value[1], y.fraction);
        found.fixed[k] = d * interpolate(change[0], change[1], y.fraction).value *
                         place_slope(own.fixed[k], lit.fixed_nodes);
        found.folded[k] = d * sum.slope * place_slope(own.folded[k], lit.folded_nodes);
        found.diffuse[k] = sum.value;
        found.specular[k] = gradient[0][k] * highlight[0];
        for (int c = 1; c < kChannels; ++c) found.specular[k] += gradient[c][k] * highlight[c];
        if (Sums) {
          float shone[kChannels];
          for (int c = 0; c < kChannels; ++c) {
            shone[c] = gradient[c][k] * d;
            of_highlight[c] += gradient[c][k] * own.specular[k];
          }
          outer.add(y, e, shone);
        }
      }
      if (results.fixed) store(results.fixed + first, place, item.count, found.fixed);
      if (results.folded) store(results.folded + first, place, item.count, found.folded);
      if (results.diffuse) store(results.diffuse + first, place, item.count, found.diffuse);
      if (results.specular) store(results.specular + first, place, item.count, found.specular);
    }
    if (Sums) {
      // Over the lanes of each warp, then over the warps, whose strips are free by now.
      const int count = lit.Q * lit.P * kChannels + kChannels;
      float* const lines = reinterpret_cast<float*>(strips);
      __syncthreads();
      float* const line = lines + warp * count;
      outer.finish(lit.Q, lit.P, line);
      for (int c = 0; c < kChannels; ++c) {
        const float sum = warp_sum(of_highlight[c]);
        if (lane == 0) line[count - kChannels + c] = sum;
      }
      __syncthreads();
      for (int i = threadIdx.x; i < count; i += kBackwardThreads) {
        float sum = 0.0f;
        for (int w = 0; w < kBackwardThreads / kWarp; ++w) sum += lines[w * count + i];
        results.sums[int64_t(index) * count + i] = sum;
      }
    }
  }
}

}  // namespace cuda
}  // namespace biofacenet
