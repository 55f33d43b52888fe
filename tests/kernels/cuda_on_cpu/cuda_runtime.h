// Enough of CUDA to run the renderer's kernels on the CPU, block after block, so that a test can
// execute their indexing, their shuffles and their sums where there is no GPU.
//
// The threads of a block are fibers, and each runs until it has to wait for others: at a barrier of its
// block or of its warp. Who goes first changes from turn to turn, so that a missing barrier shows in
// the results; a barrier that somebody never reaches ends the program. Shared memory starts as NaN.
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <functional>
#include <memory>
#include <type_traits>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static
#define BIOFACENET_DYNAMIC_SHARED(type, name) \
  type* const name = reinterpret_cast<type*>(imitation::dynamic_shared)
#define __launch_bounds__(...)

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
inline dim3 threadIdx, blockIdx, blockDim, gridDim;

enum cudaError_t { cudaSuccess, cudaErrorInvalidValue };
enum cudaDeviceAttr { cudaDevAttrMultiProcessorCount, cudaDevAttrMaxSharedMemoryPerBlockOptin };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
using cudaStream_t = void*;
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes;
  cudaStream_t stream;
};
inline const char* cudaGetErrorString(cudaError_t) { return "an error of the imitation"; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
inline cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) { return cudaSuccess; }

namespace imitation {

constexpr int kWarpLanes = 32;
constexpr size_t kStack = 128 * 1024, kSharedBytes = 160 * 1024;
alignas(16) inline unsigned char dynamic_shared[kSharedBytes];

[[noreturn]] inline void fail(const char* what) {
  fprintf(stderr, "imitation of CUDA: %s\n", what);
  abort();
}

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack{new char[kStack]};
  dim3 index;
  int number;
  bool done = false;
  const void* waiting = nullptr;  // the barrier it waits at
};

struct Barrier {
  int members = 0, arrived = 0;
};

struct Block {
  std::vector<Fiber> fibers;
  std::vector<Barrier> warps;
  Barrier whole;
  std::vector<uint64_t> slots;  // of shuffles, a lane each
  ucontext_t scheduler;
  Fiber* running = nullptr;
  const std::function<void()>* body = nullptr;
  uint32_t dice = 12345;
};
inline Block block;

inline void wait_at(Barrier& barrier) {
  Fiber& self = *block.running;
  if (++barrier.arrived == barrier.members) {
    barrier.arrived = 0;
    for (Fiber& fiber : block.fibers) {
      if (fiber.waiting == &barrier) fiber.waiting = nullptr;
    }
    return;
  }
  self.waiting = &barrier;
  swapcontext(&self.context, &block.scheduler);
}

inline Barrier& own_warp() { return block.warps[block.running->number / kWarpLanes]; }

inline void enter() {
  (*block.body)();
  Fiber& self = *block.running;
  self.done = true;
  // Who has returned takes part in no further barrier of the block.
  if (--block.whole.members > 0 && block.whole.arrived == block.whole.members) {
    block.whole.arrived = 0;
    for (Fiber& fiber : block.fibers) {
      if (fiber.waiting == &block.whole) fiber.waiting = nullptr;
    }
  }
  swapcontext(&self.context, &block.scheduler);
}

inline void run_block(const std::function<void()>& body) {
  const int threads = int(blockDim.x * blockDim.y * blockDim.z);
  if (threads % kWarpLanes != 0) fail("a block must be whole warps");
  memset(dynamic_shared, 0xff, kSharedBytes);
  block.body = &body;
  if (int(block.fibers.size()) != threads) {
    block.fibers.clear();
    block.fibers.resize(threads);
  }
  block.warps.assign(threads / kWarpLanes, Barrier{kWarpLanes, 0});
  block.whole = Barrier{threads, 0};
  block.slots.assign(threads, 0);
  for (int i = 0; i < threads; ++i) {
    Fiber& fiber = block.fibers[i];
    fiber.number = i;
    fiber.index = dim3(i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y);
    fiber.done = false;
    fiber.waiting = nullptr;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStack;
    fiber.context.uc_link = &block.scheduler;
    makecontext(&fiber.context, enter, 0);
  }
  for (int left = threads; left > 0;) {
    block.dice = block.dice * 1664525u + 1013904223u;
    const int first = int(block.dice >> 8) % threads;
    const bool backwards = block.dice & 128;
    bool moved = false;
    for (int turn = 0; turn < threads; ++turn) {
      const int number = (backwards ? first + threads - turn : first + turn) % threads;
      Fiber& fiber = block.fibers[number];
      if (fiber.done || fiber.waiting) continue;
      block.running = &fiber;
      threadIdx = fiber.index;
      swapcontext(&block.scheduler, &fiber.context);
      moved = true;
      if (fiber.done) --left;
    }
    if (!moved) fail("some threads wait at a barrier that others never reach");
  }
}

}  // namespace imitation

inline void __syncthreads() { imitation::wait_at(imitation::block.whole); }
inline void __syncwarp(unsigned = 0xffffffffu) { imitation::wait_at(imitation::own_warp()); }

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int step) {
  using namespace imitation;
  static_assert(sizeof(T) <= sizeof(uint64_t));
  if (mask != 0xffffffffu) fail("only whole warps shuffle here");
  const int lane = block.running->number;
  memcpy(&block.slots[lane], &value, sizeof(T));
  wait_at(own_warp());
  T result;
  memcpy(&result, &block.slots[lane ^ step], sizeof(T));
  wait_at(own_warp());
  return result;
}

inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr name, int) {
  *value = name == cudaDevAttrMultiProcessorCount ? 2 : int(imitation::kSharedBytes);
  return cudaSuccess;
}

template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  if (config->dynamicSmemBytes > imitation::kSharedBytes) return cudaErrorInvalidValue;
  gridDim = config->gridDim;
  blockDim = config->blockDim;
  for (unsigned y = 0; y < gridDim.y; ++y) {
    for (unsigned x = 0; x < gridDim.x; ++x) {
      blockIdx = dim3(x, y, 0);
      imitation::run_block([&] { kernel(arguments...); });
    }
  }
  return cudaSuccess;
}
