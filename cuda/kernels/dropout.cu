// y = x f with f = 0 where philox(counter {position, slot / 4, id}, key {seed, step, layer})[slot % 4] is
// below rate 2^32, else 1 / (1 - rate). A warp owns a token, each of its threads every 32nd run of kItems
// slots.
#include "core/ops/dropout.h"
#include "cuda/dropout.cuh"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/load.cuh"
#include "cuda/reduce.cuh"
#include "cuda/shared.cuh"

namespace dehvf::cuda {
namespace {

struct Key {
  uint64_t value;
};

struct Tokens {
  int64_t count, width;
  const int32_t* offsets;
  int samples;
  const int64_t* ids;
  const int32_t* positions;  // may be null
};

template <bool packed, int N, class T>
__global__ void dropout_kernel(Tokens tokens, DropoutDraw draw, const T* x, T* y) {
  uint64_t& key = shared<Key>().value;
  if (threadIdx.x == 0 && threadIdx.y == 0) key = dropout_key(draw);
  __syncthreads();
  const int64_t row = int64_t(blockIdx.x) * blockDim.y + threadIdx.y, width = tokens.width;
  if (row >= tokens.count) return;
  const int sample = sample_of(tokens.offsets, tokens.samples, row);
  const auto id = uint64_t(tokens.ids[sample]);
  const auto position = uint32_t(tokens.positions ? tokens.positions[row] : row - tokens.offsets[sample]);
  const T* const in = x + row * width;
  T* const out = y + row * width;
  for (int64_t slot = int64_t(threadIdx.x) * N; slot < width; slot += kWarp * N) {
    Pack<T, N> pack{};
    if constexpr (packed) {
      pack = load<N>(in + slot);
    } else {
#pragma unroll
      for (int k = 0; k < N; ++k)
        if (slot + k < width) pack.items[k] = in[slot + k];
    }
#pragma unroll
    for (int quad = 0; quad < N; quad += 4) {
      const DropoutFactors factors = dropout_factors(draw, key, id, position, uint32_t((slot + quad) / 4));
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        T& item = pack.items[quad + k];
        item = rounded<T>(factors.of[k] == 0 ? 0.0f : widened(item) * factors.of[k]);
      }
    }
    if constexpr (packed) {
      store(out + slot, pack);
    } else {
#pragma unroll
      for (int k = 0; k < N; ++k)
        if (slot + k < width) out[slot + k] = pack.items[k];
    }
  }
}

template <class T>
void dropout_as(const Tensor& x, const Tensor& sample_offsets, const DropoutSpec& spec, const Tensor& y) {
  constexpr int kItems = kPack<T>, kRows = 8;
  const Tokens tokens{x.size(0),
                      x.size(1),
                      sample_offsets.data<int32_t>(),
                      int(sample_offsets.count() - 1),
                      spec.sample_ids.data<int64_t>(),
                      spec.positions.defined() ? spec.positions.data<int32_t>() : nullptr};
  const auto* const in = static_cast<const T*>(x.raw());
  auto* const out = static_cast<T*>(y.raw());
  const bool packed = tokens.width % kItems == 0 && aligned_for<kItems>(in, out);
  launch({"dropout"}, dim3(unsigned((tokens.count + kRows - 1) / kRows)), dim3(kWarp, kRows), 0,
         current_stream(x.device()),
         packed ? dropout_kernel<true, kItems, T> : dropout_kernel<false, kItems, T>, tokens,
         dropout_draw(spec), in, out);
}

void dropout(const Tensor& x, const Tensor& sample_offsets, const DropoutSpec& spec, const Tensor& y) {
  visit_element("dropout", x.dtype(),
                [&]<class T>(std::type_identity<T>) { dropout_as<T>(x, sample_offsets, spec, y); });
}

const Provide<Dropout> provide_dropout{{kKernelDevice}, dropout};

}  // namespace
}  // namespace dehvf::cuda
