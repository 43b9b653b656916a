#include <sanitizer/tsan_interface.h>

#include "cuda/emulator/sanitizer.h"

// Calls that the compiler puts into instrumented code.
extern "C" {
void __tsan_func_entry(void* code);
void __tsan_func_exit();
void __tsan_read_range(void* data, unsigned long bytes);
void __tsan_write_range(void* data, unsigned long bytes);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}

namespace dehvf::simt::sanitizer {
namespace {
constexpr unsigned kNoSynchronisation = 1;  // a switch orders nothing: only barriers do
}

std::string_view name() { return "thread"; }
bool sees_races() { return true; }
// An actor begins again as who it was: whoever begins comes after those who were it before.
void open(Context& fiber) {
  if (!fiber.tsan) fiber.tsan = __tsan_create_fiber(0);
}
void here(Context& host) { host.tsan = __tsan_get_current_fiber(); }
void leave(Context&, const Context& to, bool) { __tsan_switch_to_fiber(to.tsan, kNoSynchronisation); }
void arrive(Context&, Context&) {}
void release(void* token) { __tsan_release(token); }
void acquire(void* token) { __tsan_acquire(token); }

void forward(Context& agent, std::span<void* const> from, void* to) {
  void* const thread = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(agent.tsan, kNoSynchronisation);
  for (void* token : from) __tsan_acquire(token);
  __tsan_release(to);
  __tsan_switch_to_fiber(thread, kNoSynchronisation);
}

Unseen::Unseen() { AnnotateIgnoreWritesBegin(__FILE__, __LINE__); }
Unseen::~Unseen() { AnnotateIgnoreWritesEnd(__FILE__, __LINE__); }

void touch(Context& agent, std::span<const Touch> touches, const void* code, void* token) {
  void* const thread = __tsan_get_current_fiber();
  open(agent);
  __tsan_release(&agent);
  __tsan_switch_to_fiber(agent.tsan, kNoSynchronisation);
  __tsan_acquire(&agent);
  __tsan_func_entry(const_cast<void*>(code));
  for (const Touch& touch : touches)
    touch.written ? __tsan_write_range(touch.data, touch.bytes) : __tsan_read_range(touch.data, touch.bytes);
  __tsan_func_exit();
  __tsan_release(token);
  __tsan_switch_to_fiber(thread, kNoSynchronisation);
}

void dismiss(Context& actor) {
  if (actor.tsan) __tsan_destroy_fiber(actor.tsan);
  actor.tsan = nullptr;
}

void poison(const void*, size_t) {}
void unpoison(const void*, size_t) {}

}  // namespace dehvf::simt::sanitizer
