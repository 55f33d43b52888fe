// Tensors as the CUDA kernels take them, launches, and how work is cut into blocks.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <initializer_list>
#include <type_traits>
#include <vector>

#include "../arguments.h"
#include "light.cuh"
#include "render.cuh"

namespace biofacenet {
namespace cuda {
namespace {

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
int64_t step_of(const Tensor& maps) {
  const bool upright = maps.size(3) == 1;  // one column: the spacing is that of the rows
  const int64_t step = upright ? maps.stride(2) : maps.stride(3);
  STD_TORCH_CHECK(upright || maps.size(2) == 1 || maps.stride(2) == maps.size(3) * step,
                  "the pixels of a map must be evenly spaced");
  return step;
}

template <typename Map>
Maps<Map> maps_of(const Inputs& inputs) {
  const int64_t step = step_of(inputs.melanin);
  for (const Tensor* map : {&inputs.haemoglobin, &inputs.diffuse, &inputs.specular}) {
    STD_TORCH_CHECK(step_of(*map) == step, "the maps must be spaced alike");
  }
  const Tensor& fixed = inputs.melanin_fixed ? inputs.melanin : inputs.haemoglobin;
  const Tensor& folded = inputs.melanin_fixed ? inputs.haemoglobin : inputs.melanin;
  return {readable<Map>(fixed),
          readable<Map>(folded),
          readable<Map>(inputs.diffuse),
          readable<Map>(inputs.specular),
          fixed.stride(0),
          folded.stride(0),
          inputs.diffuse.stride(0),
          inputs.specular.stride(0),
          step};
}

template <typename Map>
Colours<Map> colours_of(const Tensor& image, const Tensor& gradient) {
  return {readable<Map>(image), readable<Map>(gradient), gradient.stride(0), gradient.stride(1),
          step_of(gradient)};
}

// Whether a thread can load and store its pixels as one.
template <typename Map>
bool in_pieces(const void* data, std::initializer_list<int64_t> strides) {
  const auto fits = [](int64_t stride) { return stride % kPixels == 0; };
  return reinterpret_cast<uintptr_t>(data) % sizeof(Several<Map>) == 0 &&
         std::all_of(strides.begin(), strides.end(), fits);
}

template <typename Map>
bool together(const Maps<Map>& maps, const Shape& shape) {
  return maps.step == 1 && in_pieces<Map>(maps.fixed, {maps.fixed_batch, shape.pixels}) &&
         in_pieces<Map>(maps.folded, {maps.folded_batch}) &&
         in_pieces<Map>(maps.diffuse, {maps.diffuse_batch}) &&
         in_pieces<Map>(maps.specular, {maps.specular_batch});
}

template <typename Map>
bool together(const Colours<Map>& colours) {
  return colours.step == 1 && in_pieces<Map>(colours.image, {}) &&
         in_pieces<Map>(colours.gradient, {colours.batch, colours.channel});
}

template <typename Map>
bool together(const Results<Map, float>& results) {
  return in_pieces<Map>(results.fixed, {}) && in_pieces<Map>(results.folded, {}) &&
         in_pieces<Map>(results.diffuse, {}) && in_pieces<Map>(results.specular, {});
}

template <typename T>
Rows<const T> rows_of(const Maybe& tensor) {
  if (!tensor) return {nullptr, 0};
  const int64_t rows = tensor->size(0);
  return {readable<T>(*tensor), rows > 1 ? tensor->numel() / rows : 0};
}

template <typename T>
Lights<const T> lights_of(const Inputs& inputs) {
  return {rows_of<T>(inputs.mixture), rows_of<T>(inputs.cct),     rows_of<T>(inputs.spectrum),
          rows_of<T>(inputs.camera),  rows_of<T>(inputs.weights), rows_of<T>(inputs.highlight)};
}

// Some items for each block that runs at a time, so that none waits long for the last; but none shorter
// than what a block computes at a time.
Items items_of(const Shape& shape, int64_t at_a_time, int64_t blocks) {
  constexpr int64_t kWaves = 6;
  const int64_t most = (shape.pixels + at_a_time - 1) / at_a_time;
  const int64_t wanted =
      std::clamp<int64_t>(kWaves * blocks / std::max<int64_t>(1, shape.images), 1, most);
  const int64_t length = std::min<int64_t>((most + wanted - 1) / wanted * at_a_time, 1 << 28);
  const int64_t per_image = (shape.pixels + length - 1) / length;
  STD_TORCH_CHECK(shape.images * per_image < (1LL << 31), "more than 2,147,483,647 images");
  return {shape.pixels, unsigned(shape.images * per_image), unsigned(per_image), int(length)};
}

// The lights of a batch, their tables in memory of their own.
template <typename T>
struct Made {
  Tensor table, highlight;
  int64_t lights;

  Made(const Inputs& inputs, const Shape& shape, const Device& device, int64_t stream)
      : table(inputs.functions()), highlight(table), lights(inputs.one_light() ? 1 : shape.images) {
    const Basis<T> basis = inputs.basis<T>();
    const std::vector<int64_t> rows{lights, basis.folded_nodes, basis.P, kChannels};
    table = torch::stable::new_empty(inputs.functions(), rows);
    const std::vector<int64_t> colours{lights, kChannels};
    highlight = torch::stable::new_empty(inputs.functions(), colours);
    const size_t shared = table_shared(basis.P, basis.Q);
    STD_TORCH_CHECK(shared <= device.shared(), "the skin table has too many functions for the GPU");
    launch(make_table<T>, unsigned(lights), kFoldThreads, shared, stream, inputs.light_tables<T>(),
           basis, lights_of<T>(inputs), static_cast<T*>(table.mutable_data_ptr()),
           static_cast<T*>(highlight.mutable_data_ptr()));
  }

  Lit<T> lit(const Inputs& inputs) const {
    const Basis<T> basis = inputs.basis<T>();
    return {basis.functions,    basis.others,       readable<T>(table),
            readable<T>(highlight), basis.fixed_nodes,  basis.folded_nodes,
            basis.P,            basis.Q,            lights > 1 ? 1 : 0};
  }
};

}  // namespace
}  // namespace cuda
}  // namespace biofacenet
