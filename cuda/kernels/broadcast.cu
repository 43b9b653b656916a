// y_rc = x_rc + row_c,   y_rc = x_rc row_c,   y_rc = x_rc column_r
// One thread owns a pack of columns and loads kTileRows rows of it before it stores any.
#include "core/ops/elementwise.h"
#include "cuda/kernels/tiling.cuh"
#include "cuda/launch.cuh"
#include "cuda/load.cuh"

namespace dehvf::cuda {
namespace {

enum class Form { add_row, multiply_row, multiply_column };

template <Form form, int N, class T>
__global__ void broadcast_kernel(const T* x, const T* other, int64_t rows, int64_t width, T* y) {
  const int64_t c = (int64_t(blockIdx.y) * blockDim.x + threadIdx.x) * N;
  const int64_t first = int64_t(blockIdx.x) * blockDim.y * kTileRows + threadIdx.y;
  if (c >= width) return;
  const auto row = [&](int k) { return first + int64_t(k) * blockDim.y; };
  Pack<T, N> packs[kTileRows];
#pragma unroll
  for (int k = 0; k < kTileRows; ++k)
    if (row(k) < rows) packs[k] = load<N>(x + row(k) * width + c);
  Pack<T, N> of_row{};
  if constexpr (form != Form::multiply_column) of_row = load<N>(other + c);
#pragma unroll
  for (int k = 0; k < kTileRows; ++k) {
    if (row(k) >= rows) return;
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const float a = widened(packs[k].items[i]);
      const float b = widened(form == Form::multiply_column ? other[row(k)] : of_row.items[i]);
      packs[k].items[i] = rounded<T>(form == Form::add_row ? a + b : a * b);
    }
    store(y + row(k) * width + c, packs[k]);
  }
}

template <Form form>
void broadcast(LaunchSite site, const Tensor& x, const Tensor& other, const Tensor& y) {
  visit_element(site.kernel, x.dtype(), [&]<class T>(std::type_identity<T>) {
    constexpr int kItems = kPack<T>;
    const int64_t rows = x.shape().rows(), width = x.shape().last();
    const auto *const in = static_cast<const T*>(x.raw()), *const of = static_cast<const T*>(other.raw());
    auto* const out = static_cast<T*>(y.raw());
    const bool row_fits = form == Form::multiply_column || aligned_for<kItems>(of);
    const bool packed = width % kItems == 0 && aligned_for<kItems>(in, out) && row_fits;
    const Tiling tiling = tile_rows(rows, packed ? width / kItems : width);
    launch(site, tiling.grid, tiling.block, 0, current_stream(x.device()),
           packed ? broadcast_kernel<form, kItems, T> : broadcast_kernel<form, 1, T>, in, of, rows, width,
           out);
  });
}

void add_row(const Tensor& x, const Tensor& row, const Tensor& y) {
  broadcast<Form::add_row>({"add_row"}, x, row, y);
}
void multiply_row(const Tensor& x, const Tensor& row, const Tensor& y) {
  broadcast<Form::multiply_row>({"multiply_row"}, x, row, y);
}
void multiply_column(const Tensor& x, const Tensor& column, const Tensor& y) {
  broadcast<Form::multiply_column>({"multiply_column"}, x, column, y);
}

const Provide<AddRow> provide_add_row{{kKernelDevice}, add_row};
const Provide<MultiplyRow> provide_multiply_row{{kKernelDevice}, multiply_row};
const Provide<MultiplyColumn> provide_multiply_column{{kKernelDevice}, multiply_column};

}  // namespace
}  // namespace dehvf::cuda
