#include "cuda/emulator/async.h"

#include "cuda/emulator/bytes.h"
#include "cuda/emulator/grid_state.h"

namespace dehvf::simt {

// A grid that fails ends its work unwaited for; what follows it comes after that too.
Batch::~Batch() {
  sanitizer::acquire(&token_);
  sanitizer::dismiss(agent_);
}

void Batch::start(const Site& site, std::span<const Touch> touches, const void* code,
                  std::function<void()> work, sanitizer::Context* agent) {
  if (!first_) first_ = site;
  sanitizer::touch(agent ? *agent : agent_, touches, code, &token_);
  if (current().grid->delivery == Delivery::eager) return work();
  for (const Touch& touch : touches)
    if (touch.written) fill_bytes(touch.data, kUnset, touch.bytes);
  left_.push_back(std::move(work));
}

void Batch::arrive() {
  for (const auto& work : left_) work();
  left_.clear();
  first_.reset();
  sanitizer::acquire(&token_);
}

void demand_shared(const Site& site, const void* data, size_t bytes, size_t alignment) {
  const Thread& thread = current();
  if (!thread.block->arena.holds(data, bytes))
    fault(thread, concat(site, ": ", bytes, " bytes that are not in the block's shared memory, ", thread));
  if (reinterpret_cast<uintptr_t>(data) % alignment != 0)
    fault(thread,
          concat(site, ": an address in shared memory that is not a multiple of ", alignment, ", ", thread));
}

}  // namespace dehvf::simt
