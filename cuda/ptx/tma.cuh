// Bulk copies between global and shared memory that one thread starts and that go on beside it. Loads arrive
// at an mbarrier that was told of their bytes; stores are waited for in groups by the thread that started
// them. What a store reads was fenced by fence_proxy_async. Reducing stores are left out: their order is not
// fixed.
#pragma once

#include "cuda/ptx/address.cuh"
#include "cuda/ptx/tensor_map.cuh"

namespace dehvf::cuda::ptx {

/// The box of `map` that begins at element `at` (innermost first, may be negative) to `shared`, aligned to
/// 128 bytes and to 8 rows of the swizzle (1024 for b128). Outside of the tensor are zeros; the whole box
/// counts.
template <int Rank>
__device__ __forceinline__ void tma_load(void* shared, const TensorMap& map, uint64_t* barrier,
                                         const int (&at)[Rank]) {
  static_assert(Rank >= 2 && Rank <= 4);
  const uint32_t to = shared_address(shared), counted = shared_address(barrier);
  const auto from = reinterpret_cast<uint64_t>(&map);
  if constexpr (Rank == 2)
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, "
        "%4}], [%2];" ::"r"(to),
        "l"(from), "r"(counted), "r"(at[0]), "r"(at[1])
        : "memory");
  else if constexpr (Rank == 3)
    asm volatile(
        "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, "
        "%4, %5}], "
        "[%2];" ::"r"(to),
        "l"(from), "r"(counted), "r"(at[0]), "r"(at[1]), "r"(at[2])
        : "memory");
  else
    asm volatile(
        "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, "
        "%4, %5, "
        "%6}], [%2];" ::"r"(to),
        "l"(from), "r"(counted), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3])
        : "memory");
}

/// To the same place in every block of the cluster whose bit is set in `blocks`; each one's own barrier
/// counts it.
__device__ __forceinline__ void tma_load_multicast(void* shared, const TensorMap& map, uint64_t* barrier,
                                                   const int (&at)[2], uint16_t blocks) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster "
      "[%0], "
      "[%1, {%3, %4}], [%2], %5;" ::"r"(shared_address(shared)),
      "l"(reinterpret_cast<uint64_t>(&map)), "r"(shared_address(barrier)), "r"(at[0]), "r"(at[1]), "h"(blocks)
      : "memory");
}

/// The reverse of tma_load; what lies outside of the tensor is not written.
template <int Rank>
__device__ __forceinline__ void tma_store(const TensorMap& map, const void* shared, const int (&at)[Rank]) {
  static_assert(Rank >= 2 && Rank <= 4);
  const uint32_t from = shared_address(shared);
  const auto to = reinterpret_cast<uint64_t>(&map);
  if constexpr (Rank == 2)
    asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%0, {%2, %3}], [%1];" ::"l"(to),
                 "r"(from), "r"(at[0]), "r"(at[1])
                 : "memory");
  else if constexpr (Rank == 3)
    asm volatile(
        "cp.async.bulk.tensor.3d.global.shared::cta.tile.bulk_group [%0, {%2, %3, %4}], [%1];" ::"l"(to),
        "r"(from), "r"(at[0]), "r"(at[1]), "r"(at[2])
        : "memory");
  else
    asm volatile(
        "cp.async.bulk.tensor.4d.global.shared::cta.tile.bulk_group [%0, {%2, %3, %4, %5}], [%1];" ::"l"(to),
        "r"(from), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3])
        : "memory");
}

/// Bytes that follow each other. Both addresses and `bytes` are multiples of 16.
__device__ __forceinline__ void bulk_load(void* shared, const void* global, unsigned bytes,
                                          uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
          shared_address(shared)),
      "l"(global_address(global)), "r"(bytes), "r"(shared_address(barrier))
      : "memory");
}

__device__ __forceinline__ void bulk_store(void* global, const void* shared, unsigned bytes) {
  asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(global_address(global)),
               "r"(shared_address(shared)), "r"(bytes)
               : "memory");
}

/// Closes a group: the thread's stores since the last one.
__device__ __forceinline__ void bulk_commit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }

/// Waits until at most `Left` groups of this thread are open, the youngest. _read: until they have been read,
/// and their shared memory may be used again. A block must not end before that.
template <int Left>
__device__ __forceinline__ void bulk_wait_read() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(Left) : "memory");
}

template <int Left>
__device__ __forceinline__ void bulk_wait() {
  asm volatile("cp.async.bulk.wait_group %0;" ::"n"(Left) : "memory");
}

}  // namespace dehvf::cuda::ptx
