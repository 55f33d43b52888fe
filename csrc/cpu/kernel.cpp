// Forward and backward over a run of pixels, compiled once for each instruction set.
//
// A block of pixels at a time, all of it in the first-level cache: values and table positions are
// worked out with one pixel a lane, table rows are read with one component a lane, and sums over
// components are turned back into one pixel a lane with as few shuffles as there can be.

#include "kernel.h"

#include "vector.h"

namespace biofacenet {
namespace BIOFACENET_TARGET {
namespace {

constexpr int kBlock = 128;  // pixels; the last block of a run is padded with zeros

template <typename T>
struct alignas(64) Row {
  T at[kBlock];
};

// The block's values of one plane: in place where they are consecutive, else copied to `row`.
template <typename T>
const T* read(const Plane<T>& plane, int64_t width, int64_t begin, int count, Row<T>& row) {
  const int64_t y = begin / width;
  int64_t x = begin - y * width;
  const T* line = plane.data + y * plane.row_stride;
  if (plane.row_stride == width * plane.column_stride || x + count <= width) {
    line += x * plane.column_stride;
    if (plane.column_stride == 1 && count == kBlock) return line;
    if (plane.column_stride == 0) {  // one value for all, as the gradient of a sum is
      for (int i = 0; i < count; ++i) row.at[i] = line[0];
    } else {
      for (int i = 0; i < count; ++i) row.at[i] = line[i * plane.column_stride];
    }
  } else {
    for (int i = 0; i < count; ++i) {
      row.at[i] = line[x * plane.column_stride];
      if (++x == width) {
        x = 0;
        line += plane.row_stride;
      }
    }
  }
  for (int i = count; i < kBlock; ++i) row.at[i] = T(0);
  return row.at;
}

// Where a block's results go: in place, or through `row` where the block is cut short.
template <typename T>
class Write {
 public:
  Write(T* target, int count, Row<T>& row) : target_(target), count_(count), row_(row) {}
  ~Write() {
    for (int i = 0; count_ < kBlock && i < count_; ++i) target_[i] = row_.at[i];
  }
  T* at() const { return count_ == kBlock ? target_ : row_.at; }

 private:
  T* target_;
  int count_;
  Row<T>& row_;
};

// Where each pixel of a block reads one table.
template <typename T>
struct Places {
  alignas(64) int offset[kBlock];  // of the lower row
  Row<T> fraction;
};

template <typename T>
void locate_all(const T* __restrict values, int rows, int components, Places<T>& places) {
  for (int i = 0; i < kBlock; ++i) {
    const Position<T> at = locate(values[i], rows);
    places.offset[i] = at.index * components;
    places.fraction.at[i] = at.fraction;
  }
}

template <typename T>
BIOFACENET_INLINE Reading<Vector<T>> read_table(const T* row, int components, T fraction) {
  return interpolate(load(row), load(row + components), splat(fraction));
}

// Components of a row: a known number of vectors (Vectors > 0), or counted.
template <typename T, int Vectors>
BIOFACENET_INLINE int components_of(const Skin<T>& skin) {
  return Vectors > 0 ? Vectors * kLanes<T> : skin.components;
}

// The weights as transposed blocks of reflectances want them: at [v][t][c], lane j of block b holds
// the weight of component t of block b of vector v.
template <typename T, int Vectors>
struct SpreadWeights {
  Vector<T> at[Vectors][kBlockLanes<T>][kChannels];

  void fill(const T* weights, int components, int first, int vectors) {
    constexpr int block = kBlockLanes<T>;
    for (int v = 0; v < vectors; ++v) {
      for (int t = 0; t < block; ++t) {
        for (int c = 0; c < kChannels; ++c) {
          alignas(64) T lanes[kLanes<T>];
          for (int lane = 0; lane < kLanes<T>; ++lane) {
            const int component = (first + v) * kLanes<T> + lane / block * block + t;
            lanes[lane] = weights[c * components + component];
          }
          at[v][t][c] = load(lanes);
        }
      }
    }
  }
};

template <typename T, int Vectors>
void forward(const Image<T>& image, const Skin<T>& skin, int64_t begin, int64_t end, T* output,
             int64_t plane) {
  constexpr int lanes = kLanes<T>, block = kBlockLanes<T>, groups = lanes / block;
  constexpr int capacity = Vectors > 0 ? Vectors : 4;  // vectors of components at a time
  const int components = components_of<T, Vectors>(skin);
  const int all = components / lanes;
  Row<T> rows[4];
  Places<T> epidermis, dermis;
  Row<T> colour[kChannels];
  alignas(64) T reflectances[lanes * capacity * lanes];
  SpreadWeights<T, capacity> weights;
  if (Vectors > 0) weights.fill(image.weights, components, 0, Vectors);
  for (int64_t start = begin; start < end; start += kBlock) {
    const int count = end - start < kBlock ? int(end - start) : kBlock;
    locate_all(read(image.melanin, image.width, start, count, rows[0]), skin.epidermis_rows,
               components, epidermis);
    locate_all(read(image.haemoglobin, image.width, start, count, rows[1]), skin.dermis_rows,
               components, dermis);
    for (int first = 0; first < all; first += capacity) {
      const int vectors = Vectors > 0 ? Vectors : (all - first < capacity ? all - first : capacity);
      if (Vectors == 0) weights.fill(image.weights, components, first, vectors);
      for (int group = 0; group < kBlock; group += lanes) {
        for (int j = 0; j < lanes; ++j) {
          const int i = group + j;
          const T* upper = skin.epidermis + epidermis.offset[i] + first * lanes;
          const T* lower = skin.dermis + dermis.offset[i] + first * lanes;
          for (int v = 0; v < vectors; ++v) {
            store(reflectances + (j * capacity + v) * lanes,
                  reflectance(
                      read_table(upper + v * lanes, components, epidermis.fraction.at[i]),
                      read_table(lower + v * lanes, components, dermis.fraction.at[i])));
          }
        }
        Vector<T> sums[kChannels][groups];
        constexpr int together = groups % 2 == 0 ? 2 : 1;  // groups that share a load of weights
        for (int g = 0; g < groups; g += together) {
          Vector<T> sum[together][kChannels] = {};
          for (int v = 0; v < vectors; ++v) {
            Vector<T> x[together][block];
            for (int h = 0; h < together; ++h) {
              for (int i = 0; i < block; ++i) {
                const int pixel = (g + h) * block + i;
                x[h][i] = load(reflectances + (pixel * capacity + v) * lanes);
              }
              transpose_blocks<T>(x[h]);
            }
            for (int t = 0; t < block; ++t) {
              for (int h = 0; h < together; ++h) add_colour(x[h][t], weights.at[v][t], sum[h]);
            }
          }
          for (int h = 0; h < together; ++h) {
            for (int c = 0; c < kChannels; ++c) sums[c][g + h] = sum[h][c];
          }
        }
        for (int c = 0; c < kChannels; ++c) {
          T* at = colour[c].at + group;
          const Vector<T> total = sum_blocks<T, groups>(sums[c]);
          store(at, first == 0 ? total : load(at) + total);
        }
      }
    }
    const T* __restrict diffuse = read(image.diffuse, image.width, start, count, rows[2]);
    const T* __restrict specular = read(image.specular, image.width, start, count, rows[3]);
    for (int c = 0; c < kChannels; ++c) {
      Write<T> write(output + c * plane + start, count, rows[0]);
      T* __restrict target = write.at();
      const T highlight = image.highlight[c];
      for (int i = 0; i < kBlock; ++i) {
        target[i] = shade(colour[c].at[i], diffuse[i], specular[i], highlight);
      }
    }
  }
}

template <typename T, int Vectors, bool Maps, bool Shared>
void backward(const Image<T>& image, const Skin<T>& skin, int64_t begin, int64_t end,
              const Plane<T> (&gradient)[kChannels], const Plane<T> (&rendered)[kChannels],
              const Gradients<T>& gradients) {
  constexpr int lanes = kLanes<T>;
  constexpr int capacity = Vectors > 0 ? Vectors : 1;
  const int components = components_of<T, Vectors>(skin);
  const int vectors = components / lanes;
  Row<T> rows[6];
  Places<T> epidermis, dermis;
  Row<T> active[kChannels];  // gradient where the image was not clipped
  Row<T> melanin_sums, haemoglobin_sums, diffuse_sums;
  Partial<T> melanin_terms, haemoglobin_terms, diffuse_terms;
  Vector<T> highlight[kChannels] = {};
  for (int64_t start = begin; start < end; start += kBlock) {
    const int count = end - start < kBlock ? int(end - start) : kBlock;
    const T* __restrict melanin = read(image.melanin, image.width, start, count, rows[0]);
    const T* __restrict haemoglobin = read(image.haemoglobin, image.width, start, count, rows[1]);
    const T* __restrict diffuse = read(image.diffuse, image.width, start, count, rows[2]);
    const T* __restrict specular = read(image.specular, image.width, start, count, rows[3]);
    locate_all(melanin, skin.epidermis_rows, components, epidermis);
    locate_all(haemoglobin, skin.dermis_rows, components, dermis);
    for (int c = 0; c < kChannels; ++c) {
      const T* __restrict above = read(gradient[c], image.width, start, count, rows[4]);
      const T* __restrict value = read(rendered[c], image.width, start, count, rows[5]);
      for (int i = 0; i < kBlock; ++i) {
        const T whole = above[i];
        const T passed = pass(whole, value[i]);
        active[c].at[i] = passed;
      }
    }
    // A known number of sums stays in registers over the block; others are kept in memory.
    Vector<T> block_weights[capacity][kChannels] = {};
    for (int group = 0; group < kBlock; group += lanes) {
      const auto add_pixel = [&](int pixel, int place) __attribute__((always_inline)) {
        const int i = group + pixel;
        const T* upper = skin.epidermis + epidermis.offset[i];
        const T* lower = skin.dermis + dermis.offset[i];
        PixelSums<Vector<T>> sum = {};
        Vector<T> above[kChannels];
        for (int c = 0; c < kChannels; ++c) above[c] = splat(active[c].at[i]);
        const Vector<T> lit = splat(diffuse[i]);
        for (int v = 0; v < vectors; ++v) {
          const auto epi = read_table(upper + v * lanes, components, epidermis.fraction.at[i]);
          const auto der = read_table(lower + v * lanes, components, dermis.fraction.at[i]);
          if (Maps) {
            Vector<T> weights[kChannels];
            for (int c = 0; c < kChannels; ++c) {
              weights[c] = load(image.weights + c * components + v * lanes);
            }
            add_gradients(epi, der, weights, above, sum);
          }
          if (Shared && Vectors > 0) {
            add_weight_gradients(lit * reflectance(epi, der), above, block_weights[v < capacity ? v : 0]);
          } else if (Shared) {
            Vector<T> total[kChannels];
            for (int c = 0; c < kChannels; ++c) {
              total[c] = load(gradients.weights + c * components + v * lanes);
            }
            add_weight_gradients(lit * reflectance(epi, der), above, total);
            for (int c = 0; c < kChannels; ++c) {
              store(gradients.weights + c * components + v * lanes, total[c]);
            }
          }
        }
        if (Maps) {
          melanin_terms.put(place, sum.melanin);
          haemoglobin_terms.put(place, sum.haemoglobin);
          diffuse_terms.put(place, sum.diffuse);
        }
      };
      constexpr int distance = Partial<T>::distance;
      for (int run = 0; run < lanes; run += 2 * distance) {
        for (int i = 0; i < distance; ++i) {
          add_pixel(run + i, run + 2 * i);
          add_pixel(run + i + distance, run + 2 * i + 1);
        }
      }
      if (Maps) {
        store(melanin_sums.at + group, melanin_terms.sum());
        store(haemoglobin_sums.at + group, haemoglobin_terms.sum());
        store(diffuse_sums.at + group, diffuse_terms.sum());
      }
    }
    if (Shared) {
      for (int v = 0; v < vectors && Vectors > 0; ++v) {
        for (int c = 0; c < kChannels; ++c) {
          T* total = gradients.weights + c * components + v * lanes;
          store(total, load(total) + block_weights[v < capacity ? v : 0][c]);
        }
      }
      for (int c = 0; c < kChannels; ++c) {
        for (int i = 0; i < kBlock; i += lanes) {
          highlight[c] = highlight[c] + load(active[c].at + i) * load(specular + i);
        }
      }
    }
    if (Maps && gradients.melanin) {
      Write<T> write(gradients.melanin + start, count, rows[4]);
      T* __restrict target = write.at();
      for (int i = 0; i < kBlock; ++i) {
        target[i] =
            diffuse[i] * melanin_sums.at[i] * place_slope(melanin[i], skin.epidermis_rows);
      }
    }
    if (Maps && gradients.haemoglobin) {
      Write<T> write(gradients.haemoglobin + start, count, rows[4]);
      T* __restrict target = write.at();
      for (int i = 0; i < kBlock; ++i) {
        target[i] =
            diffuse[i] * haemoglobin_sums.at[i] * place_slope(haemoglobin[i], skin.dermis_rows);
      }
    }
    if (Maps && gradients.diffuse) {
      Write<T> write(gradients.diffuse + start, count, rows[4]);
      T* __restrict target = write.at();
      for (int i = 0; i < kBlock; ++i) target[i] = diffuse_sums.at[i];
    }
    if (Maps && gradients.specular) {
      Write<T> write(gradients.specular + start, count, rows[4]);
      T* __restrict target = write.at();
      for (int i = 0; i < kBlock; ++i) {
        target[i] = active[0].at[i] * image.highlight[0] + active[1].at[i] * image.highlight[1] +
                    active[2].at[i] * image.highlight[2];
      }
    }
  }
  if (Shared) {
    for (int c = 0; c < kChannels; ++c) {
      for (int lane = 0; lane < lanes; ++lane) gradients.highlight[c] += highlight[c][lane];
    }
  }
}

// Calls `Run<T, Vectors>::with`, for float with the row lengths of 16, 32 and 33 bands known when
// compiled; any other length counts its vectors, as does double, which is there to be exact.
template <template <typename, int> class Run, typename T, typename... Arguments>
BIOFACENET_INLINE void dispatch(int components, const Arguments&... arguments) {
  if constexpr (sizeof(T) == sizeof(float)) {
    if (components == 16) return Run<T, 16 / kLanes<T>>::with(arguments...);
    if (components == 32) return Run<T, 32 / kLanes<T>>::with(arguments...);
    if (components == 48) return Run<T, 48 / kLanes<T>>::with(arguments...);
  }
  Run<T, 0>::with(arguments...);
}

template <typename T, int Vectors>
struct RunForward {
  static void with(const Image<T>& image, const Skin<T>& skin, int64_t begin, int64_t end,
                   T* output, int64_t plane) {
    forward<T, Vectors>(image, skin, begin, end, output, plane);
  }
};

template <typename T, int Vectors>
struct RunBackward {
  static void with(const Image<T>& image, const Skin<T>& skin, int64_t begin, int64_t end,
                   const Plane<T> (&gradient)[kChannels], const Plane<T> (&rendered)[kChannels],
                   const Gradients<T>& gradients) {
    const bool maps = gradients.melanin || gradients.haemoglobin || gradients.diffuse ||
                      gradients.specular;
    const auto run = !maps               ? backward<T, Vectors, false, true>
                     : gradients.weights ? backward<T, Vectors, true, true>
                                         : backward<T, Vectors, true, false>;
    run(image, skin, begin, end, gradient, rendered, gradients);
  }
};

template <typename T>
void forward_any(const Image<T>& image, const Skin<T>& skin, int64_t begin, int64_t end, T* output,
                 int64_t plane) {
  dispatch<RunForward, T>(skin.components, image, skin, begin, end, output, plane);
}

template <typename T>
void backward_any(const Image<T>& image, const Skin<T>& skin, int64_t begin, int64_t end,
                  const Plane<T> (&gradient)[kChannels], const Plane<T> (&rendered)[kChannels],
                  const Gradients<T>& gradients) {
  dispatch<RunBackward, T>(skin.components, image, skin, begin, end, gradient, rendered, gradients);
}

template <typename T>
void fold_alone(const FoldTables<T>& tables, const FoldInputs<T>& inputs, T* folded,
                T* highlight) {
  Folding<T> f;
  fold(Alone(), tables, inputs, f, folded, highlight);
}

template <typename T>
void fold_backward_alone(const FoldTables<T>& tables, const FoldInputs<T>& inputs,
                         const T* of_folded, const T* of_highlight,
                         const FoldGradients<T>& gradients) {
  Folding<T> f;
  FoldingBackward<T> b;
  fold_backward(Alone(), tables, inputs, f, b, of_folded, of_highlight, gradients);
}

}  // namespace

extern const Kernels kernels = {
    forward_any<float>,         forward_any<double>,        backward_any<float>,
    backward_any<double>,       fold_alone<float>,          fold_alone<double>,
    fold_backward_alone<float>, fold_backward_alone<double>};

}  // namespace BIOFACENET_TARGET
}  // namespace biofacenet
