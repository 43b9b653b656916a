// A torch checkpoint of any bytes is refused by an IoError, or every one of its tensors can be loaded or is
// refused.
#include <cstdlib>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

#include "core/backend.h"
#include "models/torch_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static dehvf::Runtime runtime;
  const int file = ::memfd_create("input", MFD_CLOEXEC);
  if (file < 0 || ::write(file, data, size) != ssize_t(size)) std::abort();
  try {
    const dehvf::TorchFile torch("/proc/self/fd/" + std::to_string(file));
    for (const auto& name : torch.names()) torch.load(name);
  } catch (const dehvf::IoError&) {
  }
  ::close(file);
  return 0;
}
