// A piece of the graph as one node: the only place that may use leased weights. It keeps what backward needs,
// or only its inputs and runs the body again; either way the lease is held until the inner walk has ended.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "autograd/tape.h"

namespace dehvf {

enum class Pass : uint8_t { forward, backward };
enum class SegmentMode : uint8_t { keep, recompute };

/// Holds a block's frozen weights on the device; released when destroyed. Empty where weights are resident.
using Lease = std::shared_ptr<const void>;
using Acquire = std::function<Lease(Pass)>;

/// body(inputs) must be a pure function of its inputs, frozen weights and constants: every trainable
/// parameter that it uses has to be among `inputs`.
Variable segment(std::string_view name, const Acquire& acquire,
                 std::function<Variable(std::span<const Variable>)> body, std::vector<Variable> inputs,
                 SegmentMode mode);

}  // namespace dehvf
