// Training with recorded micro-batches against training without.
#pragma once

#include "train/contract/check.h"

namespace dehvf::contract {

/// On the emulated device. `kept`: what the tower sees is computed once, not in every step.
void check_replay(const tiny::Case& c, bool kept, Verdict& verdict);

}  // namespace dehvf::contract
