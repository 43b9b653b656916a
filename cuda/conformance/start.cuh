// How the probes start.
#pragma once

#include "cuda/conformance/probe.h"
#include "cuda/launch.cuh"

namespace dehvf::cuda {

/// kernel(in, out) on so many threads, in one warp unless it says otherwise.
template <auto kKernel, unsigned kThreads = 32, unsigned kBlocks = 1, unsigned kCluster = 1>
void start_probe(const Tensor& in, const Tensor& out) {
  const auto* const registers = static_cast<const uint32_t*>(in.raw());
  launch({"ptx_probe", {.cluster = kCluster}}, dim3(kBlocks), dim3(kThreads), 0, current_stream(in.device()),
         kKernel, registers, static_cast<uint32_t*>(out.raw()));
}

}  // namespace dehvf::cuda
