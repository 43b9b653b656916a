#include "bench/train_step.h"

#include <algorithm>
#include <fstream>

#include "bench/kernel_bench.h"
#include "bench/random_model.h"
#include "bench/range_clock.h"
#include "core/device_report.h"
#include "core/io/file.h"
#include "train/memory_report.h"

namespace dehvf {
namespace {

constexpr int kWarm = 3, kRounds = 15, kClocked = 5;
constexpr double kMargin = 1.1;  // for workspaces

// What the host says it can give without swapping.
int64_t free_host_bytes() {
  std::ifstream file("/proc/meminfo");  // without a size, which read_file() goes by
  int64_t kib = 0;
  for (std::string word; file >> word;)
    if (word == "MemAvailable:" && file >> kib) return kib << 10;
  fail<IoError>("/proc/meminfo: no MemAvailable");
}

Json row(const std::string& slot, const std::string& shape, std::vector<double> seconds) {
  std::ranges::sort(seconds);
  return {{"slot", slot},
          {"variant", ""},
          {"shape", shape},
          {"rounds", seconds.size()},
          {"us", 1e6 * seconds[seconds.size() / 2]},
          {"low_us", 1e6 * seconds.front()},
          {"high_us", 1e6 * seconds.back()}};
}

class TrainStep {
 public:
  TrainStep(const StepShape& shape, FusedModel& model, Device device) : device_(device) {
    fill_frozen(model.llama(), DType::bf16, device);
    fill_frozen(model.tower(), DType::bf16, device);
    initialise(model, 1);
    model.move_to(device);
    step_.emplace(model, shape.size, DType::bf16);
  }

  std::vector<double> time(int steps) {
    std::vector<double> seconds;
    for (int i = 0; i < steps; ++i) {
      const StepReport report = step_->step();
      loss_ = report.loss;
      seconds.push_back(report.seconds);
    }
    return seconds;
  }
  double loss() const { return loss_; }

  // Seconds in the kernels of each pass, and of its parts; a value a step. Replayed work has no parts.
  std::map<std::string, std::vector<double>> time_parts(int steps) {
    step_->trainer().use_graphs(false);
    std::map<std::string, std::vector<double>> sums;
    const auto add = [&](const std::string& what, int step, double seconds) {
      sums[what].resize(size_t(steps));
      sums[what][size_t(step)] += seconds;
    };
    for (int i = 0; i < steps; ++i) {
      const RangeClock clock(device_);
      time(1);
      for (const auto& [place, seconds] : clock.seconds()) {
        const std::string pass = pass_of(place);
        add(pass, i, seconds);
        if (pass != "optimizer") add(concat(pass, ' ', part_of(place)), i, seconds);
      }
    }
    return sums;
  }

 private:
  static std::string pass_of(const std::string& place) { return place.substr(0, place.find(" > ")); }

  Device device_;
  std::optional<RandomStep> step_;
  double loss_ = 0;
};

void set_floor(Json& row, double seconds) {
  row["floor_us"] = 1e6 * seconds;
  row["of_floor"] = 1e6 * seconds / row["us"].get<double>();
}

// Adds the floors of the planned step to the result's rows and to the result.
void add_floors(Json& result, const PlannedWork& planned, const StepSize& size) {
  const MachineRates rates = floor_rates(result["rates"]);
  std::map<std::string, double> of_part;
  for (const Trace::Call& call : planned.calls) {
    const double seconds = floor_seconds({&call, 1}, rates);
    if (seconds == 0) continue;
    const std::string pass = call.place.substr(0, call.place.find(" > "));
    of_part[concat("step ", pass)] += seconds;
    of_part[concat("step ", pass, ' ', part_of(call.place, call.kernel))] += seconds;
  }
  for (Json& row : result["step"])
    if (const auto found = of_part.find(row["slot"].get<std::string>()); found != of_part.end())
      set_floor(row, found->second);
  Json& whole = result["step"][0];
  set_floor(whole, floor_seconds(planned.calls, rates));
  whole["tflop_s"] = 1e-6 * planned.flops() / whole["us"].get<double>();
  result["tokens_per_s"] = 1e6 * double(size.samples * size.length) / whole["us"].get<double>();
}

}  // namespace

int64_t free_bytes(Device device) {
  return device.kind == DeviceKind::cuda ? cuda_free_bytes(device.index) : free_host_bytes();
}

MachineRates floor_rates(const Json& rates) {
  double product = 0;
  for (const auto& [name, value] : rates.items())
    if (name.starts_with("product_")) product = std::max(product, value.get<double>());
  return {.flops = 1e12 * product,
          .bytes = 1e9 * rates["copy_gb_s"].get<double>(),
          .launch = 1e-6 * rates.value("launch_us", 0.0)};
}

StepShape step_shape(const std::string& name) {
  if (name == "7b") return {.llama = llama_7b(), .tower = clip_l14()};
  if (name == "13b") return {.llama = llama_13b(), .tower = clip_l14()};
  require<ConfigError>(name == "tiny", "shape: wanted 7b, 13b or tiny, found '", printable(name), "'");
  StepShape tiny{.tower = {.width = 64, .mlp = 128, .layers = 4, .heads = 2, .patch = 8, .image = 16},
                 .size = {.samples = 2, .length = 32, .supervised = 8}};
  tiny.llama.vocab = 160, tiny.llama.width = 64, tiny.llama.ffn = 176;
  tiny.llama.layers = 3, tiny.llama.heads = tiny.llama.kv_heads = 2;
  tiny.llama.head_dim = 32, tiny.llama.context = 64;
  return tiny;
}

Json bench_train_step(const TrainStepOptions& options,
                      const std::function<void(const std::string&)>& progress) {
  StepShape shape = step_shape(options.shape);
  StepSize& size = shape.size;
  if (options.samples > 0) size.samples = options.samples;
  if (options.length > 0) size.length = options.length;
  if (options.supervised > 0) size.supervised = options.supervised;
  require<ConfigError>(size.length <= shape.llama.context && size.supervised < size.length,
                       "step: wanted more than ", size.supervised, " and at most ", shape.llama.context,
                       " tokens a sample, found ", size.length);
  const bool quick = options.shape == "tiny";
  const FusedModelOptions fusion{.fusion = "dehvf", .tower_adapters = true};
  const PlannedWork planned = PlannedModel(shape.llama, shape.tower, fusion, DType::bf16).train_step(size);
  const double needed = kMargin * double(planned.bytes()), there = double(free_bytes(options.device));
  require<OutOfMemory>(needed <= there, "step: ", options.shape, ", ", size.samples, " x ", size.length,
                       " tokens, needs about ", 1e-9 * needed, " GB, ", options.device, " has ", 1e-9 * there,
                       " GB free");
  FusedModel model(shape.llama, shape.tower, fusion);
  const std::string name =
      concat(options.shape, ' ', size.samples, 'x', size.length, " labelled ", size.supervised, " bf16");
  Json result{{"version", 1},
              {"what", "step"},
              {"device", concat(options.device)},
              {"shape", name},
              {"step", Json::array()}};
  {
    progress("weights");
    TrainStep step(shape, model, options.device);
    progress("steps");
    step.time(quick ? 1 : kWarm);
    result["step"].push_back(row("step", name, step.time(quick ? 1 : kRounds)));
    MemoryLedger& memory = backend(options.device).memory();
    result["memory"] = by_purpose(memory.at_peak());
    result["peak_bytes"] = backend(options.device).peak_bytes();
    progress("steps, every kernel waited for");
    for (auto& [part, seconds] : step.time_parts(quick ? 1 : kClocked))
      result["step"].push_back(row("step " + part, name, seconds));
    result["loss"] = step.loss();
  }
  progress("rates of the machine");
  result["rates"] = machine_rates(Workbench(options.device, quick));
  result["planned"] = by_purpose(planned.memory);
  add_floors(result, planned, size);
  if (!options.out.empty()) write_json(options.out, result);
  return result;
}

}  // namespace dehvf
