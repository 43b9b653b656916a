// Gradients of the fuser's parameters and levels: sums over rows that its blocks left in global memory.
#pragma once

#include "core/backend.h"
#include "cuda/kernels/fuser.cuh"

namespace dehvf::cuda {

/// Floats that fuser_work() shares out.
int64_t fuser_work_count(const FuserSizes& s);
FuserWork fuser_work(const FuserSizes& s, float* memory);

/// Writes those of `grads`, in the order of the parameters, that are not empty.
void fuser_parameter_sums(const FuserSizes& s, const FuserWork& work, std::span<const Tensor> grads,
                          const Stream& stream);
void fuser_level_sums(const FuserSizes& s, const FuserChunks& chunks, const FuserWork& work,
                      const Tensor& dlevels, const Stream& stream);

}  // namespace dehvf::cuda
