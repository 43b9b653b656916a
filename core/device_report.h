// What the build and the machine offer beside the CPU, for `dehvf doctor` and error messages.
#pragma once

#include <string>

namespace dehvf {

std::string
cuda_report();  // one line: devices found, or why there are none; provided by cuda/ or cuda/no_cuda.cpp

}  // namespace dehvf
