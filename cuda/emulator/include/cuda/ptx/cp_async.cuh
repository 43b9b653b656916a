// Stands in for cuda/ptx/cp_async.cuh.
#pragma once

#include "cuda/emulator/copy.h"
#include "cuda/emulator/device.h"

namespace dehvf::cuda::ptx {

template <int Bytes>
__forceinline__ void cp_async(void* shared, const void* global, int valid_bytes = Bytes,
                              Where where = Where::current()) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
  simt::copy_async({"cp_async", where}, shared, global, Bytes, valid_bytes);
}

inline void cp_async_commit() { simt::close_copies(); }

template <int Left>
void cp_async_wait() {
  simt::wait_for_copies(Left);
}

}  // namespace dehvf::cuda::ptx
