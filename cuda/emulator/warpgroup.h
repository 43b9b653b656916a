// Four warps that act as one.
#pragma once

#include <vector>

#include "cuda/emulator/report.h"

namespace dehvf::simt {

struct Thread;

inline constexpr unsigned kWarpgroup = 128;

struct Warpgroup {
  struct RegisterChange {
    unsigned count;  // of each thread from then on
    Site site;
  };
  std::vector<RegisterChange> register_changes;
};

void set_registers(const Site& site, unsigned count);

void check_warpgroup_left(const Thread& thread);

}  // namespace dehvf::simt
