// Forward and backward over the pixels of an image, compiled once for each instruction set.
//
// A run of pixels at a time, all of it in the first-level cache: values and places are worked out with
// one pixel a lane, rows of the two tables are read with one (function, channel) a lane, and sums over
// functions are turned back into one pixel a lane with as few shuffles as there can be.

#if defined(__GNUC__) && !defined(__clang__)
// All of this is inlined, so that no vector is passed by any ABI; and GCC takes its own headers' way of
// saying "any value" for a mistake.
#pragma GCC diagnostic ignored "-Wpsabi"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#include "backward.h"
#include "forward.h"
#include "table.h"

namespace biofacenet {
namespace BIOFACENET_TARGET {
namespace {

// Which of these a skin and the gradients that are wanted take

template <typename T>
void forward(const Image<T>& image, const Skin<T>& skin, int64_t begin, int64_t end, T* output,
             int64_t plane) {
  if constexpr (full<T>(5)) {
    if (full<T>(skin.P)) return forward_full(image, skin, begin, end, output, plane);
    if (eights<T>(skin.P)) return forward_eights(image, skin, begin, end, output, plane);
  }
  forward_any(image, skin, begin, end, output, plane);
}

template <typename T>
void backward(const Image<T>& image, const Skin<T>& skin, int64_t begin, int64_t end,
              const Plane<T> (&gradient)[kChannels], const Plane<T> (&rendered)[kChannels],
              const Gradients<T>& gradients) {
  auto run = skin.of_table ? backward_any<T, true> : backward_any<T, false>;
  if constexpr (full<T>(5)) {
    const bool maps =
        gradients.fixed || gradients.folded || gradients.diffuse || gradients.specular;
    if (full<T>(skin.P)) {
      run = !maps           ? backward_full<false, true>
            : skin.of_table ? backward_full<true, true>
                            : backward_full<true, false>;
    } else if (eights<T>(skin.P)) {
      run = !maps           ? backward_eights<false, true>
            : skin.of_table ? backward_eights<true, true>
                            : backward_eights<true, false>;
    }
  }
  run(image, skin, begin, end, gradient, rendered, gradients);
}

template <typename T>
void fold_alone(const LightTables<T>& tables, const Light<T>& inputs, Folding<double>& folding) {
  fold(Alone(), tables, inputs, folding);
}

template <typename T>
void fold_backward_alone(const LightTables<T>& tables, const Light<T>& inputs,
                         const Folding<double>& folding, const double* of_weights,
                         const double* of_highlight, FoldingBackward<double>& backward) {
  fold_backward(Alone(), tables, inputs, folding, of_weights, of_highlight, backward);
}

template <typename T>
constexpr KernelsOf<T> kernels_of() {
  return {fold_alone<T>, fold_backward_alone<T>, copy_functions<T>, make_table<T>,
          gather<T>,     forward<T>,             backward<T>};
}

}  // namespace

extern const Kernels kernels = {kernels_of<float>(), kernels_of<double>()};

}  // namespace BIOFACENET_TARGET
}  // namespace biofacenet
