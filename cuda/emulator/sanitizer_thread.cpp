#include <sanitizer/tsan_interface.h>
#include <sys/mman.h>

#include "cuda/emulator/sanitizer.h"

namespace dehvf::simt::sanitizer {
namespace {
constexpr unsigned kNoSynchronisation = 1;  // a switch orders nothing: only barriers do
}

std::string_view name() { return "thread"; }
// A new mapping, so that what the last thread did on this stack is forgotten without ordering the two.
void open(Context& fiber) {
  mmap(const_cast<void*>(fiber.bottom), fiber.size, PROT_READ | PROT_WRITE,
       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  fiber.tsan = __tsan_create_fiber(0);
}
void close(Context& fiber) { __tsan_destroy_fiber(fiber.tsan); }
void here(Context& host) { host.tsan = __tsan_get_current_fiber(); }
void leave(Context&, const Context& to, bool) { __tsan_switch_to_fiber(to.tsan, kNoSynchronisation); }
void arrive(Context&, Context&) {}
void release(void* token) { __tsan_release(token); }
void acquire(void* token) { __tsan_acquire(token); }
void poison(const void*, size_t) {}
void unpoison(const void*, size_t) {}

}  // namespace dehvf::simt::sanitizer
