#include "cuda/emulator/fiber.h"

#include <sys/mman.h>

#include "core/error.h"
#include "cuda/emulator/switch.h"

namespace dehvf::simt {
namespace {

constexpr size_t kStack = size_t(128) << 10, kGuard = size_t(64) << 10;  // a page of any machine
thread_local Fiber* beginning = nullptr;                                 // for entry(), which has no argument

}  // namespace

Fiber::Fiber() {
  mapping_ = mmap(nullptr, kGuard + kStack, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  require<DeviceError>(mapping_ != MAP_FAILED, "emulator: no memory for the stack of a thread, ",
                       kGuard + kStack, " bytes wanted");
  mprotect(mapping_, kGuard, PROT_NONE);  // an overflow is a fault, not another thread's stack
  self_.bottom = static_cast<char*>(mapping_) + kGuard;
  self_.size = kStack;
}

Fiber::~Fiber() {
  sanitizer::unpoison(self_.bottom, self_.size);
  munmap(mapping_, kGuard + kStack);
}

void Fiber::start(Body body, void* context) {
  body_ = body;
  context_ = context;
  ended_ = false;
  sanitizer::open(self_);
  saved_ = prepared_stack(static_cast<char*>(mapping_) + kGuard, kStack, entry);
}

void Fiber::resume() {
  beginning = this;
  sanitizer::here(host_);
  sanitizer::leave(host_, self_, false);
  switch_stack(&host_saved_, saved_);
  sanitizer::arrive(host_, self_);
  if (ended_) sanitizer::close(self_);
}

void Fiber::suspend() {
  sanitizer::leave(self_, host_, false);
  switch_stack(&saved_, host_saved_);
  sanitizer::arrive(self_, host_);
}

void Fiber::entry() {
  Fiber& self = *beginning;
  sanitizer::arrive(self.self_, self.host_);
  self.body_(self.context_);
  self.ended_ = true;
  sanitizer::leave(self.self_, self.host_, true);
  switch_stack(&self.saved_, self.host_saved_);
  __builtin_unreachable();
}

}  // namespace dehvf::simt
