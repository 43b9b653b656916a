#include "cuda/emulator/fiber.h"

#include <sys/mman.h>

#include "core/error.h"
#include "cuda/emulator/switch.h"

namespace dehvf::simt {
namespace {

constexpr size_t kStack = size_t(128) << 10, kGuard = size_t(64) << 10;  // a page of any machine
thread_local Fiber* beginning = nullptr;                                 // for entry(), which has no argument
thread_local Fiber* left = nullptr;  // by whom the switch was made that brought us here; null: no fiber

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
  sanitizer::dismiss(self_);
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
  left = nullptr;
  sanitizer::here(host_);
  sanitizer::leave(host_, self_, false);
  switch_stack(&host_saved_, saved_);
  sanitizer::Context known;
  sanitizer::arrive(host_, known);
}

void Fiber::suspend() {
  left = this;
  sanitizer::leave(self_, host_, false);
  switch_stack(&saved_, host_saved_);
  arrive();
}

void Fiber::hand_over(Fiber& next) {
  left = this;
  next.host_ = host_;
  next.host_saved_ = host_saved_;
  sanitizer::leave(self_, next.self_, false);
  switch_stack(&saved_, next.saved_);
  arrive();
}

// Only of the host the bounds are not known before.
void Fiber::arrive() {
  sanitizer::Context known;
  sanitizer::arrive(self_, left ? known : host_);
}

void Fiber::entry() {
  Fiber& self = *beginning;
  self.arrive();
  self.body_(self.context_);
  self.ended_ = true;
  left = &self;
  sanitizer::leave(self.self_, self.host_, true);
  switch_stack(&self.saved_, self.host_saved_);
  __builtin_unreachable();
}

}  // namespace dehvf::simt
