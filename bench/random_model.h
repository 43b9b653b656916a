// Models of any size with weights that are there for their bytes alone, made on the device they run on.
#pragma once

#include "layers/module.h"

namespace dehvf {

/// Frozen values for every parameter of `module`: normal of its deviation, or what it begins with where that
/// is no noise. Numbers repeat after a million; no more than those are ever on the host.
void fill_frozen(Module& module, DType dtype, Device device);

}  // namespace dehvf
