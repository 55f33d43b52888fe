// What the renderer's CUDA kernels share: how they reach pixels, and how the work is divided.
#pragma once

#include <cuda_runtime.h>
#include <stdint.h>

#include "../fold.h"
#include "../pixel.h"

#ifndef BIOFACENET_DYNAMIC_SHARED
#define BIOFACENET_DYNAMIC_SHARED(type, name) extern __shared__ type name[]
#endif

namespace biofacenet {
namespace cuda {

using namespace generic;

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;
constexpr int kPixels = 4;  // that a thread computes at a time

// Four numbers that are read as one; also the type in which kernels declare their shared memory.
struct alignas(16) Four {
  float at[4];
};

// The four maps of a batch, their pixels evenly spaced; strides in elements. `fixed` and `folded` are
// melanin and haemoglobin, or the other way round (fold.h).
template <typename Map>
struct Maps {
  const Map *fixed, *folded, *diffuse, *specular;
  int64_t fixed_batch, folded_batch, diffuse_batch, specular_batch;
  int64_t step;
};

// The image, contiguous, and the gradient of it, its pixels evenly spaced.
template <typename Map>
struct Colours {
  const Map *image, *gradient;
  int64_t batch, channel, step;  // strides of the gradient
};

// An image's light as pixels see it, made by `make_table`; one for all images where `each` is 0.
template <typename T>
struct Lit {
  const T* functions;  // [fixed_nodes][P]
  const T* others;     // [folded_nodes][Q]
  const T* table;      // [lights][folded_nodes][3 P], p before c
  const T* highlight;  // [lights][3]
  int fixed_nodes, folded_nodes, P, Q;
  int each;  // lights from image to image: 1 or 0

  __device__ __forceinline__ int64_t light(int64_t image) const { return image * each; }
  __device__ __forceinline__ const T* table_of(int64_t image) const {
    return table + light(image) * folded_nodes * P * kChannels;
  }
  __device__ __forceinline__ const T* highlight_of(int64_t image) const {
    return highlight + light(image) * kChannels;
  }
};

// Gradients to fill, contiguous; null where not wanted. `sums` has Q 3 P + 3 numbers for each item.
template <typename Map, typename T>
struct Results {
  Map *fixed, *folded, *diffuse, *specular;
  T* sums;
};

// Every image is cut into as many items, runs of `length` pixels, the last one shorter.
struct Items {
  int64_t pixels;
  unsigned count, per_image;  // of all images, of one
  int length;
};

struct Item {
  int64_t image, begin;  // begin: its first pixel within the image
  int count;

  __device__ __forceinline__ Item(const Items& items, unsigned index) {
    image = index / items.per_image;
    begin = int64_t(index % items.per_image) * items.length;
    const int64_t left = items.pixels - begin;
    count = left < items.length ? int(left) : items.length;
  }
};

// Where a thread finds its kPixels pixels of an item. Side by side, where they are loaded and stored as
// one; else a block's width apart, so that a warp's are side by side.
template <bool Together>
struct Place {
  int first, width;

  __device__ __forceinline__ Place(int start, int threads)
      : first(start + int(threadIdx.x) * (Together ? kPixels : 1)), width(threads) {}
  __device__ __forceinline__ int at(int k) const { return first + (Together ? k : k * width); }
};

template <typename Map>
struct alignas(sizeof(Map) * kPixels) Several {
  Map at[kPixels];
};

// A thread's pixels of a plane; zeros behind the item's end.
template <bool Together, typename T, typename Map>
__device__ __forceinline__ void load(const Map* plane, int64_t step, const Place<Together>& place,
                                     int count, T (&values)[kPixels]) {
  if constexpr (Together) {
    if (place.first < count) {
      const auto read = *reinterpret_cast<const Several<Map>*>(plane + place.first);
      for (int k = 0; k < kPixels; ++k) values[k] = T(read.at[k]);
    } else {
      for (int k = 0; k < kPixels; ++k) values[k] = T(0);
    }
  } else {
    for (int k = 0; k < kPixels; ++k) {
      values[k] = place.at(k) < count ? T(plane[place.at(k) * step]) : T(0);
    }
  }
}

template <bool Together, typename T, typename Map>
__device__ __forceinline__ void store(Map* plane, const Place<Together>& place, int count,
                                      const T (&values)[kPixels]) {
  if constexpr (Together) {
    Several<Map> written;
    for (int k = 0; k < kPixels; ++k) written.at[k] = Map(values[k]);
    if (place.first < count) *reinterpret_cast<Several<Map>*>(plane + place.first) = written;
  } else {
    for (int k = 0; k < kPixels; ++k) {
      if (place.at(k) < count) plane[place.at(k)] = Map(values[k]);
    }
  }
}

// What a thread knows of its pixels.
template <typename T>
struct Values {
  T fixed[kPixels], folded[kPixels], diffuse[kPixels], specular[kPixels];
};

template <bool Together, typename T, typename Map>
__device__ __forceinline__ void read(const Maps<Map>& maps, const Item& item,
                                     const Place<Together>& place, Values<T>& own) {
  const int64_t begin = item.begin * maps.step;
  load(maps.fixed + item.image * maps.fixed_batch + begin, maps.step, place, item.count, own.fixed);
  load(maps.folded + item.image * maps.folded_batch + begin, maps.step, place, item.count,
       own.folded);
  load(maps.diffuse + item.image * maps.diffuse_batch + begin, maps.step, place, item.count,
       own.diffuse);
  load(maps.specular + item.image * maps.specular_batch + begin, maps.step, place, item.count,
       own.specular);
}

// The image's gradient at a thread's pixels, where the image was not clipped.
template <bool Together, typename T, typename Map>
__device__ __forceinline__ void read(const Colours<Map>& colours, const Items& items,
                                     const Item& item, const Place<Together>& place,
                                     T (&gradient)[kChannels][kPixels]) {
  for (int c = 0; c < kChannels; ++c) {
    T values[kPixels];
    load(colours.image + (item.image * kChannels + c) * items.pixels + item.begin, int64_t(1), place,
         item.count, values);
    load(colours.gradient + item.image * colours.batch + c * colours.channel +
             item.begin * colours.step,
         colours.step, place, item.count, gradient[c]);
    for (int k = 0; k < kPixels; ++k) gradient[c][k] = pass(gradient[c][k], values[k]);
  }
}

template <typename T>
__device__ __forceinline__ T warp_sum(T value) {
  for (int step = kWarp / 2; step > 0; step /= 2) value += __shfl_xor_sync(kAllLanes, value, step);
  return value;
}

}  // namespace cuda
}  // namespace biofacenet
