#include <sanitizer/tsan_interface.h>

#include "cuda/emulator/sanitizer.h"

namespace dehvf::simt::sanitizer {
namespace {
constexpr unsigned kNoSynchronisation = 1;  // a switch orders nothing: only barriers do
}

std::string_view name() { return "thread"; }
void open(Context& fiber) { fiber.tsan = __tsan_create_fiber(0); }
void close(Context& fiber) { __tsan_destroy_fiber(fiber.tsan); }
void here(Context& host) { host.tsan = __tsan_get_current_fiber(); }
void leave(Context&, const Context& to, bool) { __tsan_switch_to_fiber(to.tsan, kNoSynchronisation); }
void arrive(Context&, Context&) {}
void release(void* token) { __tsan_release(token); }
void acquire(void* token) { __tsan_acquire(token); }
void poison(const void*, size_t) {}
void unpoison(const void*, size_t) {}

}  // namespace dehvf::simt::sanitizer
