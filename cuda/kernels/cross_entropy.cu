// loss_i = log(sum_v exp l_iv) - l_i,target_i with l = hidden head^T,  dl_iv = dloss_i (exp(l_iv) / sum - [v
// = target_i]) Logits stand in f32 for at most kRows rows at a time. A block owns a row of them, each thread
// every blockDim-th entry.
#include <algorithm>

#include "core/ops/cross_entropy.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/reduce.cuh"

namespace dehvf::cuda {
namespace {

constexpr int64_t kRows = 512;

struct Normaliser {
  float top, sum;  // of a row's exponentials, the largest logit taken out
};

// Every thread of the block must call it.
__device__ Normaliser normaliser_of(const float* logits, int64_t vocab) {
  float top = -INFINITY, sum = 0;
  for (int64_t v = threadIdx.x; v < vocab; v += blockDim.x) top = fmaxf(top, logits[v]);
  top = block_max(top);
  for (int64_t v = threadIdx.x; v < vocab; v += blockDim.x) sum += expf(logits[v] - top);
  return {top, block_sum(sum)};
}

__global__ void cross_entropy_kernel(const float* logits, const int32_t* targets, int64_t vocab,
                                     float* losses) {
  const int64_t row = blockIdx.x;
  const int32_t target = targets[row];
  logits += row * vocab;
  const Normaliser n = normaliser_of(logits, vocab);
  if (threadIdx.x == 0) losses[row] = target == kNoTarget ? 0.0f : n.top + logf(n.sum) - logits[target];
}

template <class T>
__global__ void cross_entropy_slopes_kernel(const float* logits, const int32_t* targets, const float* dlosses,
                                            int64_t vocab, T* slopes) {
  const int64_t row = blockIdx.x;
  const int32_t target = targets[row];
  logits += row * vocab;
  const Normaliser n = normaliser_of(logits, vocab);
  const float scale = 1 / n.sum, dloss = dlosses[row];
  for (int64_t v = threadIdx.x; v < vocab; v += blockDim.x) {
    const float probability = expf(logits[v] - n.top) * scale;
    const float slope = dloss * (v == target ? probability - 1 : probability);
    slopes[row * vocab + v] = rounded<T>(target == kNoTarget ? 0.0f : slope);
  }
}

// Calls fn(first row, logits) for blocks of rows; the logits' memory is used again.
template <class Fn>
void for_blocks(const Tensor& hidden, const Tensor& head, const Fn& fn) {
  const int64_t rows = hidden.size(0);
  if (rows == 0) return;
  const Tensor logits({std::min(kRows, rows), head.size(0)}, DType::f32, hidden.device());
  for (int64_t begin = 0; begin < rows; begin += kRows) {
    const Tensor block = logits.slice(0, std::min(kRows, rows - begin));
    matmul_into(hidden.slice(begin, begin + block.size(0)), head, block, {.transpose_b = true});
    fn(begin, block);
  }
}

void cross_entropy(const Tensor& hidden, const Tensor& head, const Tensor& targets, const Tensor& losses) {
  for_blocks(hidden, head, [&](int64_t begin, const Tensor& logits) {
    launch({"cross_entropy"}, dim3(unsigned(logits.size(0))), block_for(head.size(0)), 0,
           current_stream(hidden.device()), cross_entropy_kernel, logits.data<float>(),
           targets.data<int32_t>() + begin, head.size(0), losses.data<float>() + begin);
  });
}

// The slopes are stored in hidden's dtype, so that their products are of one dtype.
void cross_entropy_backward(const Tensor& hidden, const Tensor& head, const Tensor& targets,
                            const Tensor& dlosses, const Tensor& dhidden, const Tensor& dhead) {
  const Device device = hidden.device();
  const Tensor sum =
      !dhead.defined() || dhead.dtype() == DType::f32 ? dhead : Tensor(head.shape(), DType::f32, device);
  if (sum && hidden.size(0) == 0) fill(sum, 0);
  visit_element("cross_entropy_backward", hidden.dtype(), [&]<class T>(std::type_identity<T>) {
    for_blocks(hidden, head, [&](int64_t begin, const Tensor& logits) {
      const Tensor slopes(logits.shape(), hidden.dtype(), device);
      launch({"cross_entropy_slopes"}, dim3(unsigned(logits.size(0))), block_for(head.size(0)), 0,
             current_stream(device), cross_entropy_slopes_kernel<T>, logits.data<float>(),
             targets.data<int32_t>() + begin, dlosses.data<float>() + begin, head.size(0),
             static_cast<T*>(slopes.raw()));
      const int64_t end = begin + logits.size(0);
      if (dhidden) matmul_into(slopes, head, dhidden.slice(begin, end));
      if (sum)
        matmul_into(slopes, hidden.slice(begin, end), sum, {.transpose_a = true, .accumulate = begin > 0});
    });
  });
  if (sum && !sum.shares_storage(dhead)) run<Cast>(device.kind, sum, dhead);
}

const Provide<CrossEntropy> provide_cross_entropy{{kKernelDevice}, cross_entropy};
const Provide<CrossEntropyBackward> provide_cross_entropy_backward{{kKernelDevice}, cross_entropy_backward};

}  // namespace
}  // namespace dehvf::cuda
