// What the sanitizers are told about fibers, synchronisation and gaps between allocations. Exactly one of
// sanitizer_none.cpp, sanitizer_address.cpp and sanitizer_thread.cpp is built.
#pragma once

#include <cstddef>
#include <string_view>

namespace dehvf::simt::sanitizer {

/// A stack as the sanitizers know it: of a fiber, or of the thread that resumes fibers.
struct Context {
  void* tsan = nullptr;
  void* fake = nullptr;
  const void* bottom = nullptr;
  size_t size = 0;
};

std::string_view name();  // "none", "address" or "thread"

void open(Context& fiber);   // a fiber begins on the stack [bottom, bottom + size)
void close(Context& fiber);  // it has ended and is not the running one
void here(Context& host);    // `host` is the running stack
void leave(Context& from, const Context& to, bool forever);  // directly before a switch
void arrive(Context& self, Context& from);                   // directly behind it

// What happened before a release of a token is seen by those who acquire it later.
void release(void* token);
void acquire(void* token);

void poison(const void* data, size_t bytes);
void unpoison(const void* data, size_t bytes);

}  // namespace dehvf::simt::sanitizer
