// dehvf doctor: what was found, what is missing.
#include <array>
#include <cstdio>
#include <thread>

#include "cli/command.h"
#include "cli/plots.h"
#include "core/backend.h"
#include "core/device_report.h"
#include "core/io/json.h"
#include "core/parallel.h"
#include "core/registry.h"

namespace dehvf::cli {

void add_doctor(CLI::App& program, Action& chosen) {
  auto* command =
      program.add_subcommand("doctor", "what this build and machine offer\nexample: dehvf doctor --json");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "one JSON object on one line");
  command->callback([&chosen, json] {
    chosen = [json] {
      std::array<int, 3> kernels{};  // by device kind
      for (const auto& [kernel, key] : kernel_catalog()) ++kernels.at(size_t(key.device));
      const auto [cpu, cuda, emulated] = kernels;
      const std::string refusal = cuda_refusal(),
                        device = refusal.empty() ? concat(chosen_device("auto")) : "none: " + refusal;
      const bool plots = !python_with_matplotlib().empty();
      if (*json) {
        std::printf("%s\n", Json{{"cores", std::thread::hardware_concurrency()},
                                 {"threads", cpu_threads()},
                                 {"cuda", cuda_report()},
                                 {"device", device},
                                 {"kernels", {{"cpu", cpu}, {"cuda", cuda}, {"emulator", emulated}}},
                                 {"matplotlib", plots}}
                                .dump()
                                .c_str());
        return;
      }
      std::printf("CPU      %u cores, %d threads used\n", std::thread::hardware_concurrency(), cpu_threads());
      std::printf("GPU      %s\n", cuda_report().c_str());
      std::printf("device   %s, where none is named\n", device.c_str());
      std::printf("kernels  %d for the CPU, %d for CUDA, %d in the emulator\n", cpu, cuda, emulated);
      std::printf("plots    %s\n", plots ? "matplotlib found"
                                         : "no matplotlib; install it: apt-get install python3-matplotlib");
    };
  });
}

}  // namespace dehvf::cli
