// The renderer's CUDA kernels.
//
// Reading the skin tables is what costs: 4 rows of K numbers a pixel, at places that nothing predicts.
// So a block keeps both tables in shared memory, and a few neighbouring lanes read a row together, 16
// bytes each, a pixel after the other: eight lanes then touch 128 consecutive bytes, or two halves of
// as many that lie in different banks, and no access waits for another. A pixel's values live in one
// lane ("its own"), its components in the lanes of its group; a strip of shared memory carries the
// first to the second, and a butterfly of shuffles carries sums back.
//
// What all pixels of an image share is summed by each block over its item (a run of pixels of one
// image), stored, and added up by a second kernel in the items' order: equal inputs, equal bits.
#pragma once

#include <cuda_runtime.h>
#include <stdint.h>

#include "banded_fold.h"
#include "banded_pixel.h"

#ifndef BIOFACENET_DYNAMIC_SHARED
#define BIOFACENET_DYNAMIC_SHARED(type, name) extern __shared__ type name[]
#endif

namespace biofacenet {
namespace cuda {

using namespace generic;

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

// The four maps of a batch, all laid out alike, their pixels evenly spaced; strides in elements.
template <typename Map>
struct Maps {
  const Map *melanin, *haemoglobin, *diffuse, *specular;
  int64_t batch;
  int step;
};

// The image, contiguous, and the gradient of it, its pixels evenly spaced.
template <typename Map>
struct Colours {
  const Map *image, *gradient;
  int64_t batch, channel;  // strides of the gradient
  int step;
};

template <typename T>
struct Skin {
  const T* epidermis;  // [epidermis_rows][components]
  const T* dermis;     // [dermis_rows][components]
  const T* weights;    // [images][3][components]
  const T* highlight;  // [images][3]
  int epidermis_rows, dermis_rows, components;
};

// Every image is cut into as many items, runs of `length` pixels, the last one shorter.
struct Items {
  int64_t pixels;
  unsigned count, per_image;  // of all images, of one
  int length;
};

// Gradients to fill, contiguous; null where not wanted. `sums` has 3 components + 3 for each item.
template <typename Map, typename T>
struct Results {
  Map *melanin, *haemoglobin, *diffuse, *specular;
  T* sums;
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

// A sum that the compiler must not take apart: it would keep the address of every plane's first pixel
// through the loop over pixels, in registers that are needed there.
__device__ __forceinline__ int64_t together(int64_t sum) {
#ifdef __CUDA_ARCH__
  asm("" : "+l"(sum));
#endif
  return sum;
}

// What a lane knows of its own pixel.
template <typename T>
struct Values {
  T melanin, haemoglobin, diffuse, specular;
};

// At the item's pixel `at`; zeros behind its end.
template <typename T, typename Map>
__device__ __forceinline__ Values<T> read(const Maps<Map>& maps, const Item& item, int at) {
  if (at >= item.count) return {T(0), T(0), T(0), T(0)};
  const int64_t from = together(item.image * maps.batch + (item.begin + at) * maps.step);
  return {T(maps.melanin[from]), T(maps.haemoglobin[from]), T(maps.diffuse[from]),
          T(maps.specular[from])};
}

// The image's gradient there, where the image was not clipped.
template <typename T>
struct Gradient {
  T at[kChannels];
};

template <typename T, typename Map>
__device__ __forceinline__ Gradient<T> read(const Colours<Map>& colours, const Items& items,
                                            const Item& item, int at) {
  Gradient<T> result = {};
  if (at >= item.count) return result;
  int64_t colour = together(item.image * kChannels * items.pixels + item.begin + at);
  int64_t above = together(item.image * colours.batch + (item.begin + at) * colours.step);
#pragma unroll
  for (int c = 0; c < kChannels; ++c) {
    result.at[c] = pass(T(colours.gradient[above]), T(colours.image[colour]));
    colour += items.pixels;
    above += colours.channel;
  }
  return result;
}

template <typename T>
__device__ __forceinline__ T warp_sum(T value) {
  for (int step = kWarp / 2; step > 0; step /= 2) value += __shfl_xor_sync(kAllLanes, value, step);
  return value;
}

// Tables in shared memory, 16 or 32 components ------------------------------------------------

constexpr int kFour = 4;      // numbers that a lane reads at once
constexpr int kRow = kWarp;   // numbers of a table row in shared memory: every bank once

struct alignas(16) Four {
  float at[kFour];
};

// Where a pixel reads the tables.
struct alignas(16) Places {
  int epidermis;  // offset of the row
  float epidermis_fraction;
  int dermis;
  float dermis_fraction;
};

// What else the lanes of a group must know of a pixel to compute its gradients.
struct alignas(16) Lit {
  Gradient<float> gradient;
  float diffuse;
};

template <int Components>
struct Group {
  static constexpr int lanes = Components / kFour;   // that share a pixel
  static constexpr int copies = kRow / Components;   // of a row, for groups that read side by side
  int part;    // of the row, that this lane reads
  int offset;  // of that part within a row of shared memory
  int first;   // lane of the group's first pixel

  __device__ __forceinline__ explicit Group(int lane) {
    part = lane % lanes;
    offset = part * kFour + lane / lanes % copies * Components;
    first = lane - part;
  }
};

// Copies the rows of a table to shared memory, each as often as it fits into kRow numbers.
template <int Components>
__device__ __forceinline__ void stage_table(const float* table, int rows, float* shared) {
  constexpr int pieces = Components / kFour;
  const Four* from = reinterpret_cast<const Four*>(table);
  Four* to = reinterpret_cast<Four*>(shared);
#pragma unroll 1
  for (int i = threadIdx.x; i < rows * pieces; i += blockDim.x) {
    const Four piece = from[i];
    for (int copy = 0; copy < Group<Components>::copies; ++copy) {
      to[i / pieces * (kRow / kFour) + copy * pieces + i % pieces] = piece;
    }
  }
}

__device__ __forceinline__ Places places_of(float melanin, float haemoglobin, int epidermis_rows,
                                            int dermis_rows) {
  const Position<float> m = locate(melanin, epidermis_rows);
  const Position<float> h = locate(haemoglobin, dermis_rows);
  return {m.index * kRow, m.fraction, h.index * kRow, h.fraction};
}

// A lane's four components of both tables, at one pixel.
struct Readings {
  Reading<float> epidermis[kFour], dermis[kFour];

  __device__ __forceinline__ Readings(const float* epidermis_table, const float* dermis_table,
                                      const Places& places) {
    const Four* upper = reinterpret_cast<const Four*>(epidermis_table + places.epidermis);
    const Four* lower = reinterpret_cast<const Four*>(dermis_table + places.dermis);
    const Four e0 = upper[0], e1 = upper[kRow / kFour], d0 = lower[0], d1 = lower[kRow / kFour];
    for (int v = 0; v < kFour; ++v) {
      epidermis[v] = interpolate(e0.at[v], e1.at[v], places.epidermis_fraction);
      dermis[v] = interpolate(d0.at[v], d1.at[v], places.dermis_fraction);
    }
  }
};

// This lane's share of an image's weights.
template <int Components>
__device__ __forceinline__ void load_weights(const Skin<float>& skin, int64_t image, int part,
                                             float (&weights)[kFour][kChannels]) {
  for (int c = 0; c < kChannels; ++c) {
    const Four piece = *reinterpret_cast<const Four*>(
        skin.weights + (image * kChannels + c) * Components + part * kFour);
    for (int v = 0; v < kFour; ++v) weights[v][c] = piece.at[v];
  }
}

// Three numbers of a pixel: its colour, or the sums that its gradients are made of.
struct Triple {
  float at[3];
};

// Sums over the lanes of a group, for as many pixels as it has lanes: `term(slot)` is this lane's term
// of the group's pixel `slot`; lane `slot` of the group gets that pixel's total. Depth first, so that
// few terms wait for their partner.
template <int Slots, typename Term>
__device__ __forceinline__ Triple gather(int part, const Term& term, int first = 0) {
  if constexpr (Slots == 1) {
    return term(first);
  } else {
    constexpr int half = Slots / 2;
    const Triple lower = gather<half>(part, term, first);
    const Triple upper = gather<half>(part, term, first + half);
    const bool is_upper = part & half;
    Triple result;
    for (int i = 0; i < 3; ++i) {
      const float kept = is_upper ? upper.at[i] : lower.at[i];
      const float sent = is_upper ? lower.at[i] : upper.at[i];
      result.at[i] = kept + __shfl_xor_sync(kAllLanes, sent, half);
    }
    return result;
  }
}

constexpr int kForwardThreads = 320, kBackwardThreads = 256, kBlocksPerProcessor = 2;

constexpr size_t forward_shared(int rows) {
  return rows * kRow * sizeof(float) + kForwardThreads * sizeof(Places);
}
constexpr size_t backward_shared(int rows) {
  return rows * kRow * sizeof(float) + kBackwardThreads * (sizeof(Places) + sizeof(Lit));
}

template <typename Map, int Components>
__global__ void __launch_bounds__(kForwardThreads, kBlocksPerProcessor)
    render(Maps<Map> maps, Skin<float> skin, Items items, Map* image) {
  using Lanes = Group<Components>;
  BIOFACENET_DYNAMIC_SHARED(Four, shared);
  float* const epidermis = reinterpret_cast<float*>(shared);
  float* const dermis = epidermis + skin.epidermis_rows * kRow;
  Places* const strips = reinterpret_cast<Places*>(dermis + skin.dermis_rows * kRow);
  stage_table<Components>(skin.epidermis, skin.epidermis_rows, epidermis);
  stage_table<Components>(skin.dermis, skin.dermis_rows, dermis);
  const int lane = threadIdx.x % kWarp;
  Places* const strip = strips + threadIdx.x / kWarp * kWarp;
  const Lanes group(lane);
  __syncthreads();
  for (unsigned index = blockIdx.x; index < items.count; index += gridDim.x) {
    const Item item(items, index);
    float weights[kFour][kChannels];
    load_weights<Components>(skin, item.image, group.part, weights);
    // The next pixels are on their way while these are computed. A warp's lanes stay together, also
    // where the item ends among them.
    Values<float> next = read<float>(maps, item, threadIdx.x);
    for (int start = threadIdx.x - lane; start < item.count; start += kForwardThreads) {
      const Values<float> own = next;
      next = read<float>(maps, item, start + lane + kForwardThreads);
      strip[lane] =
          places_of(own.melanin, own.haemoglobin, skin.epidermis_rows, skin.dermis_rows);
      __syncwarp();
      const Triple colour = gather<Lanes::lanes>(group.part, [&](int slot) -> Triple {
        const Readings read(epidermis + group.offset, dermis + group.offset,
                            strip[group.first + slot]);
        float sum[kChannels] = {};
        for (int v = 0; v < kFour; ++v) {
          add_colour(reflectance(read.epidermis[v], read.dermis[v]), weights[v], sum);
        }
        return {sum[0], sum[1], sum[2]};
      });
      __syncwarp();
      const int at = start + lane;
      if (at < item.count) {
        const float* const highlight = skin.highlight + item.image * kChannels;
        int64_t to = together(item.image * kChannels * items.pixels + item.begin + at);
        for (int c = 0; c < kChannels; ++c) {
          image[to] = Map(shade(colour.at[c], own.diffuse, own.specular, highlight[c]));
          to += items.pixels;
        }
      }
    }
  }
}

template <typename Map, int Components, bool Shared>
__global__ void __launch_bounds__(kBackwardThreads, kBlocksPerProcessor)
    render_backward(Maps<Map> maps, Skin<float> skin, Items items, Colours<Map> colours,
                    Results<Map, float> results) {
  using Lanes = Group<Components>;
  constexpr int kSums = kChannels * Components + kChannels;
  BIOFACENET_DYNAMIC_SHARED(Four, shared);
  float* const epidermis = reinterpret_cast<float*>(shared);
  float* const dermis = epidermis + skin.epidermis_rows * kRow;
  Places* const strips = reinterpret_cast<Places*>(dermis + skin.dermis_rows * kRow);
  Lit* const lights = reinterpret_cast<Lit*>(strips + kBackwardThreads);
  stage_table<Components>(skin.epidermis, skin.epidermis_rows, epidermis);
  stage_table<Components>(skin.dermis, skin.dermis_rows, dermis);
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  Places* const strip = strips + warp * kWarp;
  Lit* const light = lights + warp * kWarp;
  const Lanes group(lane);
  __syncthreads();
  for (unsigned index = blockIdx.x; index < items.count; index += gridDim.x) {
    const Item item(items, index);
    float weights[kFour][kChannels];
    load_weights<Components>(skin, item.image, group.part, weights);
    float of_weights[kFour][kChannels] = {}, of_highlight[kChannels] = {};
    Values<float> next = read<float>(maps, item, threadIdx.x);
    Gradient<float> next_gradient = read<float>(colours, items, item, threadIdx.x);
    for (int start = threadIdx.x - lane; start < item.count; start += kBackwardThreads) {
      const Values<float> own = next;
      const Gradient<float> gradient = next_gradient;
      next = read<float>(maps, item, start + lane + kBackwardThreads);
      next_gradient = read<float>(colours, items, item, start + lane + kBackwardThreads);
      strip[lane] =
          places_of(own.melanin, own.haemoglobin, skin.epidermis_rows, skin.dermis_rows);
      light[lane] = {gradient, own.diffuse};
      __syncwarp();
      const Triple sum = gather<Lanes::lanes>(group.part, [&](int slot) -> Triple {
        const Readings read(epidermis + group.offset, dermis + group.offset,
                            strip[group.first + slot]);
        const Lit lit = light[group.first + slot];
        PixelSums<float> sums = {};
        for (int v = 0; v < kFour; ++v) {
          add_gradients(read.epidermis[v], read.dermis[v], weights[v], lit.gradient.at, sums);
          if (Shared) {
            const float shaded = reflectance(read.epidermis[v], read.dermis[v]) * lit.diffuse;
            add_weight_gradients(shaded, lit.gradient.at, of_weights[v]);
          }
        }
        return {sums.melanin, sums.haemoglobin, sums.diffuse};
      });
      __syncwarp();
      const float of_melanin = sum.at[0], of_haemoglobin = sum.at[1], of_diffuse = sum.at[2];
      if (Shared) {
        for (int c = 0; c < kChannels; ++c) of_highlight[c] += gradient.at[c] * own.specular;
      }
      const int at = start + lane;
      if (at < item.count) {
        const int64_t to = together(item.image * items.pixels + item.begin + at);
        if (results.melanin) {
          results.melanin[to] =
              Map(own.diffuse * of_melanin * place_slope(own.melanin, skin.epidermis_rows));
        }
        if (results.haemoglobin) {
          results.haemoglobin[to] =
              Map(own.diffuse * of_haemoglobin * place_slope(own.haemoglobin, skin.dermis_rows));
        }
        if (results.diffuse) results.diffuse[to] = Map(of_diffuse);
        if (results.specular) {
          const float* highlight = skin.highlight + item.image * kChannels;
          float of_specular = gradient.at[0] * highlight[0];
          for (int c = 1; c < kChannels; ++c) of_specular += gradient.at[c] * highlight[c];
          results.specular[to] = Map(of_specular);
        }
      }
    }
    if (Shared) {
      // Over the groups of a warp, then over the warps, whose strips are free by now.
      float* const lines = reinterpret_cast<float*>(strips);
      for (int v = 0; v < kFour; ++v) {
        for (int c = 0; c < kChannels; ++c) {
          for (int step = Lanes::lanes; step < kWarp; step *= 2) {
            of_weights[v][c] += __shfl_xor_sync(kAllLanes, of_weights[v][c], step);
          }
        }
      }
      for (int c = 0; c < kChannels; ++c) of_highlight[c] = warp_sum(of_highlight[c]);
      __syncthreads();
      float* const line = lines + warp * kSums;
      if (lane < Lanes::lanes) {
        for (int c = 0; c < kChannels; ++c) {
          for (int v = 0; v < kFour; ++v) {
            line[c * Components + lane * kFour + v] = of_weights[v][c];
          }
        }
      }
      if (lane == 0) {
        for (int c = 0; c < kChannels; ++c) line[kChannels * Components + c] = of_highlight[c];
      }
      __syncthreads();
      for (int i = threadIdx.x; i < kSums; i += blockDim.x) {
        float sum = 0.0f;
        for (int w = 0; w < kBackwardThreads / kWarp; ++w) sum += lines[w * kSums + i];
        results.sums[int64_t(index) * kSums + i] = sum;
      }
      __syncthreads();
    }
  }
}

// Any number of components, and double precision: a pixel a thread, tables where they lie -------

constexpr int kPlainThreads = 128, kPlainBlocks = 4;

template <typename T>
constexpr size_t plain_shared(int components) {
  return kPlainThreads / kWarp * (kChannels * components + kChannels) * sizeof(T);
}

// A component of both tables, at one pixel.
template <typename T>
struct PlainReader {
  const T *epidermis, *dermis;
  T epidermis_fraction, dermis_fraction;
  int components;

  __device__ __forceinline__ PlainReader(const Skin<T>& skin, T melanin, T haemoglobin)
      : components(skin.components) {
    const Position<T> m = locate(melanin, skin.epidermis_rows);
    const Position<T> h = locate(haemoglobin, skin.dermis_rows);
    epidermis = skin.epidermis + m.index * components;
    dermis = skin.dermis + h.index * components;
    epidermis_fraction = m.fraction;
    dermis_fraction = h.fraction;
  }
  __device__ __forceinline__ Reading<T> at_epidermis(int k) const {
    return interpolate(epidermis[k], epidermis[components + k], epidermis_fraction);
  }
  __device__ __forceinline__ Reading<T> at_dermis(int k) const {
    return interpolate(dermis[k], dermis[components + k], dermis_fraction);
  }
};

template <typename T>
__device__ __forceinline__ void weights_at(const T* weights, int components, int k,
                                           T (&result)[kChannels]) {
  for (int c = 0; c < kChannels; ++c) result[c] = weights[c * components + k];
}

template <typename Map, typename T>
__global__ void __launch_bounds__(kPlainThreads, kPlainBlocks)
    plain_render(Maps<Map> maps, Skin<T> skin, Items items, Map* image) {
  for (unsigned index = blockIdx.x; index < items.count; index += gridDim.x) {
    const Item item(items, index);
    const T* const weights = skin.weights + item.image * kChannels * skin.components;
    Map* const output = image + item.image * kChannels * items.pixels + item.begin;
    for (int at = threadIdx.x; at < item.count; at += kPlainThreads) {
      const Values<T> own = read<T>(maps, item, at);
      const PlainReader<T> reader(skin, own.melanin, own.haemoglobin);
      T colour[kChannels] = {};
      for (int k = 0; k < skin.components; ++k) {
        T weight[kChannels];
        weights_at(weights, skin.components, k, weight);
        add_colour(reflectance(reader.at_epidermis(k), reader.at_dermis(k)), weight, colour);
      }
      for (int c = 0; c < kChannels; ++c) {
        const T highlight = skin.highlight[item.image * kChannels + c];
        output[c * items.pixels + at] = Map(shade(colour[c], own.diffuse, own.specular, highlight));
      }
    }
  }
}

template <typename Map, typename T>
__global__ void __launch_bounds__(kPlainThreads, kPlainBlocks)
    plain_render_backward(Maps<Map> maps, Skin<T> skin, Items items, Colours<Map> colours,
                          Results<Map, T> results) {
  BIOFACENET_DYNAMIC_SHARED(Four, shared);
  const int sums_of_item = kChannels * skin.components + kChannels;
  const int lane = threadIdx.x % kWarp, warps = blockDim.x / kWarp;
  T* const lines = reinterpret_cast<T*>(shared);
  T* const line = lines + threadIdx.x / kWarp * sums_of_item;
  for (unsigned index = blockIdx.x; index < items.count; index += gridDim.x) {
    const Item item(items, index);
    const T* const weights = skin.weights + item.image * kChannels * skin.components;
    const T* const highlight = skin.highlight + item.image * kChannels;
    if (results.sums) {
      for (int i = lane; i < sums_of_item; i += kWarp) line[i] = T(0);
      __syncwarp();
    }
    T of_highlight[kChannels] = {};
    // Lanes beyond the end go along, with gradients of 0, as the sums over a warp need all of them.
    const int64_t first = item.image * items.pixels + item.begin;
    for (int start = threadIdx.x - lane; start < item.count; start += kPlainThreads) {
      const int at = start + lane;
      const Values<T> own = read<T>(maps, item, at);
      const Gradient<T> gradient = read<T>(colours, items, item, at);
      const PlainReader<T> reader(skin, own.melanin, own.haemoglobin);
      PixelSums<T> sums = {};
      for (int k = 0; k < skin.components; ++k) {
        T weight[kChannels], of_weight[kChannels] = {};
        weights_at(weights, skin.components, k, weight);
        const Reading<T> e = reader.at_epidermis(k), d = reader.at_dermis(k);
        add_gradients(e, d, weight, gradient.at, sums);
        if (results.sums) {
          add_weight_gradients(reflectance(e, d) * own.diffuse, gradient.at, of_weight);
          for (int c = 0; c < kChannels; ++c) {
            const T sum = warp_sum(of_weight[c]);
            if (lane == 0) line[c * skin.components + k] += sum;
          }
        }
      }
      T of_specular = T(0);
      for (int c = 0; c < kChannels; ++c) {
        of_highlight[c] += gradient.at[c] * own.specular;
        of_specular += gradient.at[c] * highlight[c];
      }
      if (at < item.count) {
        if (results.melanin) {
          results.melanin[first + at] =
              Map(own.diffuse * sums.melanin * place_slope(own.melanin, skin.epidermis_rows));
        }
        if (results.haemoglobin) {
          results.haemoglobin[first + at] =
              Map(own.diffuse * sums.haemoglobin * place_slope(own.haemoglobin, skin.dermis_rows));
        }
        if (results.diffuse) results.diffuse[first + at] = Map(sums.diffuse);
        if (results.specular) results.specular[first + at] = Map(of_specular);
      }
    }
    if (results.sums) {
      for (int c = 0; c < kChannels; ++c) {
        const T sum = warp_sum(of_highlight[c]);
        if (lane == 0) line[kChannels * skin.components + c] = sum;
      }
      __syncthreads();
      for (int i = threadIdx.x; i < sums_of_item; i += blockDim.x) {
        T sum = T(0);
        for (int w = 0; w < warps; ++w) sum += lines[w * sums_of_item + i];
        results.sums[int64_t(index) * sums_of_item + i] = sum;
      }
      __syncthreads();
    }
  }
}

// Totals over an image's items, in their order ---------------------------------------------------

constexpr int kTotalRows = 32;

// A block for kWarp numbers of one image (grid: ceil(sums / kWarp) x images).
template <typename T>
__global__ void __launch_bounds__(kWarp* kTotalRows)
    add_up(const T* sums, int64_t per_image, int components, T* of_weights, T* of_highlight) {
  __shared__ T partial[kTotalRows][kWarp + 1];
  const int width = kChannels * components + kChannels;
  const int column = blockIdx.x * kWarp + threadIdx.x;
  const int64_t image = blockIdx.y;
  T total = T(0);
  if (column < width) {
#pragma unroll 4
    for (int64_t row = threadIdx.y; row < per_image; row += kTotalRows) {
      total += sums[(image * per_image + row) * width + column];
    }
  }
  partial[threadIdx.y][threadIdx.x] = total;
  __syncthreads();
  if (threadIdx.y != 0 || column >= width) return;
  for (int row = 1; row < kTotalRows; ++row) total += partial[row][threadIdx.x];
  const int weights = kChannels * components;
  if (column < weights) {
    if (of_weights) of_weights[image * weights + column] = total;
  } else if (of_highlight) {
    of_highlight[image * kChannels + column - weights] = total;
  }
}

// Folding: a block an image ---------------------------------------------------------------------

constexpr int kFoldThreads = 128;

struct Block {
  template <typename Work>
  __device__ __forceinline__ void each(int count, const Work& work) const {
    for (int i = threadIdx.x; i < count; i += blockDim.x) work(i);
  }
  template <typename Work>
  __device__ __forceinline__ void each(int rows, int columns, const Work& work) const {
    for (int i = threadIdx.x; i < rows * columns; i += blockDim.x) work(i / columns, i % columns);
  }
  template <typename T>
  __device__ __forceinline__ void multiply(int rows, int inner, int columns, const T* left,
                                           int left_row, const T* right, T* out,
                                           int out_row) const {
    each(rows, columns, [&](int row, int column) {
      T sum = T(0);
      for (int i = 0; i < inner; ++i) sum += left[row * left_row + i] * right[i * columns + column];
      out[row * out_row + column] = sum;
    });
  }
  __device__ __forceinline__ void wait() const { __syncthreads(); }
};

template <typename T>
__global__ void __launch_bounds__(kFoldThreads)
    fold_light(FoldTables<T> tables, FoldInputs<T> inputs, T* folded, T* highlight) {
  __shared__ Folding<T> shared;
  const int64_t image = blockIdx.x;
  fold(Block(), tables, inputs.image(image), shared,
       folded + image * kChannels * tables.components, highlight + image * kChannels);
}

template <typename T>
__global__ void __launch_bounds__(kFoldThreads)
    fold_light_backward(FoldTables<T> tables, FoldInputs<T> inputs, const T* of_folded,
                        const T* of_highlight, FoldGradients<T> gradients) {
  __shared__ Folding<T> shared;
  __shared__ FoldingBackward<T> backward;
  const int64_t image = blockIdx.x;
  fold_backward(Block(), tables, inputs.image(image), shared, backward,
                of_folded + image * kChannels * tables.components,
                of_highlight + image * kChannels, gradients.image(image));
}

}  // namespace cuda
}  // namespace biofacenet
