// What a stream of the emulated device records while a graph is captured: work is done later, in this order.
#pragma once

#include <functional>
#include <vector>

#include "core/backend.h"

namespace dehvf::simt {

using Work = std::vector<std::function<void()>>;

/// What Stream::handle points to, for streams that the emulated device made.
struct StreamState {
  Work* recorded = nullptr;  // null: work is done at once
};

/// Does the work now or, where the stream records, leaves it to the graph. It must own what it reads.
template <class Fn>
void queue(const Stream& stream, Fn work) {
  auto* const state = static_cast<StreamState*>(stream.handle);
  if (state && state->recorded)
    state->recorded->push_back(std::move(work));
  else
    work();
}

}  // namespace dehvf::simt
