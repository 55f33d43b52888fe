// The CPU library: raw forward and backward functions on libtorch's stable ABI, so that one binary
// serves torch 2.11 and everything newer, on any Python. Schema, autograd and everything else that
// users meet is Python's (biofacenet/operator.py).

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "kernel.h"

namespace biofacenet {
namespace baseline {
extern const Kernels kernels;
}
#ifdef BIOFACENET_X86
namespace avx2 {
extern const Kernels kernels;
}
namespace avx512 {
extern const Kernels kernels;
}
#endif

namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

struct InstructionSet {
  const char* name;
  const Kernels* kernels;
  bool (*supported)();
};

// Fastest first.
const InstructionSet kInstructionSets[] = {
#ifdef BIOFACENET_X86
    {"avx512", &avx512::kernels,
     [] {
       return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
              __builtin_cpu_supports("fma");
     }},
    {"avx2", &avx2::kernels,
     [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }},
#endif
    {"baseline", &baseline::kernels, [] { return true; }},
};

const InstructionSet* fastest() {
  for (const auto& candidate : kInstructionSets) {
    if (candidate.supported()) return &candidate;
  }
  return nullptr;  // not reached: the last one always is
}

std::atomic<const InstructionSet*> chosen{fastest()};

std::string instruction_set() { return chosen.load()->name; }

std::string instruction_sets() {
  std::string names;
  for (const auto& candidate : kInstructionSets) {
    if (candidate.supported()) names += (names.empty() ? "" : " ") + std::string(candidate.name);
  }
  return names;
}

void use_instruction_set(std::string name) {
  for (const auto& candidate : kInstructionSets) {
    if (name == candidate.name && candidate.supported()) {
      chosen.store(&candidate);
      return;
    }
  }
  STD_TORCH_CHECK(false, "instruction set ", name, " is not one of ", instruction_sets());
}

// Pixels of one work item. Gradients of what an image's pixels share are summed item by item, in
// order, so that they do not depend on how many threads there are.
constexpr int64_t kItem = 4096;
constexpr int64_t kGrain = 2048;  // pixels below which a second thread costs more than it brings

int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

template <typename T>
Plane<T> plane(const Tensor& maps, int64_t image, int64_t channel = 0) {
  return {static_cast<const T*>(maps.const_data_ptr()) + image * maps.stride(0) +
              channel * maps.stride(1),
          maps.stride(2), maps.stride(3)};
}

// Rows of `components` numbers, padded with zeros where their length is no multiple of kRowPadding.
template <typename T>
class Rows {
 public:
  Rows(const Tensor& table, int64_t rows, int64_t components)
      : data_(static_cast<const T*>(table.const_data_ptr())) {
    const int64_t padded = round_up(components, kRowPadding);
    if (padded == components) return;
    copy_.resize(rows * padded);
    for (int64_t row = 0; row < rows; ++row) {
      std::copy_n(data_ + row * components, components, copy_.data() + row * padded);
    }
    data_ = copy_.data();
  }
  const T* data() const { return data_; }

 private:
  const T* data_;
  std::vector<T> copy_;
};

struct Shape {
  int64_t images, height, width, pixels, components, padded;
};

// The Python side checks with better words; these keep a direct call from reading out of bounds.
Shape check(const Tensor& melanin, const Tensor& haemoglobin, const Tensor& diffuse,
            const Tensor& specular, const Tensor& weights, const Tensor& highlight,
            const Tensor& epidermis, const Tensor& dermis) {
  STD_TORCH_CHECK(melanin.dim() == 4 && melanin.size(1) == 1, "melanin must be (B, 1, H, W)");
  const auto type = melanin.scalar_type();
  STD_TORCH_CHECK(type == ScalarType::Float || type == ScalarType::Double,
                  "maps must be float32 or float64");
  for (const Tensor* map : {&haemoglobin, &diffuse, &specular}) {
    STD_TORCH_CHECK(map->dim() == 4 && map->size(0) == melanin.size(0) && map->size(1) == 1 &&
                        map->size(2) == melanin.size(2) && map->size(3) == melanin.size(3) &&
                        map->scalar_type() == type,
                    "maps must have one shape and dtype");
  }
  const int64_t images = melanin.size(0);
  STD_TORCH_CHECK(weights.dim() == 3 && weights.size(0) == images && weights.size(1) == 3 &&
                      weights.is_contiguous() && weights.scalar_type() == type,
                  "weights must be contiguous (B, 3, K), of the maps' dtype");
  STD_TORCH_CHECK(highlight.dim() == 2 && highlight.size(0) == images && highlight.size(1) == 3 &&
                      highlight.is_contiguous() && highlight.scalar_type() == type,
                  "highlight must be contiguous (B, 3), of the maps' dtype");
  const int64_t components = weights.size(2);
  for (const Tensor* table : {&epidermis, &dermis}) {
    STD_TORCH_CHECK(table->dim() == 2 && table->size(0) >= 2 && table->size(1) == components &&
                        table->size(0) * round_up(components, kRowPadding) < (1LL << 31) &&
                        table->is_contiguous() && table->scalar_type() == type,
                    "tables must be contiguous (N >= 2, K), of the maps' dtype");
  }
  return {images,     melanin.size(2),
          melanin.size(3), melanin.size(2) * melanin.size(3),
          components, round_up(components, kRowPadding)};
}

void check_colour(const Tensor& tensor, const Shape& shape, const Tensor& like) {
  STD_TORCH_CHECK(tensor.dim() == 4 && tensor.size(0) == shape.images && tensor.size(1) == 3 &&
                      tensor.size(2) == shape.height && tensor.size(3) == shape.width &&
                      tensor.scalar_type() == like.scalar_type(),
                  "image must be (B, 3, H, W), of the maps' dtype");
}

// Calls `work(image, begin, end, item)` for every run of at most kItem pixels, on torch's threads.
template <typename Work>
void for_each_item(const Shape& shape, const Work& work) {
  const int64_t per_image = (shape.pixels + kItem - 1) / kItem;
  const int64_t pixels = std::max<int64_t>(1, std::min(kItem, shape.pixels));
  torch::stable::parallel_for(
      0, shape.images * per_image, std::max<int64_t>(1, kGrain / pixels),
      [&](int64_t first, int64_t last) {
        for (int64_t item = first; item < last; ++item) {
          const int64_t begin = item % per_image * kItem;
          work(item / per_image, begin, std::min(begin + kItem, shape.pixels), item);
        }
      });
}

template <typename T>
struct Inputs {
  Inputs(const Tensor& melanin, const Tensor& haemoglobin, const Tensor& diffuse,
         const Tensor& specular, const Tensor& weights, const Tensor& highlight,
         const Tensor& epidermis, const Tensor& dermis, const Shape& shape)
      : melanin(melanin), haemoglobin(haemoglobin), diffuse(diffuse), specular(specular),
        weights(weights, shape.images * 3, shape.components),
        highlight(static_cast<const T*>(highlight.const_data_ptr())),
        epidermis_rows(epidermis, epidermis.size(0), shape.components),
        dermis_rows(dermis, dermis.size(0), shape.components), shape(shape),
        skin{epidermis_rows.data(), dermis_rows.data(), int(epidermis.size(0)),
             int(dermis.size(0)), int(shape.padded)} {}

  Image<T> image(int64_t index) const {
    return {plane<T>(melanin, index), plane<T>(haemoglobin, index), plane<T>(diffuse, index),
            plane<T>(specular, index), weights.data() + index * 3 * shape.padded,
            highlight + index * 3, shape.width};
  }

  const Tensor &melanin, &haemoglobin, &diffuse, &specular;
  Rows<T> weights;
  const T* highlight;
  Rows<T> epidermis_rows, dermis_rows;
  Shape shape;
  Skin<T> skin;
};

template <typename T>
void forward_typed(const Inputs<T>& inputs, Forward<T> kernel, const Tensor& image) {
  T* output = static_cast<T*>(image.mutable_data_ptr());
  const int64_t pixels = inputs.shape.pixels;
  for_each_item(inputs.shape, [&](int64_t index, int64_t begin, int64_t end, int64_t) {
    kernel(inputs.image(index), inputs.skin, begin, end, output + index * 3 * pixels, pixels);
  });
}

void forward(const Tensor& melanin, const Tensor& haemoglobin, const Tensor& diffuse,
             const Tensor& specular, const Tensor& weights, const Tensor& highlight,
             const Tensor& epidermis, const Tensor& dermis, Tensor image) {
  const Shape shape =
      check(melanin, haemoglobin, diffuse, specular, weights, highlight, epidermis, dermis);
  check_colour(image, shape, melanin);
  STD_TORCH_CHECK(image.is_contiguous(), "the image to write must be contiguous");
  if (shape.images * shape.pixels == 0) return;
  const Kernels& kernels = *chosen.load()->kernels;
  if (melanin.scalar_type() == ScalarType::Float) {
    forward_typed(Inputs<float>(melanin, haemoglobin, diffuse, specular, weights, highlight,
                                epidermis, dermis, shape),
                  kernels.forward_float, image);
  } else {
    forward_typed(Inputs<double>(melanin, haemoglobin, diffuse, specular, weights, highlight,
                                 epidermis, dermis, shape),
                  kernels.forward_double, image);
  }
}

using Wanted = std::optional<Tensor>;

template <typename T>
T* writable(const Wanted& tensor) {
  return tensor ? static_cast<T*>(tensor->mutable_data_ptr()) : nullptr;
}

template <typename T>
void backward_typed(const Inputs<T>& inputs, Backward<T> kernel, const Tensor& rendered,
                    const Tensor& gradient, const Wanted& melanin, const Wanted& haemoglobin,
                    const Wanted& diffuse, const Wanted& specular, const Wanted& weights,
                    const Wanted& highlight) {
  const Shape& shape = inputs.shape;
  const int64_t per_image = (shape.pixels + kItem - 1) / kItem;
  const int64_t each = 3 * shape.padded + 3;
  const bool shared = weights || highlight;
  std::vector<T> sums(shared ? shape.images * per_image * each : 0);
  T *const melanin_data = writable<T>(melanin), *const haemoglobin_data = writable<T>(haemoglobin);
  T *const diffuse_data = writable<T>(diffuse), *const specular_data = writable<T>(specular);
  for_each_item(shape, [&](int64_t index, int64_t begin, int64_t end, int64_t item) {
    const auto at = [&](T* data) { return data ? data + index * shape.pixels : nullptr; };
    T* sum = shared ? sums.data() + item * each : nullptr;
    const Plane<T> above[3] = {plane<T>(gradient, index, 0), plane<T>(gradient, index, 1),
                               plane<T>(gradient, index, 2)};
    const Plane<T> values[3] = {plane<T>(rendered, index, 0), plane<T>(rendered, index, 1),
                                plane<T>(rendered, index, 2)};
    kernel(inputs.image(index), inputs.skin, begin, end, above, values,
           {at(melanin_data), at(haemoglobin_data), at(diffuse_data), at(specular_data), sum,
            shared ? sum + 3 * shape.padded : nullptr});
  });
  if (!shared) return;
  T *const weights_data = writable<T>(weights), *const highlight_data = writable<T>(highlight);
  for (int64_t index = 0; index < shape.images; ++index) {
    const T* first = sums.data() + index * per_image * each;
    const auto total = [&](int64_t element) {
      double sum = 0;
      for (int64_t item = 0; item < per_image; ++item) sum += first[item * each + element];
      return T(sum);
    };
    for (int64_t c = 0; c < 3; ++c) {
      for (int64_t l = 0; weights_data && l < shape.components; ++l) {
        weights_data[(index * 3 + c) * shape.components + l] = total(c * shape.padded + l);
      }
      if (highlight_data) highlight_data[index * 3 + c] = total(3 * shape.padded + c);
    }
  }
}

void backward(const Tensor& melanin, const Tensor& haemoglobin, const Tensor& diffuse,
              const Tensor& specular, const Tensor& weights, const Tensor& highlight,
              const Tensor& epidermis, const Tensor& dermis, const Tensor& image,
              const Tensor& gradient, Wanted melanin_gradient, Wanted haemoglobin_gradient,
              Wanted diffuse_gradient, Wanted specular_gradient, Wanted weights_gradient,
              Wanted highlight_gradient) {
  const Shape shape =
      check(melanin, haemoglobin, diffuse, specular, weights, highlight, epidermis, dermis);
  check_colour(image, shape, melanin);
  check_colour(gradient, shape, melanin);
  const auto fits = [&](const Wanted& wanted, int64_t elements) {
    STD_TORCH_CHECK(!wanted || (wanted->is_contiguous() && wanted->numel() == elements &&
                                wanted->scalar_type() == melanin.scalar_type()),
                    "gradients to write must be contiguous, of their input's size and dtype");
    return bool(wanted);
  };
  bool any = false;
  for (const Wanted* map :
       {&melanin_gradient, &haemoglobin_gradient, &diffuse_gradient, &specular_gradient}) {
    any |= fits(*map, shape.images * shape.pixels);
  }
  any |= fits(weights_gradient, shape.images * 3 * shape.components);
  any |= fits(highlight_gradient, shape.images * 3);
  if (!any) return;
  const Kernels& kernels = *chosen.load()->kernels;
  if (melanin.scalar_type() == ScalarType::Float) {
    backward_typed(Inputs<float>(melanin, haemoglobin, diffuse, specular, weights, highlight,
                                 epidermis, dermis, shape),
                   kernels.backward_float, image, gradient, melanin_gradient,
                   haemoglobin_gradient, diffuse_gradient, specular_gradient, weights_gradient,
                   highlight_gradient);
  } else {
    backward_typed(Inputs<double>(melanin, haemoglobin, diffuse, specular, weights, highlight,
                                  epidermis, dermis, shape),
                   kernels.backward_double, image, gradient, melanin_gradient,
                   haemoglobin_gradient, diffuse_gradient, specular_gradient, weights_gradient,
                   highlight_gradient);
  }
}

// Tables of folding, in the order in which Python passes them.
template <typename T>
FoldTables<T> fold_tables(const std::vector<Tensor>& tables, double first_cct, double cct_step,
                          double camera_range) {
  const auto at = [&](size_t index) { return static_cast<const T*>(tables[index].const_data_ptr()); };
  const int64_t grid = int64_t(std::llround(std::sqrt(double(tables[4].size(0)))));
  return {at(0), at(1), at(2), at(3), at(4), at(5), at(6), int(tables[1].size(0)), int(grid),
          int(tables[5].size(0)), T(first_cct), T(cct_step), T(camera_range),
          T(double(grid - 1) / (2.0 * camera_range))};
}

void check_fold(const Wanted& weights, const Wanted& cct, const Wanted& spectrum,
                const Tensor& camera, const std::vector<Tensor>& tables) {
  const auto type = camera.scalar_type();
  STD_TORCH_CHECK(type == ScalarType::Float || type == ScalarType::Double,
                  "light and camera must be float32 or float64");
  const auto fits = [&](const Tensor& tensor, int64_t elements) {
    return tensor.is_contiguous() && tensor.numel() == elements && tensor.scalar_type() == type;
  };
  const int64_t images = camera.size(0);
  STD_TORCH_CHECK(fits(camera, images * 2), "camera must be contiguous (B, 2)");
  STD_TORCH_CHECK(bool(weights) == bool(cct) && bool(weights) != bool(spectrum),
                  "give mixture weights and cct, or a spectrum");
  STD_TORCH_CHECK(!weights || (fits(*weights, images * kIlluminants) && fits(*cct, images)),
                  "weights and cct must be contiguous (B, 14) and (B), of the camera's dtype");
  STD_TORCH_CHECK(!spectrum || fits(*spectrum, images * kBands),
                  "spectrum must be contiguous (B, 33), of the camera's dtype");
  STD_TORCH_CHECK(tables.size() == 7, "folding reads seven tables");
  const int64_t components = tables[5].size(0);
  STD_TORCH_CHECK(components <= kMaxComponents, "folding takes at most 512 components");
  const int64_t grid = int64_t(std::llround(std::sqrt(double(tables[4].size(0)))));
  STD_TORCH_CHECK(fits(tables[0], kIlluminants * kBands) && tables[1].size(0) >= 2 &&
                      fits(tables[1], tables[1].size(0) * kBands) &&
                      fits(tables[2], 3 * kBands) && fits(tables[3], 6 * kBands) && grid >= 2 &&
                      fits(tables[4], grid * grid * 9) && fits(tables[5], components * kBands) &&
                      fits(tables[6], components * kBands),
                  "tables of folding have wrong shapes or dtypes");
}

template <typename T>
const T* readable(const Wanted& tensor) {
  return tensor ? static_cast<const T*>(tensor->const_data_ptr()) : nullptr;
}

template <typename T>
T* row(T* data, int64_t index, int64_t width) {
  return data ? data + index * width : nullptr;
}

constexpr int64_t kFoldGrain = 32;  // images

template <typename T>
void fold_typed(Fold<T> kernel, const FoldTables<T>& tables, const Wanted& weights,
                const Wanted& cct, const Wanted& spectrum, const Tensor& camera,
                const Tensor& folded, const Tensor& highlight) {
  const T *const w = readable<T>(weights), *const t = readable<T>(cct),
          *const s = readable<T>(spectrum);
  const T* const b = static_cast<const T*>(camera.const_data_ptr());
  T* const f = static_cast<T*>(folded.mutable_data_ptr());
  T* const h = static_cast<T*>(highlight.mutable_data_ptr());
  torch::stable::parallel_for(0, camera.size(0), kFoldGrain, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      kernel(tables, row(w, i, kIlluminants), t ? t[i] : T(0), row(s, i, kBands), b + 2 * i,
             f + i * 3 * tables.components, h + 3 * i);
    }
  });
}

void fold(Wanted weights, Wanted cct, Wanted spectrum, const Tensor& camera,
          std::vector<Tensor> tables, double first_cct, double cct_step, double camera_range,
          Tensor folded, Tensor highlight) {
  check_fold(weights, cct, spectrum, camera, tables);
  STD_TORCH_CHECK(folded.is_contiguous() && highlight.is_contiguous() &&
                      folded.numel() == camera.size(0) * 3 * tables[5].size(0) &&
                      highlight.numel() == camera.size(0) * 3 &&
                      folded.scalar_type() == camera.scalar_type() &&
                      highlight.scalar_type() == camera.scalar_type(),
                  "results of folding must be contiguous (B, 3, K) and (B, 3)");
  const Kernels& kernels = *chosen.load()->kernels;
  if (camera.scalar_type() == ScalarType::Float) {
    fold_typed(kernels.fold_float, fold_tables<float>(tables, first_cct, cct_step, camera_range),
               weights, cct, spectrum, camera, folded, highlight);
  } else {
    fold_typed(kernels.fold_double, fold_tables<double>(tables, first_cct, cct_step, camera_range),
               weights, cct, spectrum, camera, folded, highlight);
  }
}

template <typename T>
void fold_backward_typed(FoldBackward<T> kernel, const FoldTables<T>& tables,
                         const Wanted& weights, const Wanted& cct, const Wanted& spectrum,
                         const Tensor& camera, const Tensor& of_folded, const Tensor& of_highlight,
                         const Wanted& of_weights, const Wanted& of_cct, const Wanted& of_spectrum,
                         const Wanted& of_camera) {
  const T *const w = readable<T>(weights), *const t = readable<T>(cct),
          *const s = readable<T>(spectrum);
  const T* const b = static_cast<const T*>(camera.const_data_ptr());
  const T* const f = static_cast<const T*>(of_folded.const_data_ptr());
  const T* const h = static_cast<const T*>(of_highlight.const_data_ptr());
  T *const gw = writable<T>(of_weights), *const gt = writable<T>(of_cct),
    *const gs = writable<T>(of_spectrum), *const gb = writable<T>(of_camera);
  torch::stable::parallel_for(0, camera.size(0), kFoldGrain, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      kernel(tables, row(w, i, kIlluminants), t ? t[i] : T(0), row(s, i, kBands), b + 2 * i,
             f + i * 3 * tables.components, h + 3 * i, row(gw, i, kIlluminants), row(gt, i, 1),
             row(gs, i, kBands), row(gb, i, 2));
    }
  });
}

void fold_backward(Wanted weights, Wanted cct, Wanted spectrum, const Tensor& camera,
                   std::vector<Tensor> tables, double first_cct, double cct_step,
                   double camera_range, const Tensor& of_folded, const Tensor& of_highlight,
                   Wanted of_weights, Wanted of_cct, Wanted of_spectrum, Wanted of_camera) {
  check_fold(weights, cct, spectrum, camera, tables);
  const int64_t images = camera.size(0);
  const auto fits = [&](const Tensor& tensor, int64_t elements) {
    STD_TORCH_CHECK(tensor.is_contiguous() && tensor.numel() == elements &&
                        tensor.scalar_type() == camera.scalar_type(),
                    "gradients of folding must be contiguous, of their tensor's size and dtype");
  };
  fits(of_folded, images * 3 * tables[5].size(0));
  fits(of_highlight, images * 3);
  if (of_weights) fits(*of_weights, images * kIlluminants);
  if (of_cct) fits(*of_cct, images);
  if (of_spectrum) fits(*of_spectrum, images * kBands);
  if (of_camera) fits(*of_camera, images * 2);
  STD_TORCH_CHECK(weights || (!of_weights && !of_cct), "no mixture to differentiate");
  const Kernels& kernels = *chosen.load()->kernels;
  if (camera.scalar_type() == ScalarType::Float) {
    fold_backward_typed(kernels.fold_backward_float,
                        fold_tables<float>(tables, first_cct, cct_step, camera_range), weights,
                        cct, spectrum, camera, of_folded, of_highlight, of_weights, of_cct,
                        of_spectrum, of_camera);
  } else {
    fold_backward_typed(kernels.fold_backward_double,
                        fold_tables<double>(tables, first_cct, cct_step, camera_range), weights,
                        cct, spectrum, camera, of_folded, of_highlight, of_weights, of_cct,
                        of_spectrum, of_camera);
  }
}

}  // namespace
}  // namespace biofacenet

STABLE_TORCH_LIBRARY(biofacenet_cpu, m) {
  m.def(
      "forward(Tensor melanin, Tensor haemoglobin, Tensor diffuse, Tensor specular, "
      "Tensor weights, Tensor highlight, Tensor epidermis, Tensor dermis, Tensor(a!) image) -> ()");
  m.def(
      "backward(Tensor melanin, Tensor haemoglobin, Tensor diffuse, Tensor specular, "
      "Tensor weights, Tensor highlight, Tensor epidermis, Tensor dermis, Tensor image, "
      "Tensor gradient, Tensor(a!)? melanin_gradient, Tensor(b!)? haemoglobin_gradient, "
      "Tensor(c!)? diffuse_gradient, Tensor(d!)? specular_gradient, "
      "Tensor(e!)? weights_gradient, Tensor(f!)? highlight_gradient) -> ()");
  m.def(
      "fold(Tensor? weights, Tensor? cct, Tensor? spectrum, Tensor camera, Tensor[] tables, "
      "float first_cct, float cct_step, float camera_range, Tensor(a!) folded, "
      "Tensor(b!) highlight) -> ()");
  m.def(
      "fold_backward(Tensor? weights, Tensor? cct, Tensor? spectrum, Tensor camera, "
      "Tensor[] tables, float first_cct, float cct_step, float camera_range, Tensor of_folded, "
      "Tensor of_highlight, Tensor(a!)? of_weights, Tensor(b!)? of_cct, Tensor(c!)? of_spectrum, "
      "Tensor(d!)? of_camera) -> ()");
  m.def("instruction_set() -> str");
  m.def("instruction_sets() -> str");
  m.def("use_instruction_set(str name) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(biofacenet_cpu, CPU, m) {
  m.impl("forward", TORCH_BOX(&biofacenet::forward));
  m.impl("backward", TORCH_BOX(&biofacenet::backward));
  m.impl("fold", TORCH_BOX(&biofacenet::fold));
  m.impl("fold_backward", TORCH_BOX(&biofacenet::fold_backward));
}

STABLE_TORCH_LIBRARY_IMPL(biofacenet_cpu, CompositeExplicitAutograd, m) {
  m.impl("instruction_set", TORCH_BOX(&biofacenet::instruction_set));
  m.impl("instruction_sets", TORCH_BOX(&biofacenet::instruction_sets));
  m.impl("use_instruction_set", TORCH_BOX(&biofacenet::use_instruction_set));
}
