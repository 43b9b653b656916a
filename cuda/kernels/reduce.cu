// sum_c = sum_r x_rc;   dot_r = sum_c a_rc b_rc;   sum of all elements. In f32, in an order that depends on
// the shape only.
#include "core/ops/elementwise.h"
#include "core/ops/reduce.h"
#include "cuda/kernels/column_sums.cuh"

namespace dehvf::cuda {
namespace {

void sum_rows(const Tensor& x, const Tensor& sum) {
  const Tensor wide = sum.dtype() == DType::f32 ? sum : Tensor(sum.shape(), DType::f32, sum.device());
  const int64_t width = x.shape().last();
  visit_element("sum_rows", x.dtype(), [&]<class T>(std::type_identity<T>) {
    column_sums({"sum_rows"}, RowTerm<T>{static_cast<const T*>(x.raw()), width}, x.shape().rows(), width,
                wide);
  });
  if (wide.dtype() != sum.dtype()) run<Cast>(kKernelDevice, wide, sum);
}

// A warp owns a row.
template <int N, class T>
__global__ void dot_rows_kernel(const T* a, const T* b, int64_t rows, int64_t width, T* dots) {
  const int64_t row = int64_t(blockIdx.x) * blockDim.y + threadIdx.y;
  if (row >= rows) return;
  float dot = 0;
#pragma unroll 4
  for (int64_t c = int64_t(threadIdx.x) * N; c < width; c += kWarp * N) {
    const Pack<T, N> x = load<N>(a + row * width + c), y = load<N>(b + row * width + c);
#pragma unroll
    for (int k = 0; k < N; ++k) dot += widened(x.items[k]) * widened(y.items[k]);
  }
  dot = warp_sum(dot);
  if (threadIdx.x == 0) dots[row] = rounded<T>(dot);
}

void dot_rows(const Tensor& a, const Tensor& b, const Tensor& dots) {
  visit_element("dot_rows", a.dtype(), [&]<class T>(std::type_identity<T>) {
    constexpr int kItems = kPack<T>, kRows = 4;
    const auto *const x = static_cast<const T*>(a.raw()), *const y = static_cast<const T*>(b.raw());
    const int64_t rows = a.shape().rows(), width = a.shape().last();
    const bool packed = width % kItems == 0 && aligned_for<kItems>(x, y);
    launch({"dot_rows"}, dim3(unsigned((rows + kRows - 1) / kRows)), dim3(kWarp, kRows), 0,
           current_stream(a.device()), packed ? dot_rows_kernel<kItems, T> : dot_rows_kernel<1, T>, x, y,
           rows, width, static_cast<T*>(dots.raw()));
  });
}

// parts[b] = the sum of what the threads of block b own: every gridDim blockDim-th pack of N elements, and
// one of the elements behind the packs.
template <int N, class T>
__global__ void sum_all_kernel(const T* x, int64_t packs, int64_t count, float* parts) {
  const int64_t thread = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t step = int64_t(gridDim.x) * blockDim.x;
  float sum = 0;
#pragma unroll 4
  for (int64_t p = thread; p < packs; p += step) {
    const Pack<T, N> pack = load<N>(x + p * N);
#pragma unroll
    for (int k = 0; k < N; ++k) sum += widened(pack.items[k]);
  }
  if (const int64_t i = packs * N + thread; i < count) sum += widened(x[i]);
  sum = block_sum(sum);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

template <class T>
void sum_all_as(const T* x, int64_t count, const Tensor& sum) {
  constexpr int kThreads = 256, kItems = kPack<T>, kLeast = 4 * kThreads * kItems;
  const bool packed = aligned_for<kItems>(x);
  const int64_t blocks = std::clamp<int64_t>(count / kLeast, 1, 512);
  const Tensor parts = blocks == 1 ? sum : Tensor({blocks}, DType::f32, sum.device());
  launch({"sum_all"}, dim3(unsigned(blocks)), dim3(kThreads), 0, current_stream(sum.device()),
         packed ? sum_all_kernel<kItems, T> : sum_all_kernel<1, T>, x, packed ? count / kItems : count, count,
         parts.data<float>());
  if (blocks > 1) sum_all_as<float>(parts.data<float>(), blocks, sum);
}

void sum_all(const Tensor& x, const Tensor& sum) {
  visit_element("sum_all", x.dtype(), [&]<class T>(std::type_identity<T>) {
    sum_all_as(static_cast<const T*>(x.raw()), x.count(), sum);
  });
}

const Provide<SumRows> provide_sum_rows{{kKernelDevice}, sum_rows};
const Provide<DotRows> provide_dot_rows{{kKernelDevice}, dot_rows};
const Provide<SumAll> provide_sum_all{{kKernelDevice}, sum_all};

}  // namespace
}  // namespace dehvf::cuda
