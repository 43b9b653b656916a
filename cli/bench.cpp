// dehvf bench: how fast the kernels of a device are, and what changed between two such results.
#include <cstdio>

#include "bench/diff.h"
#include "bench/kernel_bench.h"
#include "cli/command.h"
#include "core/backend.h"

namespace dehvf::cli {
namespace {

void print_rates(const Json& rates) {
  for (const auto& [name, value] : rates.items())
    std::printf("%-28s %10.4g\n", name.c_str(), value.get<double>());
}

void print_kernels(const Json& rows) {
  std::printf("\n%-22s %-9s %-44s %11s %9s %9s %8s\n", "kernel", "variant", "shape", "us", "GB/s", "TFLOP/s",
              "of copy");
  for (const Json& row : rows) {
    const std::string slot = row["slot"], shape = row["shape"];
    if (row.contains("failed")) {
      std::printf("%-22s %-9s %-44s failed: %s\n", slot.c_str(), "", shape.c_str(),
                  row["failed"].get<std::string>().c_str());
      continue;
    }
    const std::string variant = row["variant"];
    std::printf("%-22s %-9s %-44s %11.1f %9.1f %9.2f %8.3f\n", slot.c_str(),
                variant.empty() ? "-" : variant.c_str(), shape.c_str(), row["us"].get<double>(),
                row["gb_s"].get<double>(), row["tflop_s"].get<double>(), row["of_copy"].get<double>());
  }
}

void add_kernels(CLI::App& bench, Action& chosen) {
  auto* command = bench.add_subcommand("kernels",
                                       "every variant of every kernel in turns\nexample: dehvf bench kernels "
                                       "--device cuda:0 --out kernels.json");
  struct Options {
    std::string device = "auto";
    KernelBenchOptions bench;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  command->add_option("--device", options->device, "auto, cpu, cuda:N or emulator")->capture_default_str();
  command->add_flag("--quick", options->bench.quick, "sizes and rounds that only prove that the bench runs");
  command->add_option("--filter", options->bench.filter, "part of a kernel's name");
  command->add_option("--out", options->bench.out, "JSON file, rewritten after every kernel");
  command->add_flag("--json", options->json, "one JSON object on one line");
  command->callback([&chosen, options] {
    chosen = [options] {
      options->bench.device = chosen_device(options->device);
      const Json result = bench_kernels(
          options->bench, [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); });
      if (options->json) {
        std::printf("%s\n", result.dump().c_str());
        return;
      }
      print_rates(result["rates"]);
      print_kernels(result["kernels"]);
    };
  });
}

void add_diff(CLI::App& bench, Action& chosen) {
  auto* command = bench.add_subcommand(
      "diff", "compares two results of `bench kernels`\nexample: dehvf bench diff before.json after.json");
  struct Options {
    std::string before, after;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  command->add_option("before", options->before)->required();
  command->add_option("after", options->after)->required();
  command->add_flag("--json", options->json, "one JSON object on one line");
  command->callback([&chosen, options] {
    chosen = [options] {
      constexpr const char* kVerdicts[] = {"", "faster", "slower"};
      Json rows = Json::array();
      for (const BenchChange& change : bench_diff(read_json(options->before), read_json(options->after))) {
        const double ratio = change.before / change.after;
        rows.push_back(
            {{"kernel", change.what},
             {"before_us", change.before},
             {"after_us", change.after},
             {"ratio", ratio},
             {"verdict", change.verdict == BenchChange::same ? "same" : kVerdicts[change.verdict]}});
        if (!options->json)
          std::printf("%-72s %11.1f %11.1f %7.3f %s\n", change.what.c_str(), change.before, change.after,
                      ratio, kVerdicts[change.verdict]);
      }
      if (options->json) std::printf("%s\n", Json{{"rows", rows}}.dump().c_str());
    };
  });
}

}  // namespace

void add_bench(CLI::App& program, Action& chosen) {
  auto* command = program.add_subcommand("bench", "measures kernels, compares measurements");
  command->require_subcommand(1);
  add_kernels(*command, chosen);
  add_diff(*command, chosen);
}

}  // namespace dehvf::cli
