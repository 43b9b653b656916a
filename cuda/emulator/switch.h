// Changing stacks: switch_x86_64.cpp where it fits, because it is ten times faster than the system's
// ucontext, which makes two system calls a switch; switch_ucontext.cpp everywhere else.
#pragma once

#include <cstddef>

namespace dehvf::simt {

/// What a first switch to the stack [bottom, bottom + bytes) needs, so that it begins with `entry`, which
/// never returns.
void* prepared_stack(void* bottom, size_t bytes, void (*entry)());

/// Leaves the running stack, so that a switch to what is put into `saved` comes back here, and goes on with
/// `to`, which is used up. The floating-point environment is that of the thread.
void switch_stack(void** saved, void* to);

}  // namespace dehvf::simt
