// mixed[q, i] = sum_g w[i, q, g] levels[i, first[q] + g]
// dlevels[i, l] = sum_q w[i, q, l - first[q]] dmixed[q, i] over the queries whose group holds l
// dw[i, q, g] = dmixed[q, i] . levels[i, first[q] + g]
// A plane is the patches * rank numbers of one level. A thread owns N of them in one mixed plane, or in one
// of dlevels; a block owns one dw. Sums are f32 in a fixed order.
#include "core/ops/group_mix.h"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/load.cuh"
#include "cuda/reduce.cuh"

namespace dehvf::cuda {
namespace {

constexpr int kThreads = 256;

struct Sizes {
  int64_t images, queries, group, levels, plane;
};

// sum += weight * plane
template <int N, class T>
__device__ void add_scaled(Pack<float, N>& sum, float weight, const Pack<T, N>& plane) {
#pragma unroll
  for (int k = 0; k < N; ++k) sum.items[k] += weight * widened(plane.items[k]);
}

template <int N, class T>
__global__ void group_mix_kernel(Sizes s, const T* weights, const T* levels, const int32_t* first, T* mixed) {
  const int64_t at = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) * N, q = blockIdx.y, image = blockIdx.z;
  if (at >= s.plane) return;
  Pack<float, N> sum{};
  for (int64_t g = 0; g < s.group; ++g)
    add_scaled(sum, widened(weights[(image * s.queries + q) * s.group + g]),
               load<N>(levels + (image * s.levels + first[q] + g) * s.plane + at));
  Pack<T, N> result;
#pragma unroll
  for (int k = 0; k < N; ++k) result.items[k] = rounded<T>(sum.items[k]);
  store(mixed + (q * s.images + image) * s.plane + at, result);
}

template <int N, class T>
__global__ void level_gradient_kernel(Sizes s, const T* weights, const int32_t* first, const T* dmixed,
                                      float* dlevels) {
  const int64_t at = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) * N;
  const int64_t level = blockIdx.y, image = blockIdx.z;
  if (at >= s.plane) return;
  Pack<float, N> sum{};
  for (int64_t q = 0; q < s.queries; ++q)
    if (const int64_t g = level - first[q]; g >= 0 && g < s.group)
      add_scaled(sum, widened(weights[(image * s.queries + q) * s.group + g]),
                 load<N>(dmixed + (q * s.images + image) * s.plane + at));
  store(dlevels + (image * s.levels + level) * s.plane + at, sum);
}

template <int N, class T>
__global__ void weight_gradient_kernel(Sizes s, const T* levels, const int32_t* first, const T* dmixed,
                                       float* dweights) {
  const int64_t g = blockIdx.x, q = blockIdx.y, image = blockIdx.z;
  const T* const level = levels + (image * s.levels + first[q] + g) * s.plane;
  const T* const d = dmixed + (q * s.images + image) * s.plane;
  float dot = 0;
  for (int64_t at = int64_t(threadIdx.x) * N; at < s.plane; at += int64_t(blockDim.x) * N) {
    const Pack<T, N> a = load<N>(level + at), b = load<N>(d + at);
#pragma unroll
    for (int k = 0; k < N; ++k) dot += widened(a.items[k]) * widened(b.items[k]);
  }
  dot = block_sum(dot);
  if (threadIdx.x == 0) dweights[(image * s.queries + q) * s.group + g] = dot;
}

Sizes sizes_of(const Tensor& weights, const Tensor& levels) {
  return {levels.size(0), weights.size(1), weights.size(2), levels.size(1), levels.size(2) * levels.size(3)};
}

template <int N>
dim3 grid_of_planes(const Sizes& s, int64_t planes) {
  return dim3(unsigned((s.plane + kThreads * N - 1) / (kThreads * N)), unsigned(planes), unsigned(s.images));
}

template <class T>
void group_mix_as(const Tensor& weights, const Tensor& levels, const Tensor& first_level,
                  const Tensor& mixed) {
  const Sizes s = sizes_of(weights, levels);
  const auto *const w = static_cast<const T*>(weights.raw()), *const in = static_cast<const T*>(levels.raw());
  auto* const out = static_cast<T*>(mixed.raw());
  const auto start = [&]<int N>(std::integral_constant<int, N>) {
    launch({"group_mix"}, grid_of_planes<N>(s, s.queries), dim3(kThreads), 0, current_stream(mixed.device()),
           group_mix_kernel<N, T>, s, w, in, first_level.data<int32_t>(), out);
  };
  constexpr int kItems = kPack<T>;
  if (s.plane % kItems == 0 && aligned_for<kItems>(in, out))
    start(std::integral_constant<int, kItems>{});
  else
    start(std::integral_constant<int, 1>{});
}

template <int N, class T>
void gradients_as(const Tensor& weights, const Tensor& levels, const int32_t* first, const Tensor& dmixed,
                  const Tensor& dweights, const Tensor& dlevels) {
  const Sizes s = sizes_of(weights, levels);
  const auto* const d = static_cast<const T*>(dmixed.raw());
  const Stream stream = current_stream(dmixed.device());
  if (dweights.defined())
    launch({"group_mix_backward"}, dim3(unsigned(s.group), unsigned(s.queries), unsigned(s.images)),
           dim3(kThreads), 0, stream, weight_gradient_kernel<N, T>, s, static_cast<const T*>(levels.raw()),
           first, d, dweights.data<float>());
  if (dlevels.defined())
    launch({"group_mix_backward"}, grid_of_planes<N>(s, s.levels), dim3(kThreads), 0, stream,
           level_gradient_kernel<N, T>, s, static_cast<const T*>(weights.raw()), first, d,
           dlevels.data<float>());
}

void group_mix(const Tensor& weights, const Tensor& levels, const Tensor& first_level, const Tensor& mixed) {
  visit_element("group_mix", levels.dtype(), [&]<class T>(std::type_identity<T>) {
    group_mix_as<T>(weights, levels, first_level, mixed);
  });
}

void group_mix_backward(const Tensor& weights, const Tensor& levels, const Tensor& first_level,
                        const Tensor& dmixed, const Tensor& dweights, const Tensor& dlevels) {
  visit_element("group_mix_backward", levels.dtype(), [&]<class T>(std::type_identity<T>) {
    constexpr int kItems = kPack<float>;  // of f32 results
    const bool packed =
        levels.size(2) * levels.size(3) % kItems == 0 &&
        aligned_for<kItems>(static_cast<const T*>(levels.raw()), static_cast<const T*>(dmixed.raw()),
                            dlevels.defined() ? dlevels.data<float>() : nullptr);
    const auto start = packed ? gradients_as<kItems, T> : gradients_as<1, T>;
    start(weights, levels, first_level.data<int32_t>(), dmixed, dweights, dlevels);
  });
}

const Provide<GroupMix> provide_group_mix{{kKernelDevice}, group_mix};
const Provide<GroupMixBackward> provide_group_mix_backward{{kKernelDevice}, group_mix_backward};

}  // namespace
}  // namespace dehvf::cuda
