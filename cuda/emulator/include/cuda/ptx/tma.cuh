// Stands in for cuda/ptx/tma.cuh.
#pragma once

#include "cuda/emulator/bulk.h"

namespace dehvf::cuda::ptx {

template <int Rank>
__forceinline__ void tma_load(void* shared, const TensorMap& map, uint64_t* barrier, const int (&at)[Rank],
                              Where where = Where::current()) {
  static_assert(Rank >= 2 && Rank <= 4);
  simt::load_box({"tma_load", where}, shared, map, barrier, at, 0);
}
inline void tma_load_multicast(void* shared, const TensorMap& map, uint64_t* barrier, const int (&at)[2],
                               uint16_t blocks, Where where = Where::current()) {
  simt::load_box({"tma_load_multicast", where}, shared, map, barrier, at, blocks);
}
template <int Rank>
__forceinline__ void tma_store(const TensorMap& map, const void* shared, const int (&at)[Rank],
                               Where where = Where::current()) {
  static_assert(Rank >= 2 && Rank <= 4);
  simt::store_box({"tma_store", where}, map, shared, at);
}
inline void bulk_load(void* shared, const void* global, unsigned bytes, uint64_t* barrier,
                      Where where = Where::current()) {
  simt::load_bytes({"bulk_load", where}, shared, global, bytes, barrier);
}
inline void bulk_store(void* global, const void* shared, unsigned bytes, Where where = Where::current()) {
  simt::store_bytes({"bulk_store", where}, global, shared, bytes);
}
inline void bulk_commit() { simt::close_stores(); }

template <int Left>
void bulk_wait_read() {
  simt::wait_for_stores(Left, true);
}
template <int Left>
void bulk_wait() {
  simt::wait_for_stores(Left, false);
}

}  // namespace dehvf::cuda::ptx
