// y_c = 0 for the `dropped` lowest entries of a row, in the total order of IEEE 754 and then of their
// columns. A block owns a row. The order of floats is that of whole numbers made of their bits, of which the
// one of rank `dropped` is found 8 bits at a time: threads count the entries that share the bits found so far
// by their next 8; thread d stands for the digit d. Of the entries equal to it the first in the row go.
#include <bit>

#include "core/ops/drop_lowest.h"
#include "cuda/kernels/map.cuh"
#include "cuda/reduce.cuh"

namespace dehvf::cuda {
namespace {

constexpr int kThreads = 256;

struct Work {
  int counts[kThreads];
  int of_warp[kThreads / kWarp];
  unsigned digit;
  int before;
};

// Unsigned numbers in the order of the floats.
__device__ unsigned order_of(float x) {
  const auto bits = std::bit_cast<unsigned>(x);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// The sum over the threads before this one; `total` gets that over all. Every thread must call it.
__device__ int sum_before(Work& work, int mine, int* total) {
  const int lane = int(threadIdx.x) % kWarp, warp = int(threadIdx.x) / kWarp;
  int through = mine;
  for (int offset = 1; offset < kWarp; offset *= 2)
    if (const int before = __shfl_up_sync(0xffffffffu, through, unsigned(offset)); lane >= offset)
      through += before;
  if (lane == kWarp - 1) work.of_warp[warp] = through;
  __syncthreads();
  int earlier = 0;
  *total = 0;
  for (int w = 0; w < kThreads / kWarp; ++w) {
    if (w < warp) earlier += work.of_warp[w];
    *total += work.of_warp[w];
  }
  __syncthreads();  // of_warp may be written again
  return earlier + through - mine;
}

// The entry of rank `rank`, as a number; `rank` becomes its rank among those equal to it.
template <class T>
__device__ unsigned entry_of_rank(Work& work, const T* row, int width, int& rank) {
  unsigned found = 0;
  for (int shift = 24; shift >= 0; shift -= 8) {
    work.counts[threadIdx.x] = 0;
    __syncthreads();
    for (int c = int(threadIdx.x); c < width; c += kThreads)
      if (const unsigned number = order_of(widened(row[c]));
          shift == 24 || (number ^ found) >> (shift + 8) == 0)
        atomicAdd(&work.counts[number >> shift & 255], 1);
    __syncthreads();
    int total = 0;
    const int count = work.counts[threadIdx.x], before = sum_before(work, count, &total);
    if (before <= rank && rank < before + count) work.digit = threadIdx.x, work.before = before;
    __syncthreads();
    found |= work.digit << shift;
    rank -= work.before;
  }
  return found;
}

template <class T>
__global__ void drop_lowest_kernel(const T* x, int width, int dropped, T* y, uint8_t* kept) {
  Work& work = shared<Work>();
  const int64_t begin = int64_t(blockIdx.x) * width;
  const T* const row = x + begin;
  int equal = dropped;  // of those equal to the bound, how many go
  const unsigned bound = entry_of_rank(work, row, width, equal);
  for (int first = 0, seen = 0; first < width; first += kThreads) {
    const int c = first + int(threadIdx.x);
    const unsigned number = c < width ? order_of(widened(row[c])) : ~0u;
    int here = 0;
    const int before = seen + sum_before(work, c < width && number == bound, &here);
    seen += here;
    if (c >= width) continue;
    const bool keep = number > bound || (number == bound && before >= equal);
    kept[begin + c] = keep;
    y[begin + c] = keep ? row[c] : rounded<T>(0);
  }
}

void drop_lowest(const Tensor& x, int64_t dropped, const Tensor& y, const Tensor& kept) {
  visit_element("drop_lowest", x.dtype(), [&]<class T>(std::type_identity<T>) {
    launch({"drop_lowest"}, dim3(unsigned(x.count() == 0 ? 0 : x.size(0))), dim3(kThreads), 0,
           current_stream(x.device()), drop_lowest_kernel<T>, static_cast<const T*>(x.raw()), int(x.size(1)),
           int(dropped), static_cast<T*>(y.raw()), kept.data<uint8_t>());
  });
}

struct Kept {
  __device__ float operator()(float keep, float dy) const { return keep == 0 ? 0 : dy; }
};

void drop_lowest_backward(const Tensor& kept, const Tensor& dy, const Tensor& dx) {
  visit_element("drop_lowest_backward", dy.dtype(), [&]<class T>(std::type_identity<T>) {
    map_into<T>({"drop_lowest_backward"}, dx, Kept{}, static_cast<const uint8_t*>(kept.raw()),
                static_cast<const T*>(dy.raw()));
  });
}

const Provide<DropLowest> provide_drop_lowest{{kKernelDevice}, drop_lowest};
const Provide<DropLowestBackward> provide_drop_lowest_backward{{kKernelDevice}, drop_lowest_backward};

}  // namespace
}  // namespace dehvf::cuda
