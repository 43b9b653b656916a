// A task is one image and one chunk of its patches * rank numbers: the chunk of all levels stays in the cache
// while the queries pass.
#include "core/ops/group_mix.h"

#include "core/cpu/chunks.h"

namespace dehvf::cpu {
namespace {

template <class C>
using Chunk = Eigen::Map<Eigen::Array<C, Eigen::Dynamic, 1>>;

struct Sizes {
  int64_t images, queries, group, levels, plane, chunks;
};

Sizes sizes_of(const Tensor& weights, const Tensor& levels) {
  const int64_t plane = levels.size(2) * levels.size(3);
  return {levels.size(0), weights.size(1), weights.size(2),
          levels.size(1), plane,           (plane + kChunk - 1) / kChunk};
}

// body(image, chunk, begin, n) for every task.
template <class Body>
void for_tasks(const Sizes& s, const Body& body) {
  parallel_for(s.images * s.chunks, [&](int64_t task) {
    const int64_t begin = task % s.chunks * kChunk;
    body(task / s.chunks, task % s.chunks, begin, std::min(kChunk, s.plane - begin));
  });
}

// The chunk at `begin` of all levels of one image, [levels, kChunk].
template <class T>
Aligned<Compute<T>> chunk_of_levels(const Sizes& s, const T* levels, int64_t image, int64_t begin,
                                    int64_t n) {
  Aligned<Compute<T>> chunk(size_t(s.levels * kChunk));
  for (int64_t l = 0; l < s.levels; ++l) {
    const T* from = levels + (image * s.levels + l) * s.plane + begin;
    std::transform(from, from + n, chunk.begin() + l * kChunk, [](T v) { return Compute<T>(v); });
  }
  return chunk;
}

template <class T>
void group_mix_as(const Tensor& weights, const Tensor& levels, const Tensor& first_level,
                  const Tensor& mixed) {
  using C = Compute<T>;
  const Sizes s = sizes_of(weights, levels);
  const auto w = widened<C>(weights);
  const int32_t* first = first_level.data<int32_t>();
  for_tasks(s, [&](int64_t image, int64_t, int64_t begin, int64_t n) {
    Aligned<C> chunk = chunk_of_levels(s, levels.data<T>(), image, begin, n);
    alignas(64) C sum_data[kChunk];
    Chunk<C> sum(sum_data, n);
    for (int64_t q = 0; q < s.queries; ++q) {
      const C* weight = w.data() + (image * s.queries + q) * s.group;
      sum.setZero();
      for (int64_t g = 0; g < s.group; ++g)
        sum += weight[g] * Chunk<C>(chunk.data() + (first[q] + g) * kChunk, n);
      store(mixed.data<T>() + (q * s.images + image) * s.plane + begin, n, sum);
    }
  });
}

template <class T>
void level_gradient(const Sizes& s, const Tensor& weights, const int32_t* first, const T* dmixed,
                    Compute<T>* dlevels) {
  using C = Compute<T>;
  const auto w = widened<C>(weights);
  for_tasks(s, [&](int64_t image, int64_t, int64_t begin, int64_t n) {
    C* const out = dlevels + image * s.levels * s.plane + begin;
    for (int64_t l = 0; l < s.levels; ++l) std::fill_n(out + l * s.plane, n, C(0));
    for (int64_t q = 0; q < s.queries; ++q) {
      const C* weight = w.data() + (image * s.queries + q) * s.group;
      const Loaded<T> d(dmixed + (q * s.images + image) * s.plane + begin, n);
      for (int64_t g = 0; g < s.group; ++g)
        Chunk<C>(out + (first[q] + g) * s.plane, n) += weight[g] * d.array();
    }
  });
}

// Each chunk's inner products on their own, then the chunks in order.
template <class T>
void weight_gradient(const Sizes& s, const T* levels, const int32_t* first, const T* dmixed,
                     Compute<T>* dweights) {
  using C = Compute<T>;
  const int64_t count = s.queries * s.group;
  Aligned<C> parts(size_t(s.images * s.chunks * count));
  for_tasks(s, [&](int64_t image, int64_t piece, int64_t begin, int64_t n) {
    Aligned<C> chunk = chunk_of_levels(s, levels, image, begin, n);
    C* const part = parts.data() + (image * s.chunks + piece) * count;
    for (int64_t q = 0; q < s.queries; ++q) {
      const Loaded<T> d(dmixed + (q * s.images + image) * s.plane + begin, n);
      for (int64_t g = 0; g < s.group; ++g)
        part[q * s.group + g] = (d.array() * Chunk<C>(chunk.data() + (first[q] + g) * kChunk, n)).sum();
    }
  });
  for (int64_t image = 0; image < s.images; ++image)
    for (int64_t i = 0; i < count; ++i) {
      C sum = 0;
      for (int64_t piece = 0; piece < s.chunks; ++piece)
        sum += parts[size_t((image * s.chunks + piece) * count + i)];
      dweights[image * count + i] = sum;
    }
}

void group_mix(const Tensor& weights, const Tensor& levels, const Tensor& first_level, const Tensor& mixed) {
  visit_float(levels.dtype(),
              [&]<class T>(std::type_identity<T>) { group_mix_as<T>(weights, levels, first_level, mixed); });
}

void group_mix_backward(const Tensor& weights, const Tensor& levels, const Tensor& first_level,
                        const Tensor& dmixed, const Tensor& dweights, const Tensor& dlevels) {
  visit_float(levels.dtype(), [&]<class T>(std::type_identity<T>) {
    using C = Compute<T>;
    const Sizes s = sizes_of(weights, levels);
    const int32_t* first = first_level.data<int32_t>();
    const T* d = dmixed.data<T>();
    if (dweights.defined()) weight_gradient(s, levels.data<T>(), first, d, dweights.data<C>());
    if (dlevels.defined()) level_gradient(s, weights, first, d, dlevels.data<C>());
  });
}

const Provide<GroupMix> provide_group_mix{{DeviceKind::cpu}, group_mix};
const Provide<GroupMixBackward> provide_group_mix_backward{{DeviceKind::cpu}, group_mix_backward};

}  // namespace
}  // namespace dehvf::cpu
