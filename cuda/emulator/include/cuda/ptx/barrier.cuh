// Stands in for cuda/ptx/barrier.cuh.
#pragma once

#include "cuda/emulator/device.h"

namespace dehvf::cuda::ptx {

inline void named_barrier_sync(int id, unsigned threads, Where where = Where::current()) {
  simt::named_barrier_sync({"named_barrier_sync", where}, id, threads);
}
inline void named_barrier_arrive(int id, unsigned threads, Where where = Where::current()) {
  simt::named_barrier_arrive({"named_barrier_arrive", where}, id, threads);
}

}  // namespace dehvf::cuda::ptx
