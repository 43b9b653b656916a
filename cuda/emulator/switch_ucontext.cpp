#include <new>

#include <ucontext.h>

#include "cuda/emulator/switch.h"

namespace dehvf::simt {

void* prepared_stack(void* bottom, size_t bytes, void (*entry)()) {
  constexpr size_t kHead = (sizeof(ucontext_t) + 63) / 64 * 64;  // the context stands in front of its stack
  auto* const context = new (bottom) ucontext_t;
  getcontext(context);
  context->uc_stack.ss_sp = static_cast<char*>(bottom) + kHead;
  context->uc_stack.ss_size = bytes - kHead;
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
  return context;
}

void switch_stack(void** saved, void* to) {
  ucontext_t here;
  *saved = &here;
  swapcontext(&here, static_cast<ucontext_t*>(to));
}

}  // namespace dehvf::simt
