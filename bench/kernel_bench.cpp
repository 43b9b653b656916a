// Every variant of every kernel of a device in turns, beside a copy of the same bytes, and the machine's own
// rates.
#include "bench/kernel_bench.h"

#include "core/backend.h"

namespace dehvf {

Json bench_kernels(const KernelBenchOptions& options,
                   const std::function<void(const std::string&)>& progress) {
  const Workbench bench(options.device, options.quick);
  progress("rates of the machine");
  Json result{{"version", 1},
              {"what", "kernels"},
              {"device", concat(options.device)},
              {"rates", machine_rates(bench)},
              {"kernels", Json::array()}};
  const auto save = [&] {
    if (!options.out.empty()) write_json(options.out, result);
  };
  save();
  for (const auto& cases :
       {memory_cases(bench), product_cases(bench), fusion_cases(bench), composed_cases(bench)})
    for (const KernelCase& one : cases) {
      if (one.variants.empty() || one.slot.find(options.filter) == std::string::npos) continue;
      progress(concat(one.slot, ' ', one.shape));
      try {
        for (const Json& row : measure(one, bench)) result["kernels"].push_back(row);
      } catch (const Error& error) {
        result["kernels"].push_back({{"slot", one.slot}, {"shape", one.shape}, {"failed", error.what()}});
      }
      save();
    }
  return result;
}

}  // namespace dehvf
