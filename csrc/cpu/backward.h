// The gradient of the image to those of maps, highlight and table; colours are computed again.
#pragma once

#include "rows.h"
#include "runs.h"

namespace biofacenet {
namespace BIOFACENET_TARGET {
namespace {

// What both ways back need of a run.
template <typename T>
struct Run {
  Row<T> rows[6];
  Places<T> fixed, folded;
  Row<T> active[kChannels];  // gradient where the image was not clipped
  Row<T> lower, upper;       // diffuse times the shares of the two nodes of Y
  Row<T> fixed_sums, folded_sums, diffuse_sums;
  const T *fixed_values, *folded_values, *diffuse, *specular;

  void begin(const Image<T>& image, const Skin<T>& skin, int64_t start, int count,
             const Plane<T> (&gradient)[kChannels], const Plane<T> (&rendered)[kChannels]) {
    ask_for_next(image.fixed, image.width, start);
    ask_for_next(image.folded, image.width, start);
    ask_for_next(image.diffuse, image.width, start);
    ask_for_next(image.specular, image.width, start);
    for (int c = 0; c < kChannels; ++c) {
      ask_for_next(gradient[c], image.width, start);
      ask_for_next(rendered[c], image.width, start);
    }
    fixed_values = read(image.fixed, image.width, start, count, rows[0]);
    folded_values = read(image.folded, image.width, start, count, rows[1]);
    diffuse = read(image.diffuse, image.width, start, count, rows[2]);
    specular = read(image.specular, image.width, start, count, rows[3]);
    locate_all(fixed_values, skin.fixed_nodes, fixed);
    locate_all(folded_values, skin.folded_nodes, folded);
    for (int i = 0; i < kRun; ++i) {
      upper.at[i] = diffuse[i] * folded.fraction.at[i];
      lower.at[i] = diffuse[i] - upper.at[i];
    }
    for (int c = 0; c < kChannels; ++c) {
      const T* __restrict above = read(gradient[c], image.width, start, count, rows[4]);
      const T* __restrict value = read(rendered[c], image.width, start, count, rows[5]);
      for (int i = 0; i < kRun; ++i) {
        const T whole = above[i];
        active[c].at[i] = pass(whole, value[i]);
      }
    }
  }

  // Fills the maps' gradients from the sums, and adds to the highlight's.
  void end(const Image<T>& image, const Skin<T>& skin, int64_t start, int count,
           const Gradients<T>& gradients, double (&highlight)[kChannels]) {
    if (gradients.fixed) {
      Write<T> write(gradients.fixed + start, count, rows[4]);
      T* __restrict target = write.at();
      for (int i = 0; i < kRun; ++i) {
        target[i] = diffuse[i] * fixed_sums.at[i] * place_slope(fixed_values[i], skin.fixed_nodes);
      }
    }
    if (gradients.folded) {
      Write<T> write(gradients.folded + start, count, rows[4]);
      T* __restrict target = write.at();
      for (int i = 0; i < kRun; ++i) {
        target[i] =
            diffuse[i] * folded_sums.at[i] * place_slope(folded_values[i], skin.folded_nodes);
      }
    }
    if (gradients.diffuse) {
      Write<T> write(gradients.diffuse + start, count, rows[4]);
      T* __restrict target = write.at();
      for (int i = 0; i < kRun; ++i) target[i] = diffuse_sums.at[i];
    }
    if (gradients.specular) {
      Write<T> write(gradients.specular + start, count, rows[4]);
      T* __restrict target = write.at();
      for (int i = 0; i < kRun; ++i) {
        target[i] = active[0].at[i] * image.highlight[0] + active[1].at[i] * image.highlight[1] +
                    active[2].at[i] * image.highlight[2];
      }
    }
    if (gradients.highlight) {
      for (int c = 0; c < kChannels; ++c) {
        Vector<T> sum = {};
        for (int i = 0; i < kRun; i += kLanes<T>) {
          sum = sum + load(active[c].at + i) * load(specular + i);
        }
        for (int lane = 0; lane < kLanes<T>; ++lane) highlight[c] += double(sum[lane]);
      }
    }
  }
};

template <typename T>
BIOFACENET_INLINE void add_to(T* target, Vector<T> value) {
  store(target, load(target) + value);
}

template <typename T>
BIOFACENET_INLINE void add_block_to(T* target, Block<T> value) {
  store_block(target, load_block(target) + value);
}

// Adds up the lanes of the sums of as many pixels as a vector has lanes, one lane for each pixel: in
// registers where there are thirty-two, else by way of memory.
template <bool Maps, typename Sums>
BIOFACENET_INLINE void add_lanes(const Sums& sums_of, float* fixed, float* folded, float* diffuse) {
  typedef float T;
  constexpr int lanes = kLanes<T>, block = kBlockLanes<T>, groups = lanes / block;
  if constexpr (!Maps) {
    for (int pixel = 0; pixel < lanes; ++pixel) sums_of(pixel);
  } else if constexpr (groups == 4) {
    Vector<T> totals[3][groups];
    for (int g = 0; g < groups; ++g) {
      Vector<T> terms[3][block];
      for_each_vector<block>([&](auto place) __attribute__((always_inline)) {
        constexpr int i = decltype(place)::value;
        const PixelSums<Vector<T>> sums = sums_of(g * block + i);
        terms[0][i] = sums.fixed;
        terms[1][i] = sums.folded;
        terms[2][i] = sums.diffuse;
      });
      for (int t = 0; t < 3; ++t) totals[t][g] = sum_within_blocks<T>(terms[t]);
    }
    store(fixed, sum_blocks<T, groups>(totals[0]));
    store(folded, sum_blocks<T, groups>(totals[1]));
    store(diffuse, sum_blocks<T, groups>(totals[2]));
  } else {
    Partial<T> fixed_terms, folded_terms, diffuse_terms;
    const auto put = [&](int pixel, int place) __attribute__((always_inline)) {
      const PixelSums<Vector<T>> sums = sums_of(pixel);
      fixed_terms.put(place, sums.fixed);
      folded_terms.put(place, sums.folded);
      diffuse_terms.put(place, sums.diffuse);
    };
    constexpr int distance = Partial<T>::distance;
    for (int first = 0; first < lanes; first += 2 * distance) {
      for (int i = 0; i < distance; ++i) {
        put(first + i, first + 2 * i);
        put(first + i + distance, first + 2 * i + 1);
      }
    }
    store(fixed, fixed_terms.sum());
    store(folded, folded_terms.sum());
    store(diffuse, diffuse_terms.sum());
  }
}

template <int Tail, bool Maps, bool Table>
void backward_packed(const Image<float>& image, const Skin<float>& skin, int64_t begin, int64_t end,
                     const Plane<float> (&gradient)[kChannels],
                     const Plane<float> (&rendered)[kChannels], const Gradients<float>& gradients) {
  typedef float T;
  constexpr int lanes = kLanes<T>, vectors = kFull / lanes;
  // Copies, which no store can change.
  const T *const functions = skin.functions, *const table = skin.table;
  const T* const fixed_tails = functions + skin.fixed_nodes * kFull;
  T* const of_table = skin.of_table;
  const unsigned folded_full = unsigned(skin.folded_nodes) * kFull;
  Run<T> run;
  double highlight[kChannels] = {};
  for (int64_t start = begin; start < end; start += kRun) {
    const int count = end - start < kRun ? int(end - start) : kRun;
    run.begin(image, skin, start, count, gradient, rendered);
    for (int group = 0; group < kRun; group += lanes) {
      const auto sums_of = [&](int pixel) __attribute__((always_inline)) {
        const int i = group + pixel;
        const T* e = functions + run.fixed.index[i] * kFull;
        const unsigned at = run.folded.index[i] * kFull;
        const Vector<T> across = splat(run.fixed.fraction.at[i]);
        const Vector<T> down = splat(run.folded.fraction.at[i]);
        const Vector<T> lower = splat(run.lower.at[i]), upper = splat(run.upper.at[i]);
        const T red = run.active[0].at[i], green = run.active[1].at[i], blue = run.active[2].at[i];
        const Vector<T> active = spread<0>(red, green, blue);
        PixelSums<Vector<T>> sums = {};
        if constexpr (Tail) {
          const unsigned tail_at = folded_full + run.folded.index[i] * Tail;
          PixelSums<Block<T>> first = {};
          const Block<T> shone = add_gradients(
              read_block(fixed_tails + run.fixed.index[i] * Tail, Tail, block<0>(across)),
              read_block(table + tail_at, Tail, block<0>(down)), block<0>(active), first);
          if (Maps) sums = {widen(first.fixed), widen(first.folded), widen(first.diffuse)};
          if (Table) {
            add_block_to(of_table + tail_at, shone * block<0>(lower));
            add_block_to(of_table + tail_at + Tail, shone * block<0>(upper));
          }
        }
        for_each_vector<vectors>([&](auto vector) __attribute__((always_inline)) {
          constexpr int v = decltype(vector)::value;
          const Vector<T> shone =
              add_gradients(read_vector(e + v * lanes, kFull, across),
                            read_vector(table + at + v * lanes, kFull, down),
                            v == 0 ? active : spread<v>(red, green, blue), sums);
          if (Table) {
            add_to(of_table + at + v * lanes, shone * lower);
            add_to(of_table + at + kFull + v * lanes, shone * upper);
          }
        });
        return sums;
      };
      add_lanes<Maps>(sums_of, run.fixed_sums.at + group, run.folded_sums.at + group,
                      run.diffuse_sums.at + group);
    }
    run.end(image, skin, start, count, gradients, highlight);
  }
  for (int c = 0; gradients.highlight && c < kChannels; ++c) gradients.highlight[c] += highlight[c];
}

template <typename T, bool Table>
void backward_any(const Image<T>& image, const Skin<T>& skin, int64_t begin, int64_t end,
                  const Plane<T> (&gradient)[kChannels], const Plane<T> (&rendered)[kChannels],
                  const Gradients<T>& gradients) {
  const int P = skin.P;
  Run<T> run;
  double highlight[kChannels] = {};
  for (int64_t start = begin; start < end; start += kRun) {
    const int count = end - start < kRun ? int(end - start) : kRun;
    run.begin(image, skin, start, count, gradient, rendered);
    for (int i = 0; i < kRun; ++i) {
      const T* e = skin.functions + run.fixed.index[i] * P;
      const int at = run.folded.index[i] * 4 * P;
      const T across = run.fixed.fraction.at[i];
      const Block<T> down = splat_block(run.folded.fraction.at[i]);
      const Block<T> lower = splat_block(run.lower.at[i]), upper = splat_block(run.upper.at[i]);
      const Block<T> active = {run.active[0].at[i], run.active[1].at[i], run.active[2].at[i], T(0)};
      PixelSums<Block<T>> sums = {};
      for (int p = 0; p < P; ++p) {
        const Reading<T> function = interpolate(e[p], e[P + p], across);
        const Reading<Block<T>> spread = {splat_block(function.value), splat_block(function.slope)};
        const Block<T> shone = add_gradients(
            spread, read_block(skin.table + at + 4 * p, 4 * P, down), active, sums);
        if (Table) {
          add_block_to(skin.of_table + at + 4 * p, shone * lower);
          add_block_to(skin.of_table + at + 4 * (P + p), shone * upper);
        }
      }
      run.fixed_sums.at[i] = sums.fixed[0] + sums.fixed[1] + sums.fixed[2];
      run.folded_sums.at[i] = sums.folded[0] + sums.folded[1] + sums.folded[2];
      run.diffuse_sums.at[i] = sums.diffuse[0] + sums.diffuse[1] + sums.diffuse[2];
    }
    run.end(image, skin, start, count, gradients, highlight);
  }
  for (int c = 0; gradients.highlight && c < kChannels; ++c) gradients.highlight[c] += highlight[c];
}

}  // namespace
}  // namespace BIOFACENET_TARGET
}  // namespace biofacenet
