// The gradient of the image to those of maps, highlight and table; colours are computed again.
#pragma once

#include "eights.h"
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
  Row<T> lower, upper;       // diffuse shared out to the two nodes of Y
  Row<T> fixed_sums, folded_sums, diffuse_sums;
  const T *fixed_values, *folded_values, *diffuse, *specular;
  Eight<double> highlight[kChannels] = {};  // sums over all runs
  Ahead<T> ahead;

  Run(const Image<T>& image, const Plane<T> (&gradient)[kChannels],
      const Plane<T> (&rendered)[kChannels], const Gradients<T>& gradients) {
    const Plane<T> maps[] = {image.fixed, image.folded, image.diffuse, image.specular};
    for (const auto& map : maps) ahead.add(map, image.width);
    for (int c = 0; c < kChannels; ++c) {
      ahead.add(gradient[c], image.width);
      ahead.add(rendered[c], image.width);
    }
    const T* const found[] = {gradients.fixed, gradients.folded, gradients.diffuse, gradients.specular};
    for (const T* map : found) ahead.add(map);
  }

  BIOFACENET_INLINE void begin(const Image<T>& image, const Skin<T>& skin, int64_t start, int count,
                               const Plane<T> (&gradient)[kChannels],
                               const Plane<T> (&rendered)[kChannels]) {
    fixed_values = read(image.fixed, image.width, start, count, rows[0]);
    folded_values = read(image.folded, image.width, start, count, rows[1]);
    diffuse = read(image.diffuse, image.width, start, count, rows[2]);
    specular = read(image.specular, image.width, start, count, rows[3]);
    locate_all(fixed_values, skin.fixed_nodes, functions_row<T>(skin.P), fixed);
    locate_all(folded_values, skin.folded_nodes,
               eights<T>(skin.P) ? kEight : table_row<T>(skin.P), folded);
    for (int i = 0; i < kRun; i += kLanes<T>) {
      const Shares<Vector<T>> shares =
          share_out(load(diffuse + i), load(folded.fraction.at + i));
      store(lower.at + i, shares.lower);
      store(upper.at + i, shares.upper);
    }
    for (int c = 0; c < kChannels; ++c) {
      const T* const above = read(gradient[c], image.width, start, count, rows[4]);
      const T* const value = read(rendered[c], image.width, start, count, rows[5]);
      for (int i = 0; i < kRun; i += kLanes<T>) {
        store(active[c].at + i, pass(load(above + i), load(value + i)));
      }
    }
  }

  // Fills the maps' gradients from the sums, and adds to the highlight's.
  BIOFACENET_INLINE void end(const Image<T>& image, const Skin<T>& skin, int64_t start, int count,
                             const Gradients<T>& gradients) {
    write(gradients.fixed, start, count, [&](int i) __attribute__((always_inline)) {
      return of_place(fixed_values, fixed_sums, skin.fixed_nodes, i);
    });
    write(gradients.folded, start, count, [&](int i) __attribute__((always_inline)) {
      return of_place(folded_values, folded_sums, skin.folded_nodes, i);
    });
    write(gradients.diffuse, start, count, [&](int i) __attribute__((always_inline)) {
      return load(diffuse_sums.at + i);
    });
    write(gradients.specular, start, count, [&](int i) __attribute__((always_inline)) {
      const Vector<T> passed[kChannels] = {load(active[0].at + i),
                                            load(active[1].at + i),
                                            load(active[2].at + i)};
      return passed[0] * image.highlight[0] + passed[1] * image.highlight[1] +
             passed[2] * image.highlight[2];
    });
    if (!gradients.highlight) return;
    for (int c = 0; c < kChannels; ++c) {
      Eight<T> sum = {};
      for (int i = 0; i < kRun; i += 8) {
        sum = sum + load_eight(active[c].at + i) * load_eight(specular + i);
      }
      highlight[c] = highlight[c] + __builtin_convertvector(sum, Eight<double>);
    }
  }

  void finish_highlight(const Gradients<T>& gradients) const {
    if (!gradients.highlight) return;
    for (int c = 0; c < kChannels; ++c) gradients.highlight[c] += sum_of(highlight[c]);
  }

 private:
  BIOFACENET_INLINE Vector<T> of_place(const T* values, const Row<T>& sums, int nodes, int i) const {
    const T step = T(0.5) * T(nodes - 1);
    return load(diffuse + i) * load(sums.at + i) *
           place_slope_of(load(values + i), step);
  }

  template <typename Of>
  BIOFACENET_INLINE void write(T* gradient, int64_t start, int count, const Of& of) {
    if (!gradient) return;
    T* const target = place_for(gradient + start, count, rows[4]);
    for (int i = 0; i < kRun; i += kLanes<T>) store(target + i, of(i));
    finish(gradient + start, count, rows[4]);
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

template <bool Maps, bool Table>
void backward_full(const Image<float>& image, const Skin<float>& skin, int64_t begin, int64_t end,
                     const Plane<float> (&gradient)[kChannels],
                     const Plane<float> (&rendered)[kChannels], const Gradients<float>& gradients) {
  typedef float T;
  constexpr int lanes = kLanes<T>, vectors = kFull / lanes;
  // Copies, which no store can change.
  const T *const functions = skin.functions, *const table = skin.table;
  T* const of_table = skin.of_table;
  Run<T> run(image, gradient, rendered, gradients);
  for (int64_t start = begin; start < end; start += kRun) {
    const int count = end - start < kRun ? int(end - start) : kRun;
    run.begin(image, skin, start, count, gradient, rendered);
    for (int group = 0; group < kRun; group += lanes) {
      if (group % Ahead<T>::kPixels == 0) run.ahead.ask(start + kRun + group);
      const auto sums_of = [&](int pixel) __attribute__((always_inline)) {
        const int i = group + pixel;
        const T* e = functions + run.fixed.row[i];
        const unsigned at = run.folded.row[i];
        const Vector<T> across = splat(run.fixed.fraction.at[i]);
        const Vector<T> down = splat(run.folded.fraction.at[i]);
        const Vector<T> lower = splat(run.lower.at[i]), upper = splat(run.upper.at[i]);
        const T red = run.active[0].at[i], green = run.active[1].at[i], blue = run.active[2].at[i];
        const Vector<T> active = spread<0>(red, green, blue);
        PixelSums<Vector<T>> sums = {};
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
    run.end(image, skin, start, count, gradients);
  }
  run.finish_highlight(gradients);
}

#if defined(__AVX512F__)
// A pixel's sums at both nodes of Y, still to be added up over functions; and, Table, the gradient of Y.
template <bool Maps, bool Table>
BIOFACENET_INLINE Several<TwoEights, 2> gradients_at(const Run<float>& run, int i,
                                                     const Skin<float>& skin) {
  typedef TwoEights V;
  const unsigned at = run.folded.row[i];
  const int plane = skin.folded_nodes * kEight;
  const float* const e = skin.functions + run.fixed.row[i];
  const Reading<V> function =
      interpolate(twice(e), twice(e + kEight), splat(run.fixed.fraction.at[i]));
  const V gradient[kChannels] = {splat(run.active[0].at[i]), splat(run.active[1].at[i]),
                                 splat(run.active[2].at[i])};
  Several<V, 2> sums = {};
  if constexpr (Maps) {
    const float* const y = skin.table + at;
    const V rows[kChannels] = {load(y), load(y + plane), load(y + 2 * plane)};
    const V seen = weigh(rows, gradient);
    sums = {{seen * function.slope, seen * function.value}};
  }
  if constexpr (Table) {
    float *const y = skin.of_table + 2 * at, *const blue = y + 2 * plane;
    const V lower = splat(run.lower.at[i]) * function.value;
    const V upper = splat(run.upper.at[i]) * function.value;
    const V first_two = eight_each(gradient[0], gradient[1]);
    add_to(y, first_two * lower);
    add_to(y + kFull, first_two * upper);
    add_to(blue, gradient[2] * eight_each(lower, upper));
  }
  return sums;
}

// The sums of sixteen pixels; and, Table, the gradient of Y.
template <bool Maps, bool Table>
BIOFACENET_INLINE void gradients_of_group(Run<float>& run, int group, const Skin<float>& skin) {
  typedef TwoEights V;
  const auto of = [&](int pixel) __attribute__((always_inline)) {
    return gradients_at<Maps, Table>(run, group + pixel, skin);
  };
  const auto a = sum_lanes<3>(of, 0), b = sum_lanes<3>(of, 8);
  if (!Maps) return;
  const NodeSums<V> low = {eights_of<false>(a.at[0], b.at[0]), eights_of<false>(a.at[1], b.at[1])};
  const NodeSums<V> high = {eights_of<true>(a.at[0], b.at[0]), eights_of<true>(a.at[1], b.at[1])};
  const PixelSums<V> sums = sums_between(low, high, load(run.folded.fraction.at + group));
  store(run.fixed_sums.at + group, sums.fixed);
  store(run.folded_sums.at + group, sums.folded);
  store(run.diffuse_sums.at + group, sums.diffuse);
}

constexpr int kDescended = 16;
#else
// A pixel's sums, still to be added up over functions; and, Table, the gradient of Y.
template <bool Maps, bool Table>
BIOFACENET_INLINE Three gradients_at(const Run<float>& run, int i, const Skin<float>& skin) {
  typedef Eight<float> V;
  const unsigned at = run.folded.row[i];
  const int plane = skin.folded_nodes * kEight;
  const float* const e = skin.functions + run.fixed.row[i];
  const Reading<V> function =
      interpolate(load_eight(e), load_eight(e + kEight), splat_eight(run.fixed.fraction.at[i]));
  const V gradient[kChannels] = {splat_eight(run.active[0].at[i]), splat_eight(run.active[1].at[i]),
                                 splat_eight(run.active[2].at[i])};
  Three sums = {};
  if constexpr (Maps) {
    const float* const y = skin.table + at;
    V low[kChannels], high[kChannels];
    for (int c = 0; c < kChannels; ++c) {
      low[c] = load_eight(y + c * plane);
      high[c] = load_eight(y + c * plane + kEight);
    }
    const PixelSums<V> found = gradients_of(
        function, interpolate(weigh(low, gradient), weigh(high, gradient),
                              splat_eight(run.folded.fraction.at[i])));
    sums = {{in_one(found.fixed), in_one(found.folded), in_one(found.diffuse)}};
  }
  if constexpr (Table) {
    float *const y = skin.of_table + 2 * at, *const blue = y + 2 * plane;
    const V lower = splat_eight(run.lower.at[i]) * function.value;
    const V upper = splat_eight(run.upper.at[i]) * function.value;
    add_eight_to(y, gradient[0] * lower);
    add_eight_to(y + kEight, gradient[1] * lower);
    add_eight_to(blue, gradient[2] * lower);
    add_eight_to(y + kFull, gradient[0] * upper);
    add_eight_to(y + kFull + kEight, gradient[1] * upper);
    add_eight_to(blue + kEight, gradient[2] * upper);
  }
  return sums;
}

// The sums of `kSummed` pixels; and, Table, the gradient of Y.
template <bool Maps, bool Table>
BIOFACENET_INLINE void gradients_of_group(Run<float>& run, int group, const Skin<float>& skin) {
  const Three sums = sum_lanes<kSteps>([&](int pixel) __attribute__((always_inline)) {
    return gradients_at<Maps, Table>(run, group + pixel, skin);
  }, 0);
  if (!Maps) return;
  store_summed(run.fixed_sums.at + group, sums.at[0]);
  store_summed(run.folded_sums.at + group, sums.at[1]);
  store_summed(run.diffuse_sums.at + group, sums.at[2]);
}

constexpr int kDescended = kSummed;
#endif

template <bool Maps, bool Table>
void backward_eights(const Image<float>& image, const Skin<float>& skin, int64_t begin, int64_t end,
                     const Plane<float> (&gradient)[kChannels],
                     const Plane<float> (&rendered)[kChannels], const Gradients<float>& gradients) {
  const Skin<float> copy = skin;  // which no store can change
  Run<float> run(image, gradient, rendered, gradients);
  for (int64_t start = begin; start < end; start += kRun) {
    const int count = end - start < kRun ? int(end - start) : kRun;
    run.begin(image, skin, start, count, gradient, rendered);
    for (int group = 0; group < kRun; group += kDescended) {
      if (group % Ahead<float>::kPixels == 0) run.ahead.ask(start + kRun + group);
      gradients_of_group<Maps, Table>(run, group, copy);
    }
    run.end(image, skin, start, count, gradients);
  }
  run.finish_highlight(gradients);
}

template <typename T, bool Table>
void backward_any(const Image<T>& image, const Skin<T>& skin, int64_t begin, int64_t end,
                  const Plane<T> (&gradient)[kChannels], const Plane<T> (&rendered)[kChannels],
                  const Gradients<T>& gradients) {
  const int P = skin.P;
  Run<T> run(image, gradient, rendered, gradients);
  for (int64_t start = begin; start < end; start += kRun) {
    const int count = end - start < kRun ? int(end - start) : kRun;
    run.begin(image, skin, start, count, gradient, rendered);
    for (int i = 0; i < kRun; ++i) {
      if (i % Ahead<T>::kPixels == 0) run.ahead.ask(start + kRun + i);
      const T* e = skin.functions + run.fixed.row[i];
      const int at = run.folded.row[i];
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
    run.end(image, skin, start, count, gradients);
  }
  run.finish_highlight(gradients);
}

}  // namespace
}  // namespace BIOFACENET_TARGET
}  // namespace biofacenet
