// The CPU library: raw functions on libtorch's stable ABI, so that one binary
// serves torch 2.11 and everything newer, on any Python. Schema, autograd and everything else that
// users meet is Python's (rendering/operator.py).

#include <torch/csrc/stable/ops.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

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

// Pixels of one work item. Gradients of light and camera are summed item by item, in order, so that
// they do not depend on how many threads there are.
constexpr int64_t kItem = 8192;
constexpr int64_t kGrain = 2048;  // pixels below which a second thread costs more than it brings

template <typename T>
Plane<T> plane(const Tensor& maps, int64_t image, int64_t channel = 0) {
  return {readable<T>(maps) + image * maps.stride(0) + channel * maps.stride(1), maps.stride(2),
          maps.stride(3)};
}

// What the pixels are gone through for: the image, the gradients of maps, or those of light and camera too.
enum class Way { kForward, kBack, kBackToLight };

// A thread's own copies of the tables, and the table of the image that it is at.
template <typename T>
class Worker {
 public:
  Worker(const Inputs& inputs, const KernelsOf<T>& kernels, Way way)
      : inputs_(inputs),
        kernels_(kernels),
        basis_(inputs.basis<T>()),
        one_light_(inputs.one_light()) {
    const int64_t row = table_row<T>(basis_.P), table = basis_.folded_nodes * row;
    const int64_t functions = int64_t(basis_.fixed_nodes) * functions_row<T>(basis_.P);
    const int64_t mixed = basis_.Q * row;
    if (way == Way::kBackToLight) {
      of_table_ = int64_t(basis_.folded_nodes) * gradient_row<T>(basis_.P);
    }
    memory_.resize(rounded(functions) + rounded(table) + rounded(of_table_) + rounded(mixed) + kLine);
    T* next = memory_.data();
    next += (kLine - int64_t(reinterpret_cast<uintptr_t>(next) / sizeof(T)) % kLine) % kLine;
    const auto take = [&](int64_t count) {
      T* const taken = next;
      next += rounded(count);
      return taken;
    };
    skin_ = {take(functions), take(table), of_table_ ? take(of_table_) : nullptr, take(mixed),
             basis_.fixed_nodes, basis_.folded_nodes, basis_.P,
             eights<T>(basis_.P) && way != Way::kForward};
    kernels.copy_functions(basis_, skin_);
  }

  // Makes the table of an image, unless it is there, and zeroes its gradient.
  void turn_to(int64_t image) {
    const int64_t light = one_light_ ? 0 : image;
    if (light != at_) {
      kernels_.fold(inputs_.light_tables<T>(), inputs_.light<T>(light), folding_);
      kernels_.make_table(basis_, folding_.weights[0], skin_);
      at_ = light;
    }
    std::fill_n(skin_.of_table, of_table_, T(0));
  }

  Image<T> image(int64_t index) const {
    const auto melanin = plane<T>(inputs_.melanin, index);
    const auto haemoglobin = plane<T>(inputs_.haemoglobin, index);
    const bool first = inputs_.melanin_fixed;
    return {first ? melanin : haemoglobin,
            first ? haemoglobin : melanin,
            plane<T>(inputs_.diffuse, index),
            plane<T>(inputs_.specular, index),
            {T(folding_.highlight[0]), T(folding_.highlight[1]), T(folding_.highlight[2])},
            inputs_.melanin.size(3)};
  }

  const Skin<T>& skin() const { return skin_; }
  const Folding<double>& folding() const { return folding_; }
  void gather(double* of_weights) { kernels_.gather(basis_, skin_, of_weights); }

 private:
  static constexpr int64_t kLine = 64 / int64_t(sizeof(T));  // numbers in a line of the cache
  static int64_t rounded(int64_t count) { return (count + kLine - 1) / kLine * kLine; }

  const Inputs& inputs_;
  const KernelsOf<T>& kernels_;
  const Basis<T> basis_;
  const bool one_light_;
  std::vector<T> memory_;
  Skin<T> skin_;
  Folding<double> folding_;
  int64_t at_ = -1;
  int64_t of_table_ = 0;  // how many numbers its gradient has
};

int64_t items_of(const Shape& shape) { return (shape.pixels + kItem - 1) / kItem; }

// Calls `work(worker, image, begin, end, item)` for every run of at most kItem pixels, on torch's
// threads; each of them has a worker.
template <typename T, typename Work>
void for_each_item(const Inputs& inputs, const Shape& shape, const KernelsOf<T>& kernels,
                   Way way, const Work& work) {
  const int64_t per_image = items_of(shape);
  const int64_t pixels = std::max<int64_t>(1, std::min(kItem, shape.pixels));
  torch::stable::parallel_for(
      0, shape.images * per_image, std::max<int64_t>(1, kGrain / pixels),
      [&](int64_t first, int64_t last) {
        Worker<T> worker(inputs, kernels, way);
        for (int64_t item = first; item < last; ++item) {
          const int64_t image = item / per_image, begin = item % per_image * kItem;
          worker.turn_to(image);
          work(worker, image, begin, std::min(begin + kItem, shape.pixels), item);
        }
      });
}

// Asks for large pages under what is about to be filled: where memory is fresh the system gives it page by
// page, and small ones take it longer than rendering does. No more than a hint.
void prefer_large_pages([[maybe_unused]] void* data, [[maybe_unused]] int64_t bytes) {
#if defined(MADV_HUGEPAGE)
  constexpr uintptr_t kLarge = 1 << 21;
  if (!data || bytes < int64_t(2 * kLarge)) return;
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + kLarge - 1) / kLarge * kLarge;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + uintptr_t(bytes)) / kLarge * kLarge;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

template <typename T>
void render_typed(const Inputs& inputs, const Shape& shape, const Tensor& image) {
  const KernelsOf<T>& kernels = chosen.load()->kernels->of<T>();
  T* output = static_cast<T*>(image.mutable_data_ptr());
  prefer_large_pages(output, image.numel() * int64_t(sizeof(T)));
  const auto work = [&](const Worker<T>& worker, int64_t index, int64_t begin, int64_t end,
                        int64_t) {
    kernels.forward(worker.image(index), worker.skin(), begin, end,
                    output + index * 3 * shape.pixels, shape.pixels);
  };
  for_each_item<T>(inputs, shape, kernels, Way::kForward, work);
}

void render(const Tensor& melanin, const Tensor& haemoglobin, const Tensor& diffuse,
            const Tensor& specular, Maybe mixture, Maybe cct, Maybe spectrum, Maybe camera,
            Maybe weights, Maybe highlight, std::vector<Tensor> tables, bool melanin_fixed,
            double first_cct, double cct_step, double camera_range, Tensor image) {
  const Inputs inputs{melanin, haemoglobin, diffuse,   specular, mixture,       cct,       spectrum,
                      camera,  weights,     highlight, tables,   melanin_fixed, first_cct, cct_step,
                      camera_range};
  const Shape shape = inputs.check(false);
  check_colour(image, shape, inputs.maps());
  STD_TORCH_CHECK(image.is_contiguous(), "the image to fill must be contiguous");
  if (shape.images * shape.pixels == 0) return;
  if (inputs.numbers() == ScalarType::Float) {
    render_typed<float>(inputs, shape, image);
  } else {
    render_typed<double>(inputs, shape, image);
  }
}

// What an item adds to the gradients of its image's weights and highlight.
struct OfLight {
  double weights[3 * kBands], highlight[3];
};

// Adds `values` to the image's row of a gradient, or to the one row for all.
template <typename T>
void add_row(const Maybe& gradient, int64_t image, const double* values) {
  if (!gradient) return;
  const int64_t rows = gradient->size(0), each = gradient->numel() / rows;
  T* row = writable<T>(gradient) + (rows > 1 ? image * each : 0);
  for (int64_t i = 0; i < each; ++i) row[i] += T(values[i]);
}

// Adds to an image's gradients of light and camera what those of its weights and highlight amount to.
template <typename T>
void add_light(const Inputs& inputs, const KernelsOf<T>& kernels, int64_t image, const OfLight& sum,
               const Folding<double>& folding, const Wanted& wanted) {
  add_row<T>(wanted.weights, image, sum.weights);
  add_row<T>(wanted.highlight, image, sum.highlight);
  if (inputs.weights) return;
  FoldingBackward<double> backward;
  kernels.fold_backward(inputs.light_tables<T>(), inputs.light<T>(image), folding, sum.weights,
                        sum.highlight, backward);
  add_row<T>(wanted.mixture, image, backward.mixture);
  add_row<T>(wanted.cct, image, backward.cct);
  add_row<T>(wanted.spectrum, image, backward.spectrum);
  add_row<T>(wanted.camera, image, backward.camera);
}

// Whether any two images share a row of a gradient of light or camera.
bool share_rows(const Wanted& wanted, int64_t images) {
  for (const Maybe* gradient : wanted.of_light()) {
    if (*gradient && (*gradient)->size(0) < images) return true;
  }
  return false;
}

// Gradients of light and camera from those of all items.
template <typename T>
void light_gradients(const Inputs& inputs, const Shape& shape, const KernelsOf<T>& kernels,
                     const std::vector<OfLight>& items, const Wanted& wanted) {
  const int64_t per_image = items_of(shape), images = inputs.one_light() ? 1 : shape.images;
  const int64_t of_each = images == 1 ? int64_t(items.size()) : per_image;
  Folding<double> folding;
  for (int64_t image = 0; image < images; ++image) {
    OfLight sum = {};
    for (int64_t item = image * of_each; item < (image + 1) * of_each; ++item) {
      for (int i = 0; i < 3 * kBands; ++i) sum.weights[i] += items[item].weights[i];
      for (int c = 0; c < 3; ++c) sum.highlight[c] += items[item].highlight[c];
    }
    kernels.fold(inputs.light_tables<T>(), inputs.light<T>(image), folding);
    add_light(inputs, kernels, image, sum, folding, wanted);
  }
}

template <typename T>
void backward_typed(const Inputs& inputs, const Shape& shape, const Tensor& rendered,
                    const Tensor& gradient, const Wanted& wanted) {
  const KernelsOf<T>& kernels = chosen.load()->kernels->of<T>();
  const bool light = wanted.light();
  T* of_fixed = writable<T>(wanted.melanin);
  T* of_folded = writable<T>(wanted.haemoglobin);
  if (!inputs.melanin_fixed) std::swap(of_fixed, of_folded);
  T *const diffuse = writable<T>(wanted.diffuse), *const specular = writable<T>(wanted.specular);
  for (T* maps : {of_fixed, of_folded, diffuse, specular}) {
    prefer_large_pages(maps, shape.images * shape.pixels * int64_t(sizeof(T)));
  }
  std::vector<OfLight> items(light ? shape.images * items_of(shape) : 0);
  for (const Maybe* gradient : wanted.of_light()) {
    if (*gradient) std::fill_n(writable<T>(*gradient), (*gradient)->numel(), T(0));
  }
  // An item that is a whole image with rows of its own leads its gradients on at once.
  const bool at_once = items_of(shape) == 1 && shape.images > 1 && !share_rows(wanted, shape.images);
  const auto work = [&](Worker<T>& worker, int64_t index, int64_t begin, int64_t end,
                        int64_t item) {
    const auto at = [&](T* data) { return data ? data + index * shape.pixels : nullptr; };
    const Plane<T> above[3] = {plane<T>(gradient, index, 0), plane<T>(gradient, index, 1),
                               plane<T>(gradient, index, 2)};
    const Plane<T> values[3] = {plane<T>(rendered, index, 0), plane<T>(rendered, index, 1),
                                plane<T>(rendered, index, 2)};
    kernels.backward(worker.image(index), worker.skin(), begin, end, above, values,
                     {at(of_fixed), at(of_folded), at(diffuse), at(specular),
                      light ? items[item].highlight : nullptr});
    if (light) worker.gather(items[item].weights);
    if (light && at_once) {
      add_light(inputs, kernels, index, items[item], worker.folding(), wanted);
    }
  };
  const Way way = light ? Way::kBackToLight : Way::kBack;
  if (shape.pixels > 0) for_each_item<T>(inputs, shape, kernels, way, work);
  if (light && !at_once && shape.images > 0) {
    light_gradients<T>(inputs, shape, kernels, items, wanted);
  }
}

void render_backward(const Tensor& melanin, const Tensor& haemoglobin, const Tensor& diffuse,
                     const Tensor& specular, Maybe mixture, Maybe cct, Maybe spectrum, Maybe camera,
                     Maybe weights, Maybe highlight, std::vector<Tensor> tables, bool melanin_fixed,
                     double first_cct, double cct_step, double camera_range, const Tensor& image,
                     const Tensor& gradient, Maybe of_melanin, Maybe of_haemoglobin,
                     Maybe of_diffuse, Maybe of_specular, Maybe of_mixture, Maybe of_cct,
                     Maybe of_spectrum, Maybe of_camera, Maybe of_weights, Maybe of_highlight) {
  const Inputs inputs{melanin, haemoglobin, diffuse,   specular, mixture,       cct,       spectrum,
                      camera,  weights,     highlight, tables,   melanin_fixed, first_cct, cct_step,
                      camera_range};
  const Wanted wanted{of_melanin, of_haemoglobin, of_diffuse, of_specular, of_mixture,
                      of_cct,     of_spectrum,    of_camera,  of_weights,  of_highlight};
  const Shape shape = inputs.check(false);
  check_colour(image, shape, inputs.maps());
  check_colour(gradient, shape, inputs.maps());
  wanted.check(shape, inputs);
  if (!wanted.maps() && !wanted.light()) return;
  if (inputs.numbers() == ScalarType::Float) {
    backward_typed<float>(inputs, shape, image, gradient, wanted);
  } else {
    backward_typed<double>(inputs, shape, image, gradient, wanted);
  }
}

}  // namespace
}  // namespace biofacenet

STABLE_TORCH_LIBRARY(biofacenet_cpu, m) {
  m.def(BIOFACENET_RENDER ") -> ()");
  m.def(BIOFACENET_RENDER_BACKWARD ") -> ()");
  m.def("instruction_set() -> str");
  m.def("instruction_sets() -> str");
  m.def("use_instruction_set(str name) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(biofacenet_cpu, CPU, m) {
  m.impl("render", TORCH_BOX(&biofacenet::render));
  m.impl("render_backward", TORCH_BOX(&biofacenet::render_backward));
}

STABLE_TORCH_LIBRARY_IMPL(biofacenet_cpu, CompositeExplicitAutograd, m) {
  m.impl("instruction_set", TORCH_BOX(&biofacenet::instruction_set));
  m.impl("instruction_sets", TORCH_BOX(&biofacenet::instruction_sets));
  m.impl("use_instruction_set", TORCH_BOX(&biofacenet::use_instruction_set));
}
