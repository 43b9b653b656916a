// dehvf plan: what a run would take, before anything is loaded.
#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "cli/command.h"
#include "cli/machine.h"
#include "cli/planned_run.h"
#include "cli/run_options.h"
#include "core/io/json.h"
#include "train/memory_report.h"

namespace dehvf::cli {
namespace {

struct Options {
  RunOptions run;
  std::string machine = "h200";
  int64_t length = 256, supervised = 8;
  bool kernels = false;
};

// Those of the same name and part as one, the longest first.
Json kernels_of(const PlannedWork& work, const MachineRates& rates) {
  struct Kernel {
    int64_t calls = 0, launches = 0;
    double flops = 0, bytes = 0, seconds = 0;
  };
  std::map<std::pair<std::string, std::string>, Kernel> kernels;
  for (const Trace::Call& call : work.calls) {
    Kernel& kernel = kernels[{std::string(part_of(call.place, call.kernel)), std::string(call.kernel)}];
    kernel.calls += 1, kernel.launches += call.launches;
    kernel.flops += call.flops, kernel.bytes += call.bytes;
    kernel.seconds += forecast_seconds(std::span(&call, 1), rates);
  }
  std::vector<Json> rows;
  for (const auto& [key, kernel] : kernels)
    rows.push_back({{"part", key.first},
                    {"kernel", key.second},
                    {"calls", kernel.calls},
                    {"launches", kernel.launches},
                    {"flops", kernel.flops},
                    {"bytes", kernel.bytes},
                    {"forecast_s", kernel.seconds}});
  std::ranges::stable_sort(rows, std::greater(),
                           [](const Json& row) { return row["forecast_s"].get<double>(); });
  return rows;
}

void print_kernels(const Json& kernels) {
  std::printf("the training step's kernels:\n  %-12s %-26s %8s %8s %10s %10s %10s\n", "part", "kernel",
              "calls", "launches", "TFLOP", "GB", "ms");
  for (const Json& kernel : kernels)
    std::printf("  %-12s %-26s %8lld %8lld %10.4f %10.3f %10.3f\n", kernel["part"].get<std::string>().c_str(),
                kernel["kernel"].get<std::string>().c_str(), kernel["calls"].get<long long>(),
                kernel["launches"].get<long long>(), 1e-12 * kernel["flops"].get<double>(),
                1e-9 * kernel["bytes"].get<double>(), 1e3 * kernel["forecast_s"].get<double>());
}

int64_t frozen_in(FusedModel& model) {
  std::set<const Parameter*> trained;
  for (const auto& [path, parameter] : parameters_of(model)) trained.insert(parameter);
  int64_t count = 0;
  for (Module* part : {static_cast<Module*>(&model.llama()), static_cast<Module*>(&model.tower())})
    for (const auto& [path, parameter] : parameters_of(*part))
      if (!trained.contains(parameter)) count += parameter->shape().count();
  return count;
}

Json work_of(const PlannedWork& work, const MachineRates& rates) {
  return {{"flops", work.flops()},
          {"kernels", work.calls.size()},
          {"floor_s", floor_seconds(work.calls, rates)},
          {"forecast_s", forecast_seconds(work.calls, rates)},
          {"memory", by_purpose(work.memory)},
          {"bytes", work.bytes()}};
}

Json plan(const Options& options) {
  const RunConfig config = options.run.read();
  require<ConfigError>(!config.model.empty(),
                       "plan: 'model' is missing; wanted a folder or llama-7b, llama-13b");
  require<ConfigError>(options.supervised < options.length, "plan: of ", options.length, " tokens not ",
                       options.supervised, " can be labelled");
  const MachineRates rates = machine_named(options.machine);
  PlannedModel planned = planned_model(config);
  const CostReport cost = planned.model().cost();
  const int64_t samples = config.batches.micro_batch;
  Json result{
      {"trained", cost.live},          {"published", cost.published}, {"frozen", frozen_in(planned.model())},
      {"dtype", concat(config.dtype)}, {"samples", samples},          {"length", options.length},
      {"machine", options.machine}};
  PlannedWork most;
  const auto tell = [&](const char* phase, const PlannedWork& work) {
    result[phase] = work_of(work, rates);
    if (work.bytes() > most.bytes()) most = work;
  };
  if (!parameters_of(planned.model()).empty()) {
    const PlannedWork step = planned.train_step({.samples = samples,
                                                 .length = options.length,
                                                 .supervised = options.supervised,
                                                 .mode = config.batches.mode});
    tell("train", step);
    if (options.kernels) result["train"]["by_kernel"] = kernels_of(step, rates);
  }
  const PlannedModel::Inference inference = planned.inference(samples, options.length);
  tell("images", inference.images);
  tell("first_token", inference.first_token);
  tell("next_token", inference.next_token);
  const Device device = chosen_device(config.device);
  const int64_t there = memory_of(device);
  result["device"] = {
      {"name", concat(device)}, {"bytes", there}, {"shortage", shortage(most, device, there)}};
  return result;
}

void print(const Json& result) {
  const auto millions = [&](const char* key) { return 1e-6 * result[key].get<double>(); };
  std::printf("%.3f M trained (%.3f M as published), %.1f M frozen in %s\n", millions("trained"),
              millions("published"), millions("frozen"), result["dtype"].get<std::string>().c_str());
  std::printf("%lld texts of %lld tokens, forecast for %s:\n", result["samples"].get<long long>(),
              result["length"].get<long long>(), result["machine"].get<std::string>().c_str());
  for (const auto& [key, title] : {std::pair("train", "training step"),
                                   {"images", "pictures"},
                                   {"first_token", "first token"},
                                   {"next_token", "one more token"}}) {
    if (!result.contains(key)) continue;
    const Json& work = result[key];
    std::printf("  %-15s %10.4f TFLOP %8zu kernels %10.3f ms (at least %.3f)  %8.2f GB:", title,
                1e-12 * work["flops"].get<double>(), work["kernels"].get<size_t>(),
                1e3 * work["forecast_s"].get<double>(), 1e3 * work["floor_s"].get<double>(),
                1e-9 * work["bytes"].get<double>());
    for (const auto& [purpose, bytes] : work["memory"].items())
      if (bytes > 0) std::printf(" %s %.2f", purpose.c_str(), 1e-9 * bytes.get<double>());
    std::printf("\n");
  }
  if (result.contains("train") && result["train"].contains("by_kernel"))
    print_kernels(result["train"]["by_kernel"]);
  const Json& device = result["device"];
  const std::string lacking = device["shortage"];
  if (lacking.empty())
    std::printf("%s has %.1f GB: it fits, without workspaces\n", device["name"].get<std::string>().c_str(),
                1e-9 * device["bytes"].get<double>());
  else
    std::printf("%s\n", lacking.c_str());
}

}  // namespace

void add_plan(CLI::App& program, Action& chosen) {
  auto* command = program.add_subcommand(
      "plan",
      "what a run would take, before anything is loaded: parameters, FLOPs, memory, time\n"
      "example: dehvf plan --config configs/papers/dehvf-7b.yaml train.micro_batch=16 --length 512");
  auto options = std::make_shared<Options>();
  options->run.add_to(command);
  command->add_option("--length", options->length, "tokens of a text")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--supervised", options->supervised, "labelled tokens of a text")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--machine", options->machine, kMachineHelp)->capture_default_str();
  command->add_flag("--kernels", options->kernels, "also what each kernel of the training step takes");
  command->callback([&chosen, options] {
    chosen = [options] {
      const Json result = plan(*options);
      if (options->run.json)
        std::printf("%s\n", result.dump().c_str());
      else
        print(result);
    };
  });
}

}  // namespace dehvf::cli
