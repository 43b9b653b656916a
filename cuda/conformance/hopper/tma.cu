// in: words of a tensor. out: what the copies leave, where nothing is written all ones.
// tma_load_none, _b32, _b64, _b128: of a matrix of 37 rows of 44 words, boxes of 16 rows as wide as the
// swizzle (8 words without one) at (4, 3), (-4, -5), (28, 30) and (44, 0), each as it lies in shared memory.
// tma_3d, tma_4d: of 5 x 6 x 7 x 12 words, the box of 2 x 3 x 2 x 8 at (2, 5, -1, 8); of the first 6 x 7 x 12
// words the box of 3 x 2 x 8 at (5, -1, 8). out: the box, and behind 96 words the tensor into which it was
// stored again. tma_load_multicast: two blocks; each loads one box of 8 rows of 8 words, number 0 or 1, to
// both. out: both boxes as each block has them. tma_store_none, _b128: a box of 16 rows of 32 words to (20,
// 30) in a matrix of 37 rows of 44 words. bulk_copy: words 8 to 39 and 40 to 55 to shared memory; from there
// the first to words 16 to 47 of out, the others to its beginning.
#include "cuda/conformance/start.cuh"
#include "cuda/ptx/cluster.cuh"
#include "cuda/ptx/fence.cuh"
#include "cuda/ptx/mbarrier.cuh"
#include "cuda/ptx/tma.cuh"
#include "cuda/shared.cuh"

namespace dehvf::cuda {
namespace {

using ptx::TensorMap;

struct BoxMemory {
  alignas(1024) uint32_t words[512];
  uint64_t barrier;
};

__device__ BoxMemory& begun() {
  BoxMemory& s = shared<BoxMemory>();
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(&s.barrier, 1);
    ptx::fence_mbarrier_init();
  }
  __syncthreads();
  return s;
}

__global__ void tma_load_kernel(const __grid_constant__ TensorMap map, unsigned words, uint32_t* out) {
  BoxMemory& s = begun();
  for (unsigned i = 0; i < 4; ++i) {
    if (threadIdx.x == 0) {
      ptx::mbarrier_arrive_expect_tx(&s.barrier, words * 4);
      constexpr int kAt[4][2] = {{4, 3}, {-4, -5}, {28, 30}, {44, 0}};
      const int at[2] = {kAt[i][0], kAt[i][1]};
      ptx::tma_load(s.words, map, &s.barrier, at);
    }
    ptx::mbarrier_wait(&s.barrier, i % 2);
    for (unsigned j = threadIdx.x; j < words; j += 32) out[i * words + j] = s.words[j];
    __syncthreads();
  }
}

template <int Rank>
__global__ void tma_there_and_back_kernel(const __grid_constant__ TensorMap map,
                                          const __grid_constant__ TensorMap back, unsigned words,
                                          uint32_t* out) {
  BoxMemory& s = begun();
  const auto copy = [&](const int(&at)[Rank]) {
    ptx::mbarrier_arrive_expect_tx(&s.barrier, words * 4);
    ptx::tma_load(s.words, map, &s.barrier, at);
    ptx::mbarrier_wait(&s.barrier, 0);
    ptx::tma_store(back, s.words, at);
    ptx::bulk_commit();
    ptx::bulk_wait<0>();
  };
  if (threadIdx.x == 0) {
    if constexpr (Rank == 3)
      copy({8, -1, 5});
    else
      copy({8, -1, 5, 2});
  }
  __syncthreads();
  for (unsigned j = threadIdx.x; j < words; j += 32) out[j] = s.words[j];
}

__global__ void tma_load_multicast_kernel(const __grid_constant__ TensorMap map, uint32_t* out) {
  constexpr unsigned kWords = 64;
  BoxMemory& s = begun();
  ptx::cluster_arrive();
  ptx::cluster_wait();
  const unsigned rank = ptx::cluster_rank();
  if (threadIdx.x == 0) {
    ptx::mbarrier_arrive_expect_tx(&s.barrier, 2 * kWords * 4);
    ptx::tma_load_multicast(s.words + rank * kWords, map, &s.barrier, {0, int(rank) * 8}, 3);
  }
  ptx::mbarrier_wait(&s.barrier, 0);
  for (unsigned j = threadIdx.x; j < 2 * kWords; j += 32) out[rank * 2 * kWords + j] = s.words[j];
  ptx::cluster_arrive();
  ptx::cluster_wait();
}

__global__ void tma_store_kernel(const uint32_t* in, const __grid_constant__ TensorMap map) {
  BoxMemory& s = shared<BoxMemory>();
  for (unsigned j = threadIdx.x; j < 512; j += 32) s.words[j] = in[j];
  ptx::fence_proxy_async();
  __syncthreads();
  if (threadIdx.x == 0) {
    ptx::tma_store(map, s.words, {20, 30});
    ptx::bulk_commit();
    ptx::bulk_wait_read<0>();
  }
}

__global__ void bulk_copy_kernel(const uint32_t* in, uint32_t* out) {
  BoxMemory& s = begun();
  if (threadIdx.x == 0) {
    ptx::mbarrier_arrive_expect_tx(&s.barrier, 48 * 4);
    ptx::bulk_load(s.words + 4, in + 8, 32 * 4, &s.barrier);
    ptx::bulk_load(s.words + 40, in + 40, 16 * 4, &s.barrier);
    ptx::mbarrier_wait(&s.barrier, 0);
    ptx::bulk_store(out + 16, s.words + 4, 32 * 4);
    ptx::bulk_commit();
    ptx::bulk_store(out, s.words + 40, 16 * 4);
    ptx::bulk_commit();
    ptx::bulk_wait<1>();
    ptx::bulk_wait<0>();
  }
}

__global__ void all_ones_kernel(uint32_t* out, int64_t words) {
  for (int64_t i = threadIdx.x; i < words; i += blockDim.x) out[i] = ~0u;
}

uint32_t* cleared(const Tensor& out) {
  auto* const words = static_cast<uint32_t*>(out.raw());
  launch({"all_ones"}, dim3(1), dim3(128), 0, current_stream(out.device()), all_ones_kernel, words,
         out.size(0) * out.size(1));
  return words;
}

template <Swizzle kSwizzle>
void tma_load(const Tensor& in, const Tensor& out) {
  const unsigned width = kSwizzle == Swizzle::none ? 8 : swizzle_bytes(kSwizzle) / 4;
  const TileAxis axes[] = {{44, 1, width}, {37, 44, 16}};
  const TensorMap map = ptx::make_tensor_map(in.raw(), DType::f32, kSwizzle, axes);
  launch({"tma_load"}, dim3(1), dim3(32), 0, current_stream(in.device()), tma_load_kernel, map, 16 * width,
         static_cast<uint32_t*>(out.raw()));
}

template <int Rank>
void tma_there_and_back(const Tensor& in, const Tensor& out) {
  const TileAxis axes[] = {{12, 1, 8}, {7, 12, 2}, {6, 84, 3}, {5, 504, 2}};
  const unsigned box = Rank == 3 ? 48 : 96;
  uint32_t* const words = cleared(out);
  const TensorMap map =
      ptx::make_tensor_map(in.raw(), DType::f32, Swizzle::none, std::span(axes).first(Rank));
  const TensorMap back =
      ptx::make_tensor_map(words + 96, DType::f32, Swizzle::none, std::span(axes).first(Rank));
  launch({"tma_there_and_back"}, dim3(1), dim3(32), 0, current_stream(in.device()),
         tma_there_and_back_kernel<Rank>, map, back, box, words);
}

void tma_load_multicast(const Tensor& in, const Tensor& out) {
  const TileAxis axes[] = {{8, 1, 8}, {16, 8, 8}};
  const TensorMap map = ptx::make_tensor_map(in.raw(), DType::f32, Swizzle::none, axes);
  launch({"tma_load_multicast", {.cluster = 2}}, dim3(2), dim3(32), 0, current_stream(in.device()),
         tma_load_multicast_kernel, map, static_cast<uint32_t*>(out.raw()));
}

template <Swizzle kSwizzle>
void tma_store(const Tensor& in, const Tensor& out) {
  const TileAxis axes[] = {{44, 1, 32}, {37, 44, 16}};
  const TensorMap map = ptx::make_tensor_map(cleared(out), DType::f32, kSwizzle, axes);
  launch({"tma_store"}, dim3(1), dim3(32), 0, current_stream(in.device()), tma_store_kernel,
         static_cast<const uint32_t*>(in.raw()), map);
}

const Provide<PtxProbe> provide_none{{kKernelDevice, "tma_load_none"}, tma_load<Swizzle::none>};
const Provide<PtxProbe> provide_b32{{kKernelDevice, "tma_load_b32"}, tma_load<Swizzle::b32>};
const Provide<PtxProbe> provide_b64{{kKernelDevice, "tma_load_b64"}, tma_load<Swizzle::b64>};
const Provide<PtxProbe> provide_b128{{kKernelDevice, "tma_load_b128"}, tma_load<Swizzle::b128>};
const Provide<PtxProbe> provide_3d{{kKernelDevice, "tma_3d"}, tma_there_and_back<3>};
const Provide<PtxProbe> provide_4d{{kKernelDevice, "tma_4d"}, tma_there_and_back<4>};
const Provide<PtxProbe> provide_multicast{{kKernelDevice, "tma_load_multicast"}, tma_load_multicast};
const Provide<PtxProbe> provide_store{{kKernelDevice, "tma_store_none"}, tma_store<Swizzle::none>};
const Provide<PtxProbe> provide_store_b128{{kKernelDevice, "tma_store_b128"}, tma_store<Swizzle::b128>};
const Provide<PtxProbe> provide_bulk{{kKernelDevice, "bulk_copy"}, start_probe<bulk_copy_kernel>};

}  // namespace
}  // namespace dehvf::cuda
