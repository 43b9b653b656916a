// Stands in for cuda/ptx/setmaxnreg.cuh.
#pragma once

#include "cuda/emulator/device.h"
#include "cuda/emulator/warpgroup.h"

namespace dehvf::cuda::ptx {

template <int Registers>
__forceinline__ void setmaxnreg_inc(Where where = Where::current()) {
  simt::set_registers({"setmaxnreg_inc", where}, Registers);
}
template <int Registers>
__forceinline__ void setmaxnreg_dec(Where where = Where::current()) {
  simt::set_registers({"setmaxnreg_dec", where}, Registers);
}

}  // namespace dehvf::cuda::ptx
