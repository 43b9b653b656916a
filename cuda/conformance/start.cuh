// How the probes start.
#pragma once

#include "cuda/conformance/probe.h"
#include "cuda/launch.cuh"

namespace dehvf::cuda {

/// kernel(in, out) on one warp.
template <auto kKernel>
void start_probe(const Tensor& in, const Tensor& out) {
  const auto* const registers = static_cast<const uint32_t*>(in.raw());
  launch({"ptx_probe"}, dim3(1), dim3(32), 0, current_stream(in.device()), kKernel, registers,
         static_cast<uint32_t*>(out.raw()));
}

}  // namespace dehvf::cuda
