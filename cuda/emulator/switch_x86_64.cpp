#include <cstdint>

#include "cuda/emulator/switch.h"

extern "C" void dehvf_switch_stack(void** saved, void* to);

// The registers that a call keeps (System V ABI) go onto the stack that is left.
asm(R"(
.text
.globl dehvf_switch_stack
.type dehvf_switch_stack, @function
dehvf_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size dehvf_switch_stack, .-dehvf_switch_stack
)");

namespace dehvf::simt {

void* prepared_stack(void* bottom, size_t bytes, void (*entry)()) {
  constexpr int kKeptRegisters = 6;
  auto* top = reinterpret_cast<uintptr_t*>(static_cast<char*>(bottom) + bytes);
  *--top = 0;  // where entry would return to
  *--top = reinterpret_cast<uintptr_t>(entry);
  for (int i = 0; i < kKeptRegisters; ++i) *--top = 0;
  return top;
}

void switch_stack(void** saved, void* to) { dehvf_switch_stack(saved, to); }

}  // namespace dehvf::simt
