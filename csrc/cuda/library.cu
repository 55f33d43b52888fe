// The CUDA library: the same raw functions as the CPU library's, for CUDA tensors, on libtorch's stable
// ABI and with its own copy of the CUDA runtime, so that one binary serves every torch from 2.11 on.
// The caller names the stream; nothing here waits for the GPU, so that a CUDA graph can record it.

#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#include <algorithm>
#include <optional>
#include <type_traits>
#include <vector>

#include "launch.cuh"
#include "plain.cuh"

#ifndef BIOFACENET_DEVICE
#define BIOFACENET_DEVICE CUDA  // a test that runs the kernels on the CPU says otherwise
#endif

namespace biofacenet {
namespace cuda {
namespace {

using c10::BFloat16;
using c10::Half;

// Calls `work` with a null pointer of the maps' type.
template <typename Work>
void with_maps(ScalarType type, const Work& work) {
  if (type == ScalarType::Half) return work(static_cast<Half*>(nullptr));
  if (type == ScalarType::BFloat16) return work(static_cast<BFloat16*>(nullptr));
  work(static_cast<float*>(nullptr));
}

template <typename Map, typename T>
void plain_forward(const Maps<Map>& maps, const Lit<T>& lit, const Shape& shape,
                   const Device& device, Map* image, int64_t stream) {
  const int64_t blocks = int64_t(device.processors()) * kPlainBlocks;
  const Items items = items_of(shape, kPlainThreads * kPixels, blocks);
  launch(plain_render<Map, T>, unsigned(std::min<int64_t>(blocks, items.count)), kPlainThreads, 0,
         stream, maps, lit, items, image);
}

// By few functions; false where there are more, or their tables do not fit into shared memory.
template <typename Map>
bool fast_forward(const Maps<Map>& maps, const Lit<float>& lit, const Shape& shape,
                  const Device& device, Map* image, int64_t stream) {
  const bool pieces = together(maps, shape) && in_pieces<Map>(image, {});
  const int64_t wide = Tables<128>::bytes(lit.fixed_nodes, lit.folded_nodes);
  const int64_t narrow = Tables<64>::bytes(lit.fixed_nodes, lit.folded_nodes);
  const bool large = pieces && wide <= int64_t(device.shared());
  if (lit.P > kFunctions || (!large && narrow > int64_t(device.shared()))) return false;
  auto kernel = large ? render<Map, 128, true> : render<Map, 64, true>;
  if (!pieces) {
    if constexpr (std::is_same_v<Map, float>) {
      kernel = render<Map, 64, false>;
    } else {
      return false;
    }
  }
  const Items items = items_of(shape, kForwardThreads * kPixels, device.processors());
  const unsigned blocks = std::min<unsigned>(unsigned(device.processors()), items.count);
  launch(kernel, blocks, kForwardThreads, size_t(large ? wide : narrow), stream, maps, lit, items,
         image);
  return true;
}

// The sums that gradients of light and camera are made of, an item a row; none where not wanted.
Tensor sums_of(const Inputs& inputs, const Items& items, bool wanted) {
  const int64_t width = inputs.others().size(1) * inputs.functions().size(1) * 3 + 3;
  const std::vector<int64_t> shape{wanted ? int64_t(items.count) : 0, width};
  return torch::stable::new_empty(inputs.functions(), shape);
}

template <typename Map, typename T>
Tensor plain_backward(const Maps<Map>& maps, const Lit<T>& lit, const Colours<Map>& colours,
                      Results<Map, T> results, const Inputs& inputs, const Shape& shape,
                      const Device& device, bool light, int64_t stream) {
  const int64_t blocks = int64_t(device.processors()) * kPlainBlocks;
  const Items items = items_of(shape, kPlainThreads * kPixels, blocks);
  const Tensor sums = sums_of(inputs, items, light);
  if (light) results.sums = static_cast<T*>(sums.mutable_data_ptr());
  const int64_t shared = light ? plain_shared<T>(lit.P, lit.Q) : 0;
  STD_TORCH_CHECK(shared <= int64_t(device.shared()),
                  "the skin table has too many functions for the GPU");
  launch(plain_render_backward<Map, T>, unsigned(std::min<int64_t>(blocks, items.count)),
         kPlainThreads, size_t(shared), stream, maps, lit, items, colours, results);
  return sums;
}

// By few functions; none where there are more, or their tables do not fit into shared memory.
template <typename Map>
std::optional<Tensor> fast_backward(const Maps<Map>& maps, const Lit<float>& lit,
                                    const Colours<Map>& colours, Results<Map, float> results,
                                    const Inputs& inputs, const Shape& shape, const Device& device,
                                    bool light, int64_t stream) {
  constexpr int kRow = 64;
  const int64_t shared = backward_shared<kRow>(lit.fixed_nodes, lit.folded_nodes, light);
  if (lit.P > kFunctions || shared > int64_t(device.shared())) return std::nullopt;
  if (light && lit.Q > kOthers) return std::nullopt;
  auto kernel = light ? render_backward<Map, kRow, true, true>
                      : render_backward<Map, kRow, true, false>;
  if (!(together(maps, shape) && together(colours) && together(results))) {
    if constexpr (std::is_same_v<Map, float>) {
      kernel = light ? render_backward<Map, kRow, false, true>
                     : render_backward<Map, kRow, false, false>;
    } else {
      return std::nullopt;
    }
  }
  const Items items = items_of(shape, kBackwardThreads * kPixels, device.processors());
  const unsigned blocks = std::min<unsigned>(unsigned(device.processors()), items.count);
  const Tensor sums = sums_of(inputs, items, light);
  if (light) results.sums = static_cast<float*>(sums.mutable_data_ptr());
  launch(kernel, blocks, kBackwardThreads, size_t(shared), stream, maps, lit, items, colours,
         results);
  return sums;
}

// Gradients of light and camera from the items' sums.
template <typename T>
void finish_light(const Inputs& inputs, int64_t lights, const Tensor& sums, const Wanted& wanted,
                  int64_t stream) {
  const int64_t width = sums.size(1), items = sums.size(0) / lights;
  const std::vector<int64_t> shape{lights, width};
  const Tensor totals = torch::stable::new_empty(sums, shape);
  constexpr int64_t kMost = 65535;  // of a grid's second dimension
  const unsigned columns = unsigned((width + kWarp - 1) / kWarp);
  for (int64_t first = 0; first < lights; first += kMost) {
    launch(add_up<T>, dim3{columns, unsigned(std::min(kMost, lights - first))},
           dim3{kWarp, kTotalRows}, 0, stream, readable<T>(sums) + first * items * width, items,
           int(width), static_cast<T*>(totals.mutable_data_ptr()) + first * width);
  }
  // What all images share while they differ in others: a row for each, and then their sums.
  std::vector<Tensor> kept;
  std::vector<const Maybe*> shared;
  const auto rows = [&](const Maybe& gradient) -> Rows<T> {
    if (!gradient) return {nullptr, 0};
    const int64_t each = gradient->numel() / gradient->size(0);
    if (gradient->size(0) == lights) return {writable<T>(gradient), each};
    const std::vector<int64_t> shape{lights, each};
    kept.push_back(torch::stable::new_empty(sums, shape));
    shared.push_back(&gradient);
    return {static_cast<T*>(kept.back().mutable_data_ptr()), each};
  };
  const Lights<T> gradients{rows(wanted.mixture), rows(wanted.cct),     rows(wanted.spectrum),
                            rows(wanted.camera),  rows(wanted.weights), rows(wanted.highlight)};
  launch(light_gradients<T>, unsigned(lights), kFoldThreads, 0, stream, inputs.light_tables<T>(),
         inputs.basis<T>(), lights_of<T>(inputs), readable<T>(totals), gradients);
  for (size_t i = 0; i < kept.size(); ++i) {
    launch(sum_rows<T>, 1u, kFoldThreads, 0, stream, readable<T>(kept[i]), lights,
           int(kept[i].size(1)), writable<T>(*shared[i]));
  }
}

// What is registered.
namespace ops {

void render(const Tensor& melanin, const Tensor& haemoglobin, const Tensor& diffuse,
            const Tensor& specular, Maybe mixture, Maybe cct, Maybe spectrum, Maybe camera,
            Maybe weights, Maybe highlight, std::vector<Tensor> tables, bool melanin_fixed,
            double first_cct, double cct_step, double camera_range, Tensor image, int64_t stream) {
  const Inputs inputs{melanin, haemoglobin, diffuse,   specular, mixture,       cct,       spectrum,
                      camera,  weights,     highlight, tables,   melanin_fixed, first_cct, cct_step,
                      camera_range};
  const Shape shape = inputs.check(true);
  check_colour(image, shape, inputs.maps());
  STD_TORCH_CHECK(image.is_contiguous(), "the image to fill must be contiguous");
  if (shape.images * shape.pixels == 0) return;
  const Device device(melanin);
  if (inputs.numbers() == ScalarType::Double) {
    const Made<double> made(inputs, shape, device, stream);
    plain_forward(maps_of<double>(inputs), made.lit(inputs), shape, device,
                  static_cast<double*>(image.mutable_data_ptr()), stream);
    return;
  }
  const Made<float> made(inputs, shape, device, stream);
  const Lit<float> lit = made.lit(inputs);
  with_maps(inputs.maps(), [&](auto* none) {
    using Map = std::remove_pointer_t<decltype(none)>;
    const Maps<Map> maps = maps_of<Map>(inputs);
    Map* const to = static_cast<Map*>(image.mutable_data_ptr());
    if (!fast_forward(maps, lit, shape, device, to, stream)) {
      plain_forward(maps, lit, shape, device, to, stream);
    }
  });
}

// Gradients, each where it is wanted, of the maps by their axis.
template <typename Map, typename T>
Results<Map, T> results_of(const Inputs& inputs, const Wanted& wanted) {
  const Maybe& fixed = inputs.melanin_fixed ? wanted.melanin : wanted.haemoglobin;
  const Maybe& folded = inputs.melanin_fixed ? wanted.haemoglobin : wanted.melanin;
  return {writable<Map>(fixed), writable<Map>(folded), writable<Map>(wanted.diffuse),
          writable<Map>(wanted.specular), nullptr};
}

void render_backward(const Tensor& melanin, const Tensor& haemoglobin, const Tensor& diffuse,
                     const Tensor& specular, Maybe mixture, Maybe cct, Maybe spectrum, Maybe camera,
                     Maybe weights, Maybe highlight, std::vector<Tensor> tables, bool melanin_fixed,
                     double first_cct, double cct_step, double camera_range, const Tensor& image,
                     const Tensor& gradient, Maybe of_melanin, Maybe of_haemoglobin,
                     Maybe of_diffuse, Maybe of_specular, Maybe of_mixture, Maybe of_cct,
                     Maybe of_spectrum, Maybe of_camera, Maybe of_weights, Maybe of_highlight,
                     int64_t stream) {
  const Inputs inputs{melanin, haemoglobin, diffuse,   specular, mixture,       cct,       spectrum,
                      camera,  weights,     highlight, tables,   melanin_fixed, first_cct, cct_step,
                      camera_range};
  const Wanted wanted{of_melanin, of_haemoglobin, of_diffuse, of_specular, of_mixture,
                      of_cct,     of_spectrum,    of_camera,  of_weights,  of_highlight};
  const Shape shape = inputs.check(true);
  check_colour(image, shape, inputs.maps());
  STD_TORCH_CHECK(image.is_contiguous(), "the image must be contiguous");
  check_colour(gradient, shape, inputs.maps());
  wanted.check(shape, inputs);
  const bool light = wanted.light();
  if (!wanted.maps() && !light) return;
  if (shape.images * shape.pixels == 0) {
    for (const Maybe* sum : wanted.of_light()) {
      if (*sum && (*sum)->numel() > 0) {
        Tensor zeros = **sum;
        torch::stable::zero_(zeros);
      }
    }
    return;
  }
  const Device device(melanin);
  if (inputs.numbers() == ScalarType::Double) {
    const Made<double> made(inputs, shape, device, stream);
    const Tensor sums = plain_backward(maps_of<double>(inputs), made.lit(inputs),
                                       colours_of<double>(image, gradient),
                                       results_of<double, double>(inputs, wanted), inputs, shape,
                                       device, light, stream);
    if (light) finish_light<double>(inputs, made.lights, sums, wanted, stream);
    return;
  }
  const Made<float> made(inputs, shape, device, stream);
  const Lit<float> lit = made.lit(inputs);
  with_maps(inputs.maps(), [&](auto* none) {
    using Map = std::remove_pointer_t<decltype(none)>;
    const Maps<Map> maps = maps_of<Map>(inputs);
    const Colours<Map> colours = colours_of<Map>(image, gradient);
    const Results<Map, float> results = results_of<Map, float>(inputs, wanted);
    std::optional<Tensor> sums =
        fast_backward(maps, lit, colours, results, inputs, shape, device, light, stream);
    if (!sums) {
      sums = plain_backward(maps, lit, colours, results, inputs, shape, device, light, stream);
    }
    if (light) finish_light<float>(inputs, made.lights, *sums, wanted, stream);
  });
}

}  // namespace ops
}  // namespace
}  // namespace cuda
}  // namespace biofacenet

STABLE_TORCH_LIBRARY(biofacenet_cuda, m) {
  m.def(BIOFACENET_RENDER ", int stream) -> ()");
  m.def(BIOFACENET_RENDER_BACKWARD ", int stream) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(biofacenet_cuda, BIOFACENET_DEVICE, m) {
  m.impl("render", TORCH_BOX(&biofacenet::cuda::ops::render));
  m.impl("render_backward", TORCH_BOX(&biofacenet::cuda::ops::render_backward));
}
