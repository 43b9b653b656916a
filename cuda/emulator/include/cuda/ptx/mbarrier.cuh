// Stands in for cuda/ptx/mbarrier.cuh.
#pragma once

#include "cuda/emulator/device.h"
#include "cuda/emulator/mbarrier.h"

namespace dehvf::cuda::ptx {

inline void mbarrier_init(uint64_t* barrier, unsigned arrivals, Where where = Where::current()) {
  simt::mbarrier_init({"mbarrier_init", where}, barrier, arrivals);
}
inline void mbarrier_inval(uint64_t* barrier, Where where = Where::current()) {
  simt::mbarrier_invalidate({"mbarrier_inval", where}, barrier);
}
inline void mbarrier_arrive(uint64_t* barrier, unsigned arrivals = 1, Where where = Where::current()) {
  simt::mbarrier_arrive({"mbarrier_arrive", where}, barrier, arrivals, 0);
}
inline void mbarrier_arrive_remote(uint64_t* barrier, unsigned rank, Where where = Where::current()) {
  simt::mbarrier_arrive_remote({"mbarrier_arrive_remote", where}, barrier, rank);
}
inline void mbarrier_arrive_expect_tx(uint64_t* barrier, unsigned bytes, Where where = Where::current()) {
  simt::mbarrier_arrive({"mbarrier_arrive_expect_tx", where}, barrier, 1, bytes);
}
inline void mbarrier_expect_tx(uint64_t* barrier, unsigned bytes, Where where = Where::current()) {
  simt::mbarrier_arrive({"mbarrier_expect_tx", where}, barrier, 0, bytes);
}
inline bool mbarrier_try_wait(uint64_t* barrier, unsigned parity, Where where = Where::current()) {
  return simt::mbarrier_try_wait({"mbarrier_try_wait", where}, barrier, parity);
}
inline void mbarrier_wait(uint64_t* barrier, unsigned parity, Where where = Where::current()) {
  simt::mbarrier_wait({"mbarrier_wait", where}, barrier, parity);
}

}  // namespace dehvf::cuda::ptx
