// sum_r = the rows i with index[i] = r, added up in their order.
// A block owns an entry r and a tile of its columns. It walks over the index by 256 places, skips those
// without an r, and adds the others' rows in the order of their places. Where entries are few, the places are
// cut into parts, each with its own sums, which are added up in a second step.
#include "core/ops/rows.h"
#include "cuda/kernels/column_sums.cuh"

namespace dehvf::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarp;

struct Matches {
  unsigned of_warp[kWarps];
};

// sums [parts, entries, width]
template <int N, class T>
__global__ void scatter_add_kernel(const T* rows, const int32_t* index, int64_t count, int64_t places_a_part,
                                   int64_t width, float* sums) {
  unsigned(&matches)[kWarps] = shared<Matches>().of_warp;
  const int64_t entry = blockIdx.x, part = blockIdx.z;
  const int64_t c = (int64_t(blockIdx.y) * kThreads + threadIdx.x) * N;
  const int64_t end = (part + 1) * places_a_part < count ? (part + 1) * places_a_part : count;
  Pack<float, N> sum{};
  for (int64_t first = part * places_a_part; first < end; first += kThreads) {
    const int64_t place = first + threadIdx.x;
    const bool match = place < end && index[place] == entry;
    if (!__syncthreads_or(match)) continue;
    const unsigned lanes = __ballot_sync(0xffffffffu, match);
    if (threadIdx.x % kWarp == 0) matches[threadIdx.x / kWarp] = lanes;
    __syncthreads();
    for (int at = 0; at < kThreads && c < width; ++at) {
      if (!(matches[at / kWarp] >> at % kWarp & 1)) continue;
      const Pack<T, N> row = load<N>(rows + (first + at) * width + c);
#pragma unroll
      for (int k = 0; k < N; ++k) sum.items[k] += widened(row.items[k]);
    }
  }
  if (c < width) store(sums + (part * gridDim.x + entry) * width + c, sum);
}

template <class T>
void scatter_add_as(const Tensor& rows, const Tensor& index, const Tensor& sum) {
  constexpr int kItems = kPack<T>;
  const int64_t entries = sum.size(0), width = entries == 0 ? 0 : sum.count() / entries;
  if (sum.count() == 0) return;
  const int64_t count = index.count(), chunks = (count + kThreads - 1) / kThreads;
  // As many parts as leave them small beside the rows.
  const int64_t wanted = std::clamp<int64_t>(count / (8 * entries), 1, std::max<int64_t>(chunks, 1));
  const int64_t places_a_part = (chunks + wanted - 1) / wanted * kThreads;
  const int64_t parts = count == 0 ? 1 : (count + places_a_part - 1) / places_a_part;
  const Tensor out = parts == 1 ? sum : Tensor({parts, sum.count()}, DType::f32, sum.device());
  const auto* const in = static_cast<const T*>(rows.raw());
  const bool packed =
      width % kItems == 0 && aligned_for<kItems>(in) && aligned_for<kItems>(out.data<float>());
  const int64_t columns = packed ? width / kItems : width;
  launch({"scatter_add_rows"},
         dim3(unsigned(entries), unsigned((columns + kThreads - 1) / kThreads), unsigned(parts)),
         dim3(kThreads), 0, current_stream(sum.device()),
         packed ? scatter_add_kernel<kItems, T> : scatter_add_kernel<1, T>, in, index.data<int32_t>(), count,
         places_a_part, width, out.data<float>());
  if (parts > 1)
    column_sums({"scatter_add_rows"}, RowTerm<float>{out.data<float>(), sum.count()}, parts, sum.count(),
                sum);
}

void scatter_add_rows(const Tensor& rows, const Tensor& index, const Tensor& sum) {
  visit_element("scatter_add_rows", rows.dtype(),
                [&]<class T>(std::type_identity<T>) { scatter_add_as<T>(rows, index, sum); });
}

const Provide<ScatterAddRows> provide_scatter_add_rows{{kKernelDevice}, scatter_add_rows};

}  // namespace
}  // namespace dehvf::cuda
