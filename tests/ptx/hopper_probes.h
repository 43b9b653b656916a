// Probes that are built for sm_90a only.
#pragma once

#include "ptx/probes.h"

namespace dehvf {

class HopperProbes : public PtxProbes {
 protected:
  void SetUp() override {
    PtxProbes::SetUp();
    if (!IsSkipped() && !provided("stmatrix_x1")) GTEST_SKIP() << "no kernels for sm_90a in this build";
  }
};

}  // namespace dehvf
