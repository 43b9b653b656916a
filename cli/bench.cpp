// dehvf bench: how fast the kernels of a device are, and what changed between two such results.
#include <cstdio>

#include "bench/diff.h"
#include "bench/kernel_bench.h"
#include "bench/train_step.h"
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
    const std::string slot = row["slot"], shape = row["shape"], variant = row.value("variant", "");
    std::printf("%-22s %-9s %-44s ", slot.c_str(), variant.empty() ? "-" : variant.c_str(), shape.c_str());
    if (row.contains("failed"))
      std::printf("failed: %s\n", row["failed"].get<std::string>().c_str());
    else
      std::printf("%11.1f %9.1f %9.2f %8.3f\n", row["us"].get<double>(), row["gb_s"].get<double>(),
                  row["tflop_s"].get<double>(), row["of_copy"].get<double>());
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

void print_step(const Json& result) {
  std::printf("\n%-32s %11s %11s %9s\n", result["shape"].get<std::string>().c_str(), "ms", "floor, ms",
              "of floor");
  for (const Json& row : result["step"]) {
    std::printf("%-32s %11.3f", row["slot"].get<std::string>().c_str(), 1e-3 * row["us"].get<double>());
    if (row.contains("floor_us"))
      std::printf(" %11.3f %9.3f", 1e-3 * row["floor_us"].get<double>(), row["of_floor"].get<double>());
    std::printf("\n");
  }
  std::printf("\n%.0f tokens/s, %.2f TFLOP/s, %.2f GiB at the peak:", result["tokens_per_s"].get<double>(),
              result["step"][0]["tflop_s"].get<double>(), result["peak_bytes"].get<double>() / (1 << 30));
  for (const auto& [purpose, bytes] : result["memory"].items())
    std::printf(" %s %.2f", purpose.c_str(), bytes.get<double>() / (1 << 30));
  std::printf("\n");
}

void add_step(CLI::App& bench, Action& chosen) {
  auto* command =
      bench.add_subcommand("step",
                           "a whole training step with random weights, beside its floor\nexample: "
                           "dehvf bench step --shape 7b --device cuda:0 --out step.json");
  struct Options {
    std::string device = "auto";
    TrainStepOptions bench;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  TrainStepOptions& step = options->bench;
  command->add_option("--device", options->device, "auto, cpu, cuda:N or emulator")->capture_default_str();
  command->add_option("--shape", step.shape, "7b, 13b, or tiny, which only proves that the bench runs")
      ->capture_default_str();
  command->add_option("--samples", step.samples, "of a step, each with a picture; 4")
      ->check(CLI::PositiveNumber);
  command->add_option("--length", step.length, "tokens of a sample; 512")->check(CLI::PositiveNumber);
  command->add_option("--supervised", step.supervised, "labelled tokens of a sample; 8")
      ->check(CLI::PositiveNumber);
  command->add_option("--out", step.out, "JSON file");
  command->add_flag("--json", options->json, "one JSON object on one line");
  command->callback([&chosen, options] {
    chosen = [options] {
      options->bench.device = chosen_device(options->device);
      const Json result = bench_train_step(
          options->bench, [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); });
      if (options->json) {
        std::printf("%s\n", result.dump().c_str());
        return;
      }
      print_rates(result["rates"]);
      print_step(result);
    };
  });
}

void add_diff(CLI::App& bench, Action& chosen) {
  auto* command = bench.add_subcommand("diff",
                                       "compares two results of `bench kernels` or of `bench step`\nexample: "
                                       "dehvf bench diff before.json after.json");
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
  auto* command =
      program.add_subcommand("bench", "measures kernels and training steps, compares measurements");
  command->require_subcommand(1);
  add_kernels(*command, chosen);
  add_step(*command, chosen);
  add_diff(*command, chosen);
}

}  // namespace dehvf::cli
