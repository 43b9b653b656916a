// What the sanitizers are told about fibers, synchronisation and gaps between allocations. Exactly one of
// sanitizer_none.cpp, sanitizer_address.cpp and sanitizer_thread.cpp is built.
#pragma once

#include <cstddef>
#include <span>
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
bool sees_races();

void open(Context& fiber);  // a fiber begins on the stack [bottom, bottom + size)
void here(Context& host);   // `host` is the running stack
void leave(Context& from, const Context& to, bool forever);  // directly before a switch
void arrive(Context& self, Context& from);                   // directly behind it

// What happened before a release of a token is seen by those who acquire it later.
void release(void* token);
void acquire(void* token);

/// `agent`, which was opened, hands over what was released to `from` to those who acquire `to`, and nothing
/// that the running thread did since.
void forward(Context& agent, std::span<void* const> from, void* to);

/// While it lives, memory that the running thread takes and gives back is not part of a race: the emulator's
/// own, which passes from thread to thread as no kernel sees it.
class Unseen {
 public:
  Unseen();
  ~Unseen();
  Unseen(const Unseen&) = delete;
  Unseen& operator=(const Unseen&) = delete;
};

/// What asynchronous work reads or writes.
struct Touch {
  void* data;
  size_t bytes;
  bool written;
};

/// `agent`, an actor beside the threads that the first touch makes, reads and writes: after what the running
/// thread did so far, before what follows an acquire of `token`. `code` is the place that a report names.
void touch(Context& agent, std::span<const Touch> touches, const void* code, void* token);
void dismiss(Context& actor);  // an agent, or a fiber that has ended

void poison(const void* data, size_t bytes);
void unpoison(const void* data, size_t bytes);

}  // namespace dehvf::simt::sanitizer
