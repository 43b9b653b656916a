#include "cli/machine.h"

#include <filesystem>

#include "bench/train_step.h"
#include "core/error.h"
#include "core/io/file.h"

namespace dehvf::cli {

MachineRates machine_named(const std::string& name) {
  if (name == "h200") return {.flops = 790e12, .bytes = 4.3e12, .launch = 2.2e-6};
  require<ConfigError>(std::filesystem::exists(name),
                       "machine: wanted h200 or a JSON file of `dehvf bench kernels --out`, found '",
                       printable(name), "'");
  const Json rates = read_json(name).value("rates", Json::object());
  require<ConfigError>(rates.contains("copy_gb_s"), name,
                       ": has no rates; wanted a file of `dehvf bench kernels --out`");
  return floor_rates(rates);
}

}  // namespace dehvf::cli
