#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

#include "cuda/emulator/sanitizer.h"

namespace dehvf::simt::sanitizer {

std::string_view name() { return "address"; }
bool sees_races() { return false; }
void open(Context& fiber) {
  unpoison(fiber.bottom, fiber.size);
  fiber.fake = nullptr;
}
void here(Context&) {}
void leave(Context& from, const Context& to, bool forever) {
  __sanitizer_start_switch_fiber(forever ? nullptr : &from.fake, to.bottom, to.size);
}
void arrive(Context& self, Context& from) {
  __sanitizer_finish_switch_fiber(self.fake, &from.bottom, &from.size);
}
void release(void*) {}
void acquire(void*) {}
void forward(Context&, std::span<void* const>, void*) {}
Unseen::Unseen() {}
Unseen::~Unseen() {}
void touch(Context&, std::span<const Touch>, const void*, void*) {}
void dismiss(Context&) {}
void poison(const void* data, size_t bytes) { __asan_poison_memory_region(data, bytes); }
void unpoison(const void* data, size_t bytes) { __asan_unpoison_memory_region(data, bytes); }

}  // namespace dehvf::simt::sanitizer
