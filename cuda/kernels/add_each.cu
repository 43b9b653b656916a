// sum += x, + x', ...  for many sums in one launch: a block owns a tile of one sum, a thread every 256th pack
// of it, which takes all its terms in their order before it is stored.
#include <algorithm>
#include <vector>

#include "core/ops/add_each.h"
#include "core/ops/elementwise.h"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/load.cuh"

namespace dehvf::cuda {
namespace {

constexpr int kThreads = 256, kPacks = 2, kItems = 4;
constexpr int64_t kTile = int64_t(kThreads) * kPacks * kItems;
constexpr int kSums = 64, kTerms = 192;  // of a launch: their table is an argument, of which there are 4 KiB

struct Sum {
  float* data;
  int64_t count;
  int first_block, first_term, terms;
  bool packs;
};
struct Table {
  Sum sums[kSums];
  const float* terms[kTerms];
  int count, used;  // of sums, of terms
};
static_assert(sizeof(Table) <= 4096);

template <int N>
__device__ void add_terms(const Table& table, const Sum& sum, int64_t i) {
  Pack<float, N> total = load<N>(sum.data + i);
  for (int t = 0; t < sum.terms; ++t) {
    const Pack<float, N> term = load<N>(table.terms[sum.first_term + t] + i);
#pragma unroll
    for (int k = 0; k < N; ++k) total.items[k] += term.items[k];
  }
  store(sum.data + i, total);
}

__global__ void add_each_kernel(const __grid_constant__ Table table) {
  int which = 0;
  while (which + 1 < table.count && int(blockIdx.x) >= table.sums[which + 1].first_block) ++which;
  const Sum& sum = table.sums[which];
  const int64_t begin = (int64_t(blockIdx.x) - sum.first_block) * kTile;
  const int64_t end = begin + kTile < sum.count ? begin + kTile : sum.count;
  for (int64_t i = begin + int64_t(threadIdx.x) * kItems; i < end; i += kThreads * kItems)
    if (sum.packs && i + kItems <= end)
      add_terms<kItems>(table, sum, i);
    else
      for (int64_t rest = i; rest < end && rest < i + kItems; ++rest) add_terms<1>(table, sum, rest);
}

// Fills tables and launches them.
class Launcher {
 public:
  explicit Launcher(const Stream& stream) : stream_(stream) {}

  // All terms of one sum, which follow each other.
  void add(const Tensor& sum, std::span<const Addition* const> terms) {
    for (size_t first = 0; first < terms.size();) {
      if (table_.count == kSums || table_.used == kTerms) launch_all();
      const auto taken = std::min(terms.size() - first, size_t(kTerms - table_.used));
      put(sum, terms.subspan(first, taken));
      first += taken;
    }
  }

  void launch_all() {
    launch({"add_each"}, dim3(unsigned(blocks_)), dim3(kThreads), 0, stream_, add_each_kernel, table_);
    table_ = {}, blocks_ = 0;
  }

 private:
  void put(const Tensor& sum, std::span<const Addition* const> terms) {
    bool packs = aligned_for<kItems>(sum.data<float>());
    for (size_t t = 0; t < terms.size(); ++t) {
      const float* const term = terms[t]->x.data<float>();
      packs = packs && aligned_for<kItems>(term);
      table_.terms[table_.used + int(t)] = term;
    }
    table_.sums[table_.count++] = {sum.data<float>(), sum.count(),       int(blocks_),
                                   table_.used,       int(terms.size()), packs};
    table_.used += int(terms.size());
    blocks_ += (sum.count() + kTile - 1) / kTile;
  }

  Stream stream_;
  Table table_{};
  int64_t blocks_ = 0;
};

void add_each(std::span<const Addition> additions) {
  std::vector<const Addition*> terms;
  for (const Addition& addition : additions)
    if (addition.x.dtype() == DType::f32 && addition.sum.dtype() == DType::f32)
      terms.push_back(&addition);
    else
      add_into(addition.x, addition.sum);
  // Terms of a sum side by side, in their order.
  std::ranges::stable_sort(terms, {}, [](const Addition* a) { return a->sum.raw(); });
  Launcher launcher(current_stream(additions[0].sum.device()));
  for (size_t first = 0; first < terms.size();) {
    size_t end = first;
    while (end < terms.size() && terms[end]->sum.raw() == terms[first]->sum.raw()) ++end;
    launcher.add(terms[first]->sum, std::span(terms).subspan(first, end - first));
    first = end;
  }
  launcher.launch_all();
}

const Provide<AddEach> provide_add_each{{kKernelDevice}, add_each};

}  // namespace
}  // namespace dehvf::cuda
