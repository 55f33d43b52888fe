// The CPU library: raw forward and backward functions on libtorch's stable ABI, so that one binary
// serves torch 2.11 and everything newer, on any Python. Schema, autograd and everything else that
// users meet is Python's (biofacenet/operator.py).

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "../arguments.h"
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
class Typed {
 public:
  Typed(const Inputs& inputs, const Shape& shape)
      : shape(shape),
        padded(round_up(shape.components, kRowPadding)),
        inputs_(inputs),
        weights_(inputs.weights, shape.images * 3, shape.components),
        epidermis_(inputs.epidermis, inputs.epidermis.size(0), shape.components),
        dermis_(inputs.dermis, inputs.dermis.size(0), shape.components) {}

  Image<T> image(int64_t index) const {
    return {plane<T>(inputs_.melanin, index),
            plane<T>(inputs_.haemoglobin, index),
            plane<T>(inputs_.diffuse, index),
            plane<T>(inputs_.specular, index),
            weights_.data() + index * 3 * padded,
            readable<T>(inputs_.highlight) + index * 3,
            shape.width};
  }
  Skin<T> skin() const {
    return {epidermis_.data(), dermis_.data(), int(inputs_.epidermis.size(0)),
            int(inputs_.dermis.size(0)), int(padded)};
  }

  const Shape shape;
  const int64_t padded;

 private:
  const Inputs& inputs_;
  Rows<T> weights_, epidermis_, dermis_;
};

template <typename T>
void forward_typed(const Typed<T>& inputs, Forward<T> kernel, const Tensor& image) {
  T* output = static_cast<T*>(image.mutable_data_ptr());
  const int64_t pixels = inputs.shape.pixels;
  const Skin<T> skin = inputs.skin();
  for_each_item(inputs.shape, [&](int64_t index, int64_t begin, int64_t end, int64_t) {
    kernel(inputs.image(index), skin, begin, end, output + index * 3 * pixels, pixels);
  });
}

void forward(const Tensor& melanin, const Tensor& haemoglobin, const Tensor& diffuse,
             const Tensor& specular, const Tensor& weights, const Tensor& highlight,
             const Tensor& epidermis, const Tensor& dermis, Tensor image) {
  const Inputs inputs{melanin, haemoglobin, diffuse, specular, weights, highlight, epidermis,
                      dermis};
  const Shape shape = inputs.check(false);
  check_colour(image, shape, inputs.maps());
  STD_TORCH_CHECK(image.is_contiguous(), "the image to fill must be contiguous");
  if (shape.images * shape.pixels == 0) return;
  const Kernels& kernels = *chosen.load()->kernels;
  if (inputs.numbers() == ScalarType::Float) {
    forward_typed(Typed<float>(inputs, shape), kernels.forward_float, image);
  } else {
    forward_typed(Typed<double>(inputs, shape), kernels.forward_double, image);
  }
}

template <typename T>
void backward_typed(const Typed<T>& inputs, Backward<T> kernel, const Tensor& rendered,
                    const Tensor& gradient, const WantedGradients& wanted) {
  const Shape& shape = inputs.shape;
  const int64_t per_image = (shape.pixels + kItem - 1) / kItem;
  const int64_t each = 3 * inputs.padded + 3;
  const bool shared = wanted.shared();
  std::vector<T> sums(shared ? shape.images * per_image * each : 0);
  T *const melanin = writable<T>(wanted.melanin), *const haemoglobin = writable<T>(wanted.haemoglobin);
  T *const diffuse = writable<T>(wanted.diffuse), *const specular = writable<T>(wanted.specular);
  const Skin<T> skin = inputs.skin();
  for_each_item(shape, [&](int64_t index, int64_t begin, int64_t end, int64_t item) {
    const auto at = [&](T* data) { return data ? data + index * shape.pixels : nullptr; };
    T* sum = shared ? sums.data() + item * each : nullptr;
    const Plane<T> above[3] = {plane<T>(gradient, index, 0), plane<T>(gradient, index, 1),
                               plane<T>(gradient, index, 2)};
    const Plane<T> values[3] = {plane<T>(rendered, index, 0), plane<T>(rendered, index, 1),
                                plane<T>(rendered, index, 2)};
    kernel(inputs.image(index), skin, begin, end, above, values,
           {at(melanin), at(haemoglobin), at(diffuse), at(specular), sum,
            shared ? sum + 3 * inputs.padded : nullptr});
  });
  if (!shared) return;
  T *const weights = writable<T>(wanted.weights), *const highlight = writable<T>(wanted.highlight);
  for (int64_t index = 0; index < shape.images; ++index) {
    const T* first = sums.data() + index * per_image * each;
    const auto total = [&](int64_t element) {
      double sum = 0;
      for (int64_t item = 0; item < per_image; ++item) sum += first[item * each + element];
      return T(sum);
    };
    for (int64_t c = 0; c < 3; ++c) {
      for (int64_t l = 0; weights && l < shape.components; ++l) {
        weights[(index * 3 + c) * shape.components + l] = total(c * inputs.padded + l);
      }
      if (highlight) highlight[index * 3 + c] = total(3 * inputs.padded + c);
    }
  }
}

void backward(const Tensor& melanin, const Tensor& haemoglobin, const Tensor& diffuse,
              const Tensor& specular, const Tensor& weights, const Tensor& highlight,
              const Tensor& epidermis, const Tensor& dermis, const Tensor& image,
              const Tensor& gradient, Wanted melanin_gradient, Wanted haemoglobin_gradient,
              Wanted diffuse_gradient, Wanted specular_gradient, Wanted weights_gradient,
              Wanted highlight_gradient) {
  const Inputs inputs{melanin, haemoglobin, diffuse, specular, weights, highlight, epidermis,
                      dermis};
  const WantedGradients wanted{melanin_gradient,  haemoglobin_gradient, diffuse_gradient,
                         specular_gradient, weights_gradient,     highlight_gradient};
  const Shape shape = inputs.check(false);
  check_colour(image, shape, inputs.maps());
  check_colour(gradient, shape, inputs.maps());
  wanted.check(shape, inputs);
  if (!wanted.maps() && !wanted.shared()) return;
  const Kernels& kernels = *chosen.load()->kernels;
  if (inputs.numbers() == ScalarType::Float) {
    backward_typed(Typed<float>(inputs, shape), kernels.backward_float, image, gradient, wanted);
  } else {
    backward_typed(Typed<double>(inputs, shape), kernels.backward_double, image, gradient, wanted);
  }
}

constexpr int64_t kFoldGrain = 32;  // images

template <typename T>
void fold_typed(Fold<T> kernel, const Light& light, const Tensor& folded,
                const Tensor& highlight) {
  const FoldTables<T> tables = light.typed_tables<T>();
  const FoldInputs<T> inputs = light.typed<T>();
  T* const f = static_cast<T*>(folded.mutable_data_ptr());
  T* const h = static_cast<T*>(highlight.mutable_data_ptr());
  torch::stable::parallel_for(0, light.images(), kFoldGrain, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      kernel(tables, inputs.image(i), f + i * 3 * tables.components, h + 3 * i);
    }
  });
}

void fold(Wanted mixture, Wanted cct, Wanted spectrum, const Tensor& camera,
          std::vector<Tensor> tables, double first_cct, double cct_step, double camera_range,
          Tensor folded, Tensor highlight) {
  const Light light{mixture, cct, spectrum, camera, tables, first_cct, cct_step, camera_range};
  light.check();
  light.check_results(folded, highlight);
  const Kernels& kernels = *chosen.load()->kernels;
  if (light.numbers() == ScalarType::Float) {
    fold_typed(kernels.fold_float, light, folded, highlight);
  } else {
    fold_typed(kernels.fold_double, light, folded, highlight);
  }
}

template <typename T>
void fold_backward_typed(FoldBackward<T> kernel, const Light& light, const Tensor& of_folded,
                         const Tensor& of_highlight, const FoldGradients<T>& gradients) {
  const FoldTables<T> tables = light.typed_tables<T>();
  const FoldInputs<T> inputs = light.typed<T>();
  const T *const f = readable<T>(of_folded), *const h = readable<T>(of_highlight);
  torch::stable::parallel_for(0, light.images(), kFoldGrain, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      kernel(tables, inputs.image(i), f + i * 3 * tables.components, h + 3 * i,
             gradients.image(i));
    }
  });
}

void fold_backward(Wanted mixture, Wanted cct, Wanted spectrum, const Tensor& camera,
                   std::vector<Tensor> tables, double first_cct, double cct_step,
                   double camera_range, const Tensor& of_folded, const Tensor& of_highlight,
                   Wanted of_mixture, Wanted of_cct, Wanted of_spectrum, Wanted of_camera) {
  const Light light{mixture, cct, spectrum, camera, tables, first_cct, cct_step, camera_range};
  light.check();
  light.check_results(of_folded, of_highlight);
  light.check_gradients(of_mixture, of_cct, of_spectrum, of_camera);
  const Kernels& kernels = *chosen.load()->kernels;
  if (light.numbers() == ScalarType::Float) {
    fold_backward_typed<float>(kernels.fold_backward_float, light, of_folded, of_highlight,
                               {writable<float>(of_mixture), writable<float>(of_cct),
                                writable<float>(of_spectrum), writable<float>(of_camera)});
  } else {
    fold_backward_typed<double>(kernels.fold_backward_double, light, of_folded, of_highlight,
                                {writable<double>(of_mixture), writable<double>(of_cct),
                                 writable<double>(of_spectrum), writable<double>(of_camera)});
  }
}

}  // namespace
}  // namespace biofacenet

STABLE_TORCH_LIBRARY(biofacenet_cpu, m) {
  m.def(BIOFACENET_FORWARD ") -> ()");
  m.def(BIOFACENET_BACKWARD ") -> ()");
  m.def(BIOFACENET_FOLD ") -> ()");
  m.def(BIOFACENET_FOLD_BACKWARD ") -> ()");
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
