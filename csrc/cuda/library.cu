// The CUDA library: the same raw functions as the CPU library's, for CUDA tensors, on libtorch's stable
// ABI and with its own copy of the CUDA runtime, so that one binary serves every torch from 2.11 on.
// The caller names the stream; nothing here waits for the GPU, so that a CUDA graph can record it.

#include <torch/csrc/stable/ops.h>
#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#include <algorithm>
#include <cstdlib>
#include <type_traits>

#include "banded_arguments.h"
#include "kernels.cuh"

#ifndef BIOFACENET_DEVICE
#define BIOFACENET_DEVICE CUDA  // a test that runs the kernels on the CPU says otherwise
#endif

namespace biofacenet {
namespace cuda {
namespace {

using c10::BFloat16;
using c10::Half;

void check_cuda(cudaError_t error, const char* what) {
  STD_TORCH_CHECK(error == cudaSuccess, what, ": ", cudaGetErrorString(error));
}

// Makes a tensor's device the current one, for as long as this lives.
class Device {
 public:
  explicit Device(const Tensor& tensor) {
    check_cuda(cudaGetDevice(&before_), "cudaGetDevice");
    const int device = std::max(0, int(tensor.get_device_index()));
    if (device != before_) check_cuda(cudaSetDevice(device), "cudaSetDevice");
    current_ = device;
  }
  ~Device() {
    if (current_ != before_) cudaSetDevice(before_);
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  int processors() const { return attribute(cudaDevAttrMultiProcessorCount); }
  size_t shared() const { return size_t(attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin)); }

 private:
  int attribute(cudaDeviceAttr name) const {
    int value = 0;
    check_cuda(cudaDeviceGetAttribute(&value, name, current_), "cudaDeviceGetAttribute");
    return value;
  }
  int before_ = 0, current_ = 0;
};

template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared, int64_t stream,
            Arguments&&... arguments) {
  if (shared > 48 * 1024) {  // more than that only on request
    check_cuda(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                    cudaFuncAttributeMaxDynamicSharedMemorySize, int(shared)),
               "shared memory of a kernel");
  }
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.stream = reinterpret_cast<cudaStream_t>(stream);
  check_cuda(cudaLaunchKernelEx(&config, kernel, Parameters(arguments)...), "launch of a kernel");
  check_cuda(cudaGetLastError(), "launch of a kernel");
}

// Distance of neighbouring pixels, which must be the same all over an image.
int step_of(const Tensor& maps) {
  const bool upright = maps.size(3) == 1;  // one column: the spacing is that of the rows
  const int64_t step = upright ? maps.stride(2) : maps.stride(3);
  STD_TORCH_CHECK(upright || maps.size(2) == 1 || maps.stride(2) == maps.size(3) * step,
                  "the pixels of a map must be evenly spaced");
  STD_TORCH_CHECK(std::abs(step) < (1LL << 31), "the pixels of a map are too far apart");
  return int(step);
}

template <typename Map>
Maps<Map> maps_of(const Inputs& inputs) {
  const int64_t batch = inputs.melanin.stride(0);
  const int step = step_of(inputs.melanin);
  for (const Tensor* map : {&inputs.haemoglobin, &inputs.diffuse, &inputs.specular}) {
    STD_TORCH_CHECK(map->stride(0) == batch && step_of(*map) == step,
                    "the maps must be laid out alike");
  }
  return {readable<Map>(inputs.melanin), readable<Map>(inputs.haemoglobin),
          readable<Map>(inputs.diffuse), readable<Map>(inputs.specular), batch, step};
}

template <typename Map>
Colours<Map> colours_of(const Tensor& image, const Tensor& gradient) {
  return {readable<Map>(image), readable<Map>(gradient), gradient.stride(0), gradient.stride(1),
          step_of(gradient)};
}

template <typename T>
Skin<T> skin_of(const Inputs& inputs, const Shape& shape) {
  return {readable<T>(inputs.epidermis),
          readable<T>(inputs.dermis),
          readable<T>(inputs.weights),
          readable<T>(inputs.highlight),
          int(inputs.epidermis.size(0)),
          int(inputs.dermis.size(0)),
          int(shape.components)};
}

// Some items for each block that runs at a time, so that none waits long for the last; but not
// shorter than a block is wide.
Items items_of(const Shape& shape, int threads, int64_t blocks) {
  constexpr int64_t kWaves = 4;
  const int64_t most = (shape.pixels + threads - 1) / threads;
  const int64_t wanted =
      std::clamp<int64_t>(kWaves * blocks / std::max<int64_t>(1, shape.images), 1, most);
  const int64_t turns = (most + wanted - 1) / wanted;
  const int64_t length = turns * threads;
  const int64_t per_image = (shape.pixels + length - 1) / length;
  STD_TORCH_CHECK(shape.images * per_image < (1LL << 31), "more than 2,147,483,647 images");
  return {shape.pixels, unsigned(shape.images * per_image), unsigned(per_image), int(length)};
}

// How a launch divides the work.
struct Plan {
  Items items;
  int64_t blocks;
  size_t shared;
  bool tables;  // fit into shared memory, and have a row length that there is a kernel for
};

Plan plan(const Inputs& inputs, const Shape& shape, const Device& device, bool backward) {
  const int rows = int(inputs.epidermis.size(0) + inputs.dermis.size(0));
  const size_t shared = backward ? backward_shared(rows) : forward_shared(rows);
  const auto aligned = [](const Tensor& tensor) {
    return reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) % sizeof(Four) == 0;
  };
  const bool tables = inputs.numbers() == ScalarType::Float &&
                      (shape.components == 16 || shape.components == 32) &&
                      shared <= device.shared() && aligned(inputs.epidermis) &&
                      aligned(inputs.dermis) && aligned(inputs.weights);
  const int threads = !tables ? kPlainThreads : backward ? kBackwardThreads : kForwardThreads;
  const int64_t at_a_time = int64_t(device.processors()) * (tables ? kBlocksPerProcessor : kPlainBlocks);
  const Items items = items_of(shape, threads, at_a_time);
  const int64_t blocks = std::min<int64_t>(at_a_time, items.count);
  return {items, blocks, shared, tables};
}

// Calls `work` with a null pointer of the maps' type.
template <typename Work>
void with_maps(ScalarType type, const Work& work) {
  if (type == ScalarType::Half) return work(static_cast<Half*>(nullptr));
  if (type == ScalarType::BFloat16) return work(static_cast<BFloat16*>(nullptr));
  work(static_cast<float*>(nullptr));
}

// What is registered.
namespace ops {

void forward(const Tensor& melanin, const Tensor& haemoglobin, const Tensor& diffuse,
             const Tensor& specular, const Tensor& weights, const Tensor& highlight,
             const Tensor& epidermis, const Tensor& dermis, Tensor image, int64_t stream) {
  const Inputs inputs{melanin, haemoglobin, diffuse, specular, weights, highlight, epidermis,
                      dermis};
  const Shape shape = inputs.check(true);
  check_colour(image, shape, inputs.maps());
  STD_TORCH_CHECK(image.is_contiguous(), "the image to fill must be contiguous");
  if (shape.images * shape.pixels == 0) return;
  const Device device(melanin);
  const Plan p = plan(inputs, shape, device, false);
  const dim3 grid{unsigned(p.blocks)};
  if (inputs.numbers() == ScalarType::Double) {
    launch(plain_render<double, double>, grid, kPlainThreads, 0, stream, maps_of<double>(inputs),
           skin_of<double>(inputs, shape), p.items, static_cast<double*>(image.mutable_data_ptr()));
    return;
  }
  with_maps(inputs.maps(), [&](auto* none) {
    using Map = std::remove_pointer_t<decltype(none)>;
    const Skin<float> skin = skin_of<float>(inputs, shape);
    Map* const to = static_cast<Map*>(image.mutable_data_ptr());
    if (p.tables) {
      const auto kernel = shape.components == 16 ? render<Map, 16> : render<Map, 32>;
      launch(kernel, grid, kForwardThreads, p.shared, stream, maps_of<Map>(inputs), skin, p.items,
             to);
    } else {
      launch(plain_render<Map, float>, grid, kPlainThreads, 0, stream, maps_of<Map>(inputs), skin,
             p.items, to);
    }
  });
}

template <typename T>
void launch_add_up(const Plan& plan, const Shape& shape, const Tensor& sums,
                   const WantedGradients& wanted, int64_t stream) {
  const unsigned columns = unsigned((3 * shape.components + 3 + kWarp - 1) / kWarp);
  constexpr int64_t kMost = 65535;  // of a grid's second dimension
  for (int64_t first = 0; first < shape.images; first += kMost) {
    const int64_t images = std::min(kMost, shape.images - first);
    T* const of_weights = writable<T>(wanted.weights);
    T* const of_highlight = writable<T>(wanted.highlight);
    launch(add_up<T>, dim3{columns, unsigned(images)}, dim3{kWarp, kTotalRows}, 0, stream,
           readable<T>(sums) + first * plan.items.per_image * (3 * shape.components + 3),
           plan.items.per_image, int(shape.components),
           of_weights ? of_weights + first * 3 * shape.components : nullptr,
           of_highlight ? of_highlight + first * 3 : nullptr);
  }
}

void backward(const Tensor& melanin, const Tensor& haemoglobin, const Tensor& diffuse,
              const Tensor& specular, const Tensor& weights, const Tensor& highlight,
              const Tensor& epidermis, const Tensor& dermis, const Tensor& image,
              const Tensor& gradient, Wanted melanin_gradient, Wanted haemoglobin_gradient,
              Wanted diffuse_gradient, Wanted specular_gradient, Wanted weights_gradient,
              Wanted highlight_gradient, int64_t stream) {
  const Inputs inputs{melanin, haemoglobin, diffuse, specular, weights, highlight, epidermis,
                      dermis};
  const WantedGradients wanted{melanin_gradient,  haemoglobin_gradient, diffuse_gradient,
                               specular_gradient, weights_gradient,     highlight_gradient};
  const Shape shape = inputs.check(true);
  check_colour(image, shape, inputs.maps());
  STD_TORCH_CHECK(image.is_contiguous(), "the image must be contiguous");
  check_colour(gradient, shape, inputs.maps());
  wanted.check(shape, inputs);
  if (!wanted.maps() && !wanted.shared()) return;
  if (shape.images * shape.pixels == 0) {
    for (const Wanted* sum : {&wanted.weights, &wanted.highlight}) {
      if (*sum && (*sum)->numel() > 0) {
        Tensor zeros = **sum;
        torch::stable::zero_(zeros);
      }
    }
    return;
  }
  const Device device(melanin);
  const Plan p = plan(inputs, shape, device, true);
  const dim3 grid{unsigned(p.blocks)};
  const bool shared = wanted.shared();
  const Tensor sums = torch::stable::new_empty(
      weights,
      {shared ? int64_t(p.items.count) : int64_t(1), 3 * shape.components + 3});
  if (inputs.numbers() == ScalarType::Double) {
    const Results<double, double> results{
        writable<double>(wanted.melanin), writable<double>(wanted.haemoglobin),
        writable<double>(wanted.diffuse), writable<double>(wanted.specular),
        shared ? static_cast<double*>(sums.mutable_data_ptr()) : nullptr};
    launch(plain_render_backward<double, double>, grid, kPlainThreads,
           plain_shared<double>(int(shape.components)), stream, maps_of<double>(inputs),
           skin_of<double>(inputs, shape), p.items,
           colours_of<double>(image, gradient), results);
    if (shared) launch_add_up<double>(p, shape, sums, wanted, stream);
    return;
  }
  with_maps(inputs.maps(), [&](auto* none) {
    using Map = std::remove_pointer_t<decltype(none)>;
    const Results<Map, float> results{
        writable<Map>(wanted.melanin), writable<Map>(wanted.haemoglobin),
        writable<Map>(wanted.diffuse), writable<Map>(wanted.specular),
        shared ? static_cast<float*>(sums.mutable_data_ptr()) : nullptr};
    const Skin<float> skin = skin_of<float>(inputs, shape);
    if (p.tables) {
      const bool narrow = shape.components == 16;
      const auto kernel = narrow ? (shared ? render_backward<Map, 16, true>
                                           : render_backward<Map, 16, false>)
                                 : (shared ? render_backward<Map, 32, true>
                                           : render_backward<Map, 32, false>);
      launch(kernel, grid, kBackwardThreads, p.shared, stream, maps_of<Map>(inputs), skin, p.items,
             colours_of<Map>(image, gradient), results);
    } else {
      launch(plain_render_backward<Map, float>, grid, kPlainThreads,
             plain_shared<float>(int(shape.components)), stream, maps_of<Map>(inputs), skin,
             p.items, colours_of<Map>(image, gradient), results);
    }
  });
  if (shared) launch_add_up<float>(p, shape, sums, wanted, stream);
}

void fold(Wanted mixture, Wanted cct, Wanted spectrum, const Tensor& camera,
          std::vector<Tensor> tables, double first_cct, double cct_step, double camera_range,
          Tensor folded, Tensor highlight, int64_t stream) {
  const Light light{mixture, cct, spectrum, camera, tables, first_cct, cct_step, camera_range};
  light.check();
  light.check_results(folded, highlight);
  if (light.images() == 0) return;
  const Device device(camera);
  const auto run = [&](auto* none) {
    using T = std::remove_pointer_t<decltype(none)>;
    launch(fold_light<T>, unsigned(light.images()), kFoldThreads, 0, stream,
           light.typed_tables<T>(), light.typed<T>(), static_cast<T*>(folded.mutable_data_ptr()),
           static_cast<T*>(highlight.mutable_data_ptr()));
  };
  if (light.numbers() == ScalarType::Float) {
    run(static_cast<float*>(nullptr));
  } else {
    run(static_cast<double*>(nullptr));
  }
}

void fold_backward(Wanted mixture, Wanted cct, Wanted spectrum, const Tensor& camera,
                   std::vector<Tensor> tables, double first_cct, double cct_step,
                   double camera_range, const Tensor& of_folded, const Tensor& of_highlight,
                   Wanted of_mixture, Wanted of_cct, Wanted of_spectrum, Wanted of_camera,
                   int64_t stream) {
  const Light light{mixture, cct, spectrum, camera, tables, first_cct, cct_step, camera_range};
  light.check();
  light.check_results(of_folded, of_highlight);
  light.check_gradients(of_mixture, of_cct, of_spectrum, of_camera);
  if (light.images() == 0) return;
  const Device device(camera);
  const auto run = [&](auto* none) {
    using T = std::remove_pointer_t<decltype(none)>;
    const FoldGradients<T> gradients{writable<T>(of_mixture), writable<T>(of_cct),
                                     writable<T>(of_spectrum), writable<T>(of_camera)};
    launch(fold_light_backward<T>, unsigned(light.images()), kFoldThreads, 0, stream,
           light.typed_tables<T>(), light.typed<T>(), readable<T>(of_folded),
           readable<T>(of_highlight), gradients);
  };
  if (light.numbers() == ScalarType::Float) {
    run(static_cast<float*>(nullptr));
  } else {
    run(static_cast<double*>(nullptr));
  }
}

}  // namespace ops
}  // namespace
}  // namespace cuda
}  // namespace biofacenet

STABLE_TORCH_LIBRARY(biofacenet_cuda, m) {
  m.def(BIOFACENET_FORWARD ", int stream) -> ()");
  m.def(BIOFACENET_BACKWARD ", int stream) -> ()");
  m.def(BIOFACENET_FOLD ", int stream) -> ()");
  m.def(BIOFACENET_FOLD_BACKWARD ", int stream) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(biofacenet_cuda, BIOFACENET_DEVICE, m) {
  m.impl("forward", TORCH_BOX(&biofacenet::cuda::ops::forward));
  m.impl("backward", TORCH_BOX(&biofacenet::cuda::ops::backward));
  m.impl("fold", TORCH_BOX(&biofacenet::cuda::ops::fold));
  m.impl("fold_backward", TORCH_BOX(&biofacenet::cuda::ops::fold_backward));
}
