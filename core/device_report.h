// What the build and the machine offer beside the CPU, for `dehvf doctor` and error messages.
#pragma once

#include <string>

namespace dehvf {

// Provided by cuda/, or by cuda/no_cuda.cpp where no toolkit was found.
bool built_with_cuda();
std::string cuda_report();  // one line: devices found, or why there are none; never throws for their lack

}  // namespace dehvf
