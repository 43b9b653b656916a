// gather:  y_i = x_index[i];   copy columns: to[r, to_begin + i] = from[r, from_begin + i]
// One thread owns a unit of up to 16 bytes and loads kTileRows rows of it before it stores any.
#include "core/ops/rows.h"
#include "cuda/kernels/tiling.cuh"
#include "cuda/kernels/unit.cuh"
#include "cuda/launch.cuh"

namespace dehvf::cuda {
namespace {

// Strides and width are counted in units.
template <class Unit>
__global__ void copy_rows_kernel(const Unit* from, int64_t from_stride, const int32_t* index, Unit* to,
                                 int64_t to_stride, int64_t rows, int64_t width) {
  const int64_t c = int64_t(blockIdx.y) * blockDim.x + threadIdx.x;
  const int64_t first = int64_t(blockIdx.x) * blockDim.y * kTileRows + threadIdx.y;
  if (c >= width) return;
  const auto row = [&](int k) { return first + int64_t(k) * blockDim.y; };
  Unit units[kTileRows];
#pragma unroll
  for (int k = 0; k < kTileRows; ++k)
    if (row(k) < rows) units[k] = from[(index ? int64_t(index[row(k)]) : row(k)) * from_stride + c];
#pragma unroll
  for (int k = 0; k < kTileRows; ++k)
    if (row(k) < rows) to[row(k) * to_stride + c] = units[k];
}

// The same in bytes.
struct Rows {
  std::byte* data;
  int64_t stride;
};
void copy_rows(LaunchSite site, Rows from, const int32_t* index, Rows to, int64_t rows, int64_t width,
               Device device) {
  visit_unit(
      [&]<class Unit>(std::type_identity<Unit>) {
        constexpr auto kUnit = int64_t(sizeof(Unit));
        const Tiling tiling = tile_rows(rows, width / kUnit);
        launch(site, tiling.grid, tiling.block, 0, current_stream(device), copy_rows_kernel<Unit>,
               reinterpret_cast<const Unit*>(from.data), from.stride / kUnit, index,
               reinterpret_cast<Unit*>(to.data), to.stride / kUnit, rows, width / kUnit);
      },
      address(from.data), address(to.data), from.stride, to.stride, width);
}

void gather_rows(const Tensor& x, const Tensor& index, const Tensor& y) {
  if (y.count() == 0) return;
  const int64_t bytes = int64_t(y.bytes()) / y.size(0);
  copy_rows({"gather_rows"}, {static_cast<std::byte*>(x.raw()), bytes}, index.data<int32_t>(),
            {static_cast<std::byte*>(y.raw()), bytes}, y.size(0), bytes, x.device());
}

void copy_columns(const Tensor& from, int64_t from_begin, const Tensor& to, int64_t to_begin, int64_t count) {
  const auto element = int64_t(size_of(from.dtype()));
  copy_rows({"copy_columns"},
            {static_cast<std::byte*>(from.raw()) + from_begin * element, from.shape().last() * element},
            nullptr, {static_cast<std::byte*>(to.raw()) + to_begin * element, to.shape().last() * element},
            from.shape().rows(), count * element, from.device());
}

const Provide<GatherRows> provide_gather_rows{{kKernelDevice}, gather_rows};
const Provide<CopyColumns> provide_copy_columns{{kKernelDevice}, copy_columns};

}  // namespace
}  // namespace dehvf::cuda
