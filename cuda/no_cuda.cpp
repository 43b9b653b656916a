// Stands in for the CUDA device where no toolkit was found: nothing is provided, and the reason can be asked
// for.
#include "core/device_report.h"

namespace dehvf {

bool built_with_cuda() { return false; }

std::string cuda_report() {
  return "built without CUDA; configure with -DDEHVF_CUDA=ON where a toolkit is installed";
}

std::string cuda_refusal() { return {}; }

int64_t cuda_free_bytes(int) { return 0; }
size_t cuda_memory(int) { return 0; }
std::string cuda_bus_id(int) { return {}; }

}  // namespace dehvf
