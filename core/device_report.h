// What the build and the machine offer beside the CPU, for `dehvf doctor` and error messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace dehvf {

// Provided by cuda/, or by cuda/no_cuda.cpp where no toolkit was found.
bool built_with_cuda();
std::string cuda_report();  // one line: devices found, or why there are none; never throws for their lack
/// Why no GPU of this machine is used though another build or driver would do; empty where one is used or
/// none is there. One line: what was found, what to build with.
std::string cuda_refusal();
int64_t cuda_free_bytes(int index);  // of a GPU's memory, for all who use it; 0 where it cannot be asked
size_t cuda_memory(int index);       // that a GPU has in all; 0 where it cannot be asked
std::string cuda_bus_id(int index);  // its PCI address; empty where it cannot be asked

}  // namespace dehvf
