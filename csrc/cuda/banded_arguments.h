// What the libraries' functions take: their schemas, and the checks that keep a direct call from
// reading out of bounds. The Python side checks with better words.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <cmath>
#include <optional>
#include <vector>

#include "banded_fold.h"

namespace biofacenet {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using Wanted = std::optional<Tensor>;

#define BIOFACENET_FORWARD                                                                   \
  "forward(Tensor melanin, Tensor haemoglobin, Tensor diffuse, Tensor specular, "            \
  "Tensor weights, Tensor highlight, Tensor epidermis, Tensor dermis, Tensor(a!) image"
#define BIOFACENET_BACKWARD                                                                  \
  "backward(Tensor melanin, Tensor haemoglobin, Tensor diffuse, Tensor specular, "           \
  "Tensor weights, Tensor highlight, Tensor epidermis, Tensor dermis, Tensor image, "        \
  "Tensor gradient, Tensor(a!)? melanin_gradient, Tensor(b!)? haemoglobin_gradient, "        \
  "Tensor(c!)? diffuse_gradient, Tensor(d!)? specular_gradient, "                            \
  "Tensor(e!)? weights_gradient, Tensor(f!)? highlight_gradient"
#define BIOFACENET_FOLD                                                                      \
  "fold(Tensor? mixture, Tensor? cct, Tensor? spectrum, Tensor camera, Tensor[] tables, "    \
  "float first_cct, float cct_step, float camera_range, Tensor(a!) folded, "                 \
  "Tensor(b!) highlight"
#define BIOFACENET_FOLD_BACKWARD                                                             \
  "fold_backward(Tensor? mixture, Tensor? cct, Tensor? spectrum, Tensor camera, "            \
  "Tensor[] tables, float first_cct, float cct_step, float camera_range, Tensor of_folded, " \
  "Tensor of_highlight, Tensor(a!)? of_mixture, Tensor(b!)? of_cct, Tensor(c!)? of_spectrum, " \
  "Tensor(d!)? of_camera"

struct Shape {
  int64_t images, height, width, pixels, components;
};

// The renderer's inputs. `half` allows maps of 16 bits beside weights and tables of 32.
struct Inputs {
  const Tensor &melanin, &haemoglobin, &diffuse, &specular, &weights, &highlight, &epidermis,
      &dermis;

  ScalarType maps() const { return melanin.scalar_type(); }
  ScalarType numbers() const { return weights.scalar_type(); }

  Shape check(bool half) const {
    STD_TORCH_CHECK(melanin.dim() == 4 && melanin.size(1) == 1, "melanin must be (B, 1, H, W)");
    const auto type = numbers();
    STD_TORCH_CHECK(type == ScalarType::Float || type == ScalarType::Double,
                    "weights must be float32 or float64");
    const bool is_half = maps() == ScalarType::Half || maps() == ScalarType::BFloat16;
    STD_TORCH_CHECK(maps() == type || (half && is_half && type == ScalarType::Float),
                    "maps must be of the weights' dtype",
                    half ? ", or float16 or bfloat16 beside float32" : "");
    for (const Tensor* map : {&haemoglobin, &diffuse, &specular}) {
      STD_TORCH_CHECK(map->dim() == 4 && map->size(0) == melanin.size(0) && map->size(1) == 1 &&
                          map->size(2) == melanin.size(2) && map->size(3) == melanin.size(3) &&
                          map->scalar_type() == maps(),
                      "maps must have one shape and dtype");
    }
    const int64_t images = melanin.size(0);
    STD_TORCH_CHECK(weights.dim() == 3 && weights.size(0) == images && weights.size(1) == 3 &&
                        weights.is_contiguous(),
                    "weights must be contiguous (B, 3, K)");
    STD_TORCH_CHECK(highlight.dim() == 2 && highlight.size(0) == images &&
                        highlight.size(1) == 3 && highlight.is_contiguous() &&
                        highlight.scalar_type() == type,
                    "highlight must be contiguous (B, 3), of the weights' dtype");
    const int64_t components = weights.size(2);
    for (const Tensor* table : {&epidermis, &dermis}) {
      STD_TORCH_CHECK(table->dim() == 2 && table->size(0) >= 2 && table->size(1) == components &&
                          table->size(0) * (components + 16) < (1LL << 31) &&
                          table->is_contiguous() && table->scalar_type() == type,
                      "tables must be contiguous (N >= 2, K), of the weights' dtype");
    }
    return {images, melanin.size(2), melanin.size(3), melanin.size(2) * melanin.size(3),
            components};
  }
};

inline void check_colour(const Tensor& tensor, const Shape& shape, ScalarType type) {
  STD_TORCH_CHECK(tensor.dim() == 4 && tensor.size(0) == shape.images && tensor.size(1) == 3 &&
                      tensor.size(2) == shape.height && tensor.size(3) == shape.width &&
                      tensor.scalar_type() == type,
                  "image must be (B, 3, H, W), of the maps' dtype");
}

// Gradients to fill, where they are wanted.
struct WantedGradients {
  const Wanted &melanin, &haemoglobin, &diffuse, &specular, &weights, &highlight;

  bool maps() const { return melanin || haemoglobin || diffuse || specular; }
  bool shared() const { return weights || highlight; }

  void check(const Shape& shape, const Inputs& inputs) const {
    const auto fits = [](const Wanted& wanted, int64_t elements, ScalarType type) {
      STD_TORCH_CHECK(!wanted || (wanted->is_contiguous() && wanted->numel() == elements &&
                                  wanted->scalar_type() == type),
                      "gradients to fill must be contiguous, of their input's size and dtype");
    };
    for (const Wanted* map : {&melanin, &haemoglobin, &diffuse, &specular}) {
      fits(*map, shape.images * shape.pixels, inputs.maps());
    }
    fits(weights, shape.images * 3 * shape.components, inputs.numbers());
    fits(highlight, shape.images * 3, inputs.numbers());
  }
};

template <typename T>
const T* readable(const Tensor& tensor) {
  return static_cast<const T*>(tensor.const_data_ptr());
}

template <typename T>
const T* readable(const Wanted& tensor) {
  return tensor ? static_cast<const T*>(tensor->const_data_ptr()) : nullptr;
}

template <typename T>
T* writable(const Wanted& tensor) {
  return tensor ? static_cast<T*>(tensor->mutable_data_ptr()) : nullptr;
}

// Light and camera of a batch, and the tables that folding reads, in the order that Python passes.
struct Light {
  const Wanted &mixture, &cct, &spectrum;
  const Tensor& camera;
  const std::vector<Tensor>& tables;
  double first_cct, cct_step, camera_range;

  ScalarType numbers() const { return camera.scalar_type(); }
  int64_t images() const { return camera.size(0); }
  int64_t components() const { return tables[5].size(0); }
  int64_t grid() const { return int64_t(std::llround(std::sqrt(double(tables[4].size(0))))); }

  bool fits(const Tensor& tensor, int64_t elements) const {
    return tensor.is_contiguous() && tensor.numel() == elements &&
           tensor.scalar_type() == numbers();
  }

  void check() const {
    STD_TORCH_CHECK(numbers() == ScalarType::Float || numbers() == ScalarType::Double,
                    "light and camera must be float32 or float64");
    STD_TORCH_CHECK(fits(camera, images() * 2), "camera must be contiguous (B, 2)");
    STD_TORCH_CHECK(bool(mixture) == bool(cct) && bool(mixture) != bool(spectrum),
                    "give mixture weights and cct, or a spectrum");
    STD_TORCH_CHECK(!mixture || (fits(*mixture, images() * kIlluminants) && fits(*cct, images())),
                    "mixture and cct must be contiguous (B, 14) and (B), of the camera's dtype");
    STD_TORCH_CHECK(!spectrum || fits(*spectrum, images() * kBands),
                    "spectrum must be contiguous (B, 33), of the camera's dtype");
    STD_TORCH_CHECK(tables.size() == 7, "folding reads seven tables");
    STD_TORCH_CHECK(components() <= kMaxComponents, "folding takes at most ", kMaxComponents,
                    " components");
    STD_TORCH_CHECK(
        fits(tables[0], kIlluminants * kBands) && tables[1].size(0) >= 2 &&
            fits(tables[1], tables[1].size(0) * kBands) && fits(tables[2], 3 * kBands) &&
            fits(tables[3], 6 * kBands) && grid() >= 2 && fits(tables[4], grid() * grid() * 9) &&
            fits(tables[5], components() * kBands) && fits(tables[6], components() * kBands),
        "tables of folding have wrong shapes or dtypes");
  }

  void check_results(const Tensor& folded, const Tensor& highlight) const {
    STD_TORCH_CHECK(fits(folded, images() * 3 * components()) && fits(highlight, images() * 3),
                    "results of folding must be contiguous (B, 3, K) and (B, 3)");
  }

  void check_gradients(const Wanted& of_mixture, const Wanted& of_cct, const Wanted& of_spectrum,
                       const Wanted& of_camera) const {
    const auto fitting = [&](const Wanted& wanted, int64_t each) {
      STD_TORCH_CHECK(!wanted || fits(*wanted, images() * each),
                      "gradients of folding must be contiguous, of their tensor's size and dtype");
    };
    fitting(of_mixture, kIlluminants);
    fitting(of_cct, 1);
    fitting(of_spectrum, kBands);
    fitting(of_camera, 2);
    STD_TORCH_CHECK(mixture || (!of_mixture && !of_cct), "no mixture to differentiate");
  }

  template <typename T>
  FoldTables<T> typed_tables() const {
    const auto at = [&](size_t index) { return readable<T>(tables[index]); };
    return {at(0),
            at(1),
            at(2),
            at(3),
            at(4),
            at(5),
            at(6),
            int(tables[1].size(0)),
            int(grid()),
            int(components()),
            T(first_cct),
            T(cct_step),
            T(camera_range),
            T(double(grid() - 1) / (2.0 * camera_range))};
  }

  // Of the first image; `FoldInputs::image` goes on to another.
  template <typename T>
  FoldInputs<T> typed() const {
    return {readable<T>(mixture), readable<T>(cct), readable<T>(spectrum), readable<T>(camera)};
  }
};

}  // namespace biofacenet
