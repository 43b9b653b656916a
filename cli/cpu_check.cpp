// Names a CPU that is too old before any instruction of the build's level runs: this file is compiled for the
// oldest one, and its constructor comes before all others.
#if defined(__x86_64__)
#include <unistd.h>

namespace {

__attribute__((constructor(101))) void check_cpu() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
    return;
  constexpr char kText[] =
      "dehvf: this CPU is older than x86-64-v3 (wanted AVX2, FMA, BMI2); configure with "
      "-DDEHVF_MARCH=-march=native\n";
  if (::write(2, kText, sizeof kText - 1) < 0) _exit(3);
  _exit(2);
}

}  // namespace
#endif
