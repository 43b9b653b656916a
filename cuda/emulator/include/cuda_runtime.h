// Stands in for CUDA's header of this name. Included first by every emulated kernel file, as nvcc does.
#pragma once

#include "cuda/emulator/device.h"
