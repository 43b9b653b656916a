// Stands in for cuda/ptx/cluster.cuh.
#pragma once

#include "cuda/emulator/device.h"
#include "cuda/emulator/peers.h"

namespace dehvf::cuda::ptx {

inline unsigned cluster_rank() { return simt::cluster_rank(); }
inline unsigned cluster_size() { return simt::cluster_size(); }
inline void cluster_arrive(Where where = Where::current()) {
  simt::cluster_arrive({"cluster_arrive", where});
}
inline void cluster_wait(Where where = Where::current()) { simt::cluster_wait({"cluster_wait", where}); }

template <class T>
T* cluster_map(T* own, unsigned rank, Where where = Where::current()) {
  return static_cast<T*>(simt::cluster_map({"cluster_map", where}, own, rank));
}

}  // namespace dehvf::cuda::ptx
