// What the libraries' functions take: their schemas, and the checks that keep a direct call from
// reading out of bounds. The Python side checks with better words.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <cmath>
#include <optional>
#include <vector>

#include "fold.h"

namespace biofacenet {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using Maybe = std::optional<Tensor>;

// Maps (B, 1, H, W) of any strides, a stride of 0 between images included. fold.h says what the light
// and the last three tables are; the first five are those of `LightTables`.
#define BIOFACENET_INPUTS                                                                      \
  "Tensor melanin, Tensor haemoglobin, Tensor diffuse, Tensor specular, "                      \
  "Tensor? mixture, Tensor? cct, Tensor? spectrum, Tensor? camera, Tensor? weights, "          \
  "Tensor? highlight, Tensor[] tables, bool melanin_fixed, float first_cct, float cct_step, "  \
  "float camera_range"
// The image (B, 3, H, W) to fill, contiguous.
#define BIOFACENET_RENDER "render(" BIOFACENET_INPUTS ", Tensor(a!) image"
// The image as it was filled, its gradient of any strides, and the gradients to fill, contiguous and of
// their input's shape but for maps, which always have B images; none where not wanted.
#define BIOFACENET_RENDER_BACKWARD                                                             \
  "render_backward(" BIOFACENET_INPUTS ", Tensor image, Tensor gradient, "                     \
  "Tensor(a!)? of_melanin, Tensor(b!)? of_haemoglobin, Tensor(c!)? of_diffuse, "               \
  "Tensor(d!)? of_specular, Tensor(e!)? of_mixture, Tensor(f!)? of_cct, "                      \
  "Tensor(g!)? of_spectrum, Tensor(h!)? of_camera, Tensor(i!)? of_weights, "                   \
  "Tensor(j!)? of_highlight"

struct Shape {
  int64_t images, height, width, pixels;
};

template <typename T>
const T* readable(const Tensor& tensor) {
  return static_cast<const T*>(tensor.const_data_ptr());
}

template <typename T>
T* writable(const Maybe& tensor) {
  return tensor ? static_cast<T*>(tensor->mutable_data_ptr()) : nullptr;
}

struct Inputs {
  const Tensor &melanin, &haemoglobin, &diffuse, &specular;
  const Maybe &mixture, &cct, &spectrum, &camera, &weights, &highlight;
  const std::vector<Tensor>& tables;
  bool melanin_fixed;
  double first_cct, cct_step, camera_range;

  ScalarType maps() const { return melanin.scalar_type(); }
  ScalarType numbers() const { return tables[0].scalar_type(); }
  const Tensor& functions() const { return tables[5]; }
  const Tensor& others() const { return tables[6]; }
  const Tensor& mixing() const { return tables[7]; }

  // `half` allows maps of 16 bits beside light and tables of 32.
  Shape check(bool half) const {
    STD_TORCH_CHECK(tables.size() == 8, "rendering reads eight tables");
    const auto type = numbers();
    STD_TORCH_CHECK(type == ScalarType::Float || type == ScalarType::Double,
                    "tables must be float32 or float64");
    const bool is_half = maps() == ScalarType::Half || maps() == ScalarType::BFloat16;
    STD_TORCH_CHECK(maps() == type || (half && is_half && type == ScalarType::Float),
                    "maps must be of the tables' dtype",
                    half ? ", or float16 or bfloat16 beside float32" : "");
    STD_TORCH_CHECK(melanin.dim() == 4 && melanin.size(1) == 1, "melanin must be (B, 1, H, W)");
    const Shape shape{melanin.size(0), melanin.size(2), melanin.size(3),
                      melanin.size(2) * melanin.size(3)};
    for (const Tensor* map : {&haemoglobin, &diffuse, &specular}) {
      STD_TORCH_CHECK(map->dim() == 4 && map->size(0) == shape.images && map->size(1) == 1 &&
                          map->size(2) == shape.height && map->size(3) == shape.width &&
                          map->scalar_type() == maps(),
                      "maps must have one shape and dtype");
    }
    check_light(shape);
    check_tables();
    return shape;
  }

  template <typename T>
  LightTables<T> light_tables() const {
    return {readable<T>(tables[0]), readable<T>(tables[1]), readable<T>(tables[2]),
            readable<T>(tables[3]), readable<T>(tables[4]), int(tables[1].size(0)),
            int(grid()),            first_cct,              cct_step,
            camera_range};
  }

  template <typename T>
  Basis<T> basis() const {
    return {readable<T>(functions()),    readable<T>(others()),    readable<T>(mixing()),
            int(functions().size(0)),    int(others().size(0)),    int(functions().size(1)),
            int(others().size(1))};
  }

  template <typename T>
  Light<T> light(int64_t image) const {
    return {at<T>(mixture, image), at<T>(cct, image),     at<T>(spectrum, image),
            at<T>(camera, image),  at<T>(weights, image), at<T>(highlight, image)};
  }

  // Whether all images have the same light and camera.
  bool one_light() const {
    for (const Maybe* tensor : {&mixture, &cct, &spectrum, &camera, &weights, &highlight}) {
      if (*tensor && (*tensor)->size(0) > 1) return false;
    }
    return true;
  }

 private:
  int64_t grid() const { return int64_t(std::llround(std::sqrt(double(tables[4].size(0))))); }

  template <typename T>
  static const T* at(const Maybe& tensor, int64_t image) {
    if (!tensor) return nullptr;
    const int64_t rows = tensor->size(0);
    return readable<T>(*tensor) + (rows > 1 ? image * (tensor->numel() / rows) : 0);
  }

  bool fits(const Tensor& tensor, int64_t elements) const {
    return tensor.is_contiguous() && tensor.numel() == elements &&
           tensor.scalar_type() == numbers();
  }

  void check_light(const Shape& shape) const {
    const bool given = bool(weights);
    STD_TORCH_CHECK(given == bool(highlight) && given != bool(camera),
                    "give a camera, or weights and highlight");
    STD_TORCH_CHECK(bool(mixture) == bool(cct) && !(mixture && spectrum) &&
                        given != (mixture || spectrum),
                    "give mixture and cct, or a spectrum, beside a camera");
    const auto check = [&](const Maybe& tensor, int64_t each) {
      STD_TORCH_CHECK(!tensor || (tensor->dim() >= 1 &&
                                  (tensor->size(0) == 1 || tensor->size(0) == shape.images) &&
                                  fits(*tensor, tensor->size(0) * each)),
                      "light and camera must be contiguous, of one image or as many as maps have, "
                      "and of the tables' dtype");
    };
    check(mixture, kIlluminants);
    check(cct, 1);
    check(spectrum, kBands);
    check(camera, 2);
    check(weights, 3 * kBands);
    check(highlight, 3);
  }

  void check_tables() const {
    STD_TORCH_CHECK(
        fits(tables[0], kIlluminants * kBands) && tables[1].size(0) >= 2 &&
            fits(tables[1], tables[1].size(0) * kBands) && fits(tables[2], 3 * kBands) &&
            fits(tables[3], 6 * kBands) && grid() >= 2 && fits(tables[4], grid() * grid() * 9),
        "tables of light and camera have wrong shapes or dtypes");
    for (const Tensor* table : {&functions(), &others()}) {
      STD_TORCH_CHECK(table->dim() == 2 && table->size(0) >= 2 && table->size(1) >= 1 &&
                          table->numel() < (1LL << 26) && fits(*table, table->numel()),
                      "functions of an axis must be contiguous (N >= 2, P >= 1)");
    }
    STD_TORCH_CHECK(fits(mixing(), kBands * others().size(1) * functions().size(1)),
                    "mixing must be contiguous (33, Q, P)");
  }
};

inline void check_colour(const Tensor& tensor, const Shape& shape, ScalarType type) {
  STD_TORCH_CHECK(tensor.dim() == 4 && tensor.size(0) == shape.images && tensor.size(1) == 3 &&
                      tensor.size(2) == shape.height && tensor.size(3) == shape.width &&
                      tensor.scalar_type() == type,
                  "image must be (B, 3, H, W), of the maps' dtype");
}

// Gradients to fill, where they are wanted.
struct Wanted {
  const Maybe &melanin, &haemoglobin, &diffuse, &specular;
  const Maybe &mixture, &cct, &spectrum, &camera, &weights, &highlight;

  bool maps() const { return melanin || haemoglobin || diffuse || specular; }
  bool light() const { return mixture || cct || spectrum || camera || weights || highlight; }
  std::vector<const Maybe*> of_light() const {
    return {&mixture, &cct, &spectrum, &camera, &weights, &highlight};
  }

  void check(const Shape& shape, const Inputs& inputs) const {
    for (const Maybe* map : {&melanin, &haemoglobin, &diffuse, &specular}) {
      STD_TORCH_CHECK(!*map || ((*map)->is_contiguous() && (*map)->scalar_type() == inputs.maps() &&
                                (*map)->numel() == shape.images * shape.pixels),
                      "maps' gradients must be contiguous (B, 1, H, W), of the maps' dtype");
    }
    const auto check = [&](const Maybe& wanted, const Maybe& of) {
      STD_TORCH_CHECK(!wanted || (of && wanted->is_contiguous() && wanted->numel() == of->numel() &&
                                  wanted->scalar_type() == inputs.numbers()),
                      "gradients of light and camera must be contiguous, of their input's size");
    };
    check(mixture, inputs.mixture);
    check(cct, inputs.cct);
    check(spectrum, inputs.spectrum);
    check(camera, inputs.camera);
    check(weights, inputs.weights);
    check(highlight, inputs.highlight);
  }
};

}  // namespace biofacenet
