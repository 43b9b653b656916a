// The epilogue of an output whose sums stand in memory: in one piece, or in parts of k that are added in
// their order. A thread owns one element.
#include "cuda/kernels/epilogue.cuh"
#include "cuda/kernels/matmul.h"
#include "cuda/launch.cuh"

namespace dehvf::cuda {
namespace {

// The parts of a matrix stand behind each other, those of a batch's next matrix behind them.
template <class S>
__device__ float sum_of(const S* parts, int count, int64_t per_matrix, int64_t at) {
  const S* const from = parts + at / per_matrix * per_matrix * count + at % per_matrix;
  float sum = 0;
  for (int part = 0; part < count; ++part) sum += widened(from[part * per_matrix]);
  return sum;
}

template <class S, class C>
__global__ void finish_product_kernel(const S* parts, const S* times_parts, int count, int64_t per_matrix,
                                      int64_t n, int64_t all, OutputView<C> out) {
  const int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= all) return;
  float sum[1] = {sum_of(parts, count, per_matrix, at)}, times[1] = {};
  if (out.gated) times[0] = sum_of(times_parts, count, per_matrix, at);
  out.store(at % n, at, sum, times);
}

template <class S, class C>
void finish(const Tensor& parts, const Tensor& times, int count, const ProductOutput& output) {
  constexpr int kThreads = 256;
  const Tensor& c = output.c;
  launch({"finish_product"}, dim3(unsigned((c.count() + kThreads - 1) / kThreads)), dim3(kThreads), 0,
         current_stream(c.device()), finish_product_kernel<S, C>, static_cast<const S*>(parts.raw()),
         times ? static_cast<const S*>(times.raw()) : nullptr, count, c.size(-2) * c.size(-1), c.size(-1),
         c.count(), view_of_output<C>(output));
}

}  // namespace

void finish_parts(const Tensor& parts, const Tensor& times, int count, const ProductOutput& output) {
  visit_element("product", output.c.dtype(), [&]<class C>(std::type_identity<C>) {
    parts.dtype() == DType::f32 ? finish<float, C>(parts, times, count, output)
                                : finish<C, C>(parts, times, count, output);
  });
}

void finish_product(const Tensor& sum, const Tensor& times, const ProductOutput& output) {
  finish_parts(sum, times, 1, output);
}

}  // namespace dehvf::cuda
