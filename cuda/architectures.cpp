#include "cuda/architectures.h"

#include <charconv>
#include <sstream>

#include "core/error.h"

namespace dehvf::cuda {
namespace {

struct Architecture {
  int number = 0;  // 80 is 8.0
  char suffix = 0;
  bool machine_code = true, ptx = true;
};

// False for a word that is no number: native, all, all-major.
bool parse(const std::string& word, Architecture& found) {
  const char* const end = word.data() + word.size();
  const auto [behind, error] = std::from_chars(word.data(), end, found.number);
  if (error != std::errc{}) return false;
  std::string_view rest(behind, size_t(end - behind));
  if (!rest.empty() && (rest[0] == 'a' || rest[0] == 'f')) {
    found.suffix = rest[0];
    rest.remove_prefix(1);
  }
  if (rest == "-real") found.ptx = false;
  if (rest == "-virtual") found.machine_code = false;
  return true;
}

bool code_runs(const Architecture& built, int gpu) {
  if (built.suffix == 'a') return built.number == gpu;
  return built.number / 10 == gpu / 10 && built.number <= gpu;
}

bool ptx_runs(const Architecture& built, int gpu) {
  return built.suffix ? code_runs(built, gpu) : built.number <= gpu;
}

}  // namespace

std::string cuda_version(int number) {
  return number == 0 ? "none" : concat(number / 1000, '.', number % 1000 / 10);
}

std::string unsuited(const GpuFacts& gpu, const BuildFacts& build) {
  const int number = gpu.major * 10 + gpu.minor;
  const std::string found = concat("compute ", gpu.major, '.', gpu.minor),
                    rebuild = concat("configure with -DCMAKE_CUDA_ARCHITECTURES=", number);
  const std::string old_driver = concat("the driver knows CUDA ", cuda_version(gpu.driver),
                                        ", the build is of ", cuda_version(build.toolkit));
  if (gpu.driver / 1000 < build.toolkit / 1000)
    return concat(old_driver, ": update the driver, or build with a toolkit of its version");
  bool by_ptx = false;
  std::istringstream words{std::string(build.architectures)};
  for (std::string word; words >> word;) {
    Architecture built;
    if (!parse(word, built) || (built.machine_code && code_runs(built, number))) return {};
    by_ptx = by_ptx || (built.ptx && ptx_runs(built, number));
  }
  if (!by_ptx)
    return concat(found, " runs none of this build's kernels (", build.architectures, "): ", rebuild);
  if (gpu.driver >= build.toolkit) return {};
  return concat(found, " has only PTX in this build (", build.architectures, ") and ", old_driver,
                ": update the driver, or ", rebuild);
}

}  // namespace dehvf::cuda
