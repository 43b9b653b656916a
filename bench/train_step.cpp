#include "bench/train_step.h"

#include <algorithm>
#include <fstream>

#include "bench/kernel_bench.h"
#include "bench/random_model.h"
#include "bench/range_clock.h"
#include "core/device_report.h"
#include "core/io/file.h"
#include "core/random.h"
#include "train/adapter_task.h"

namespace dehvf {
namespace {

constexpr int kWarm = 3, kRounds = 15, kClocked = 5;
constexpr double kMargin = 1.25;  // for what step_bytes() leaves out

// What the host says it can give without swapping.
int64_t free_host_bytes() {
  std::ifstream file("/proc/meminfo");  // without a size, which read_file() goes by
  int64_t kib = 0;
  for (std::string word; file >> word;)
    if (word == "MemAvailable:" && file >> kib) return kib << 10;
  fail<IoError>("/proc/meminfo: no MemAvailable");
}

int64_t free_bytes(Device device) {
  return device.kind == DeviceKind::cuda ? cuda_free_bytes(device.index) : free_host_bytes();
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

std::vector<Example> examples_of(const StepShape& shape) {
  std::vector<Example> examples;
  Random random(3);
  for (int64_t s = 0; s < shape.samples; ++s) {
    Example example{.image = int32_t(s), .id = s};
    for (int64_t p = 0; p < shape.length; ++p) {
      const auto token = int32_t(random.below(shape.llama.vocab));
      example.tokens.push_back(token);
      example.labels.push_back(p < shape.length - shape.supervised ? kIgnored : token);
    }
    examples.push_back(std::move(example));
  }
  return examples;
}

class TrainStep {
 public:
  TrainStep(const StepShape& shape, FusedModel& model, Device device)
      : model_(model), device_(device), examples_(examples_of(shape)) {
    fill_frozen(model.llama(), DType::bf16, device);
    fill_frozen(model.tower(), DType::bf16, device);
    initialise(model, 1);
    model.move_to(device);
    const int64_t side = shape.tower.image;
    pictures_.emplace(model, random_normal({shape.samples, 3, side, side}, 1, 2), /*cached=*/false);
    task_.emplace(model, model, examples_, &*pictures_,
                  AdapterTask::Options{.batch = shape.samples, .micro_batch = shape.samples});
    trainer_.emplace(
        *task_,
        TrainerOptions{.schedule = {.peak = 1e-4, .steps = 1 << 20}, .clip = 1, .working = DType::bf16});
  }

  std::vector<double> time(int steps) {
    std::vector<double> seconds;
    for (int i = 0; i < steps; ++i) {
      const StepReport report = trainer_->step();
      require<Error>(report.skipped.empty(), "step: the gradient of ", report.skipped, " is not finite");
      loss_ = report.loss;
      seconds.push_back(report.seconds);
    }
    return seconds;
  }
  double loss() const { return loss_; }

  // Seconds in the kernels of each pass, and of its parts; a value a step. Replayed work has no parts.
  std::map<std::string, std::vector<double>> time_parts(int steps) {
    trainer_->use_graphs(false);
    std::map<std::string, std::vector<double>> sums;
    const auto add = [&](const std::string& what, int step, double seconds) {
      sums[what].resize(size_t(steps));
      sums[what][size_t(step)] += seconds;
    };
    for (int i = 0; i < steps; ++i) {
      const RangeClock clock(device_);
      time(1);
      for (const auto& [place, seconds] : clock.seconds()) {
        const std::string pass = place.substr(0, place.find(" > "));
        add(pass, i, seconds);
        if (pass != "optimizer") add(concat(pass, ' ', part_of(place)), i, seconds);
      }
    }
    return sums;
  }

 private:
  FusedModel& model_;
  Device device_;
  std::vector<Example> examples_;
  std::optional<PictureSource> pictures_;
  std::optional<AdapterTask> task_;
  std::optional<Trainer> trainer_;
  double loss_ = 0;
};

// The rates of a run of machine_rates() that the floor is drawn by.
MachineRates floor_rates(const Json& rates) {
  double product = 0;
  for (const auto& [name, value] : rates.items())
    if (name.starts_with("product_")) product = std::max(product, value.get<double>());
  return {.flops = 1e12 * product, .bytes = 1e9 * rates["copy_gb_s"].get<double>()};
}

void set_floor(Json& row, double seconds) {
  row["floor_us"] = 1e6 * seconds;
  row["of_floor"] = 1e6 * seconds / row["us"].get<double>();
}

// Adds the floor to the result's rows and to the result.
void compare(Json& result, const StepShape& shape, const StepAdapter& adapter) {
  double seconds = 0, flops = 0;
  std::map<std::string, double> of_part;
  for (const FloorPart& part : step_floor(shape, adapter, floor_rates(result["rates"]))) {
    of_part[concat("step ", name_of(part.pass), ' ', part.part)] = part.seconds;
    of_part[concat("step ", name_of(part.pass))] += part.seconds;
    seconds += part.seconds;
    flops += part.flops;
  }
  for (Json& row : result["step"])
    if (const auto found = of_part.find(row["slot"].get<std::string>()); found != of_part.end())
      set_floor(row, found->second);
  Json& whole = result["step"][0];
  set_floor(whole, seconds);
  whole["tflop_s"] = 1e-6 * flops / whole["us"].get<double>();
  result["tokens_per_s"] = 1e6 * double(shape.samples * shape.length) / whole["us"].get<double>();
}

Json tables(const MemoryLedger::Table& table) {
  Json json = Json::object();
  for (size_t i = 0; i < table.size(); ++i) json[name_of(Purpose(i))] = table[i];
  return json;
}

}  // namespace

StepShape step_shape(const std::string& name) {
  if (name == "7b") return {.llama = llama_7b(), .tower = clip_l14()};
  if (name == "13b") return {.llama = llama_13b(), .tower = clip_l14()};
  require<ConfigError>(name == "tiny", "shape: wanted 7b, 13b or tiny, found '", printable(name), "'");
  StepShape tiny{.tower = {.width = 64, .mlp = 128, .layers = 4, .heads = 2, .patch = 8, .image = 16},
                 .samples = 2,
                 .length = 12,
                 .supervised = 3};
  tiny.llama.vocab = 160, tiny.llama.width = 64, tiny.llama.ffn = 176;
  tiny.llama.layers = 3, tiny.llama.heads = tiny.llama.kv_heads = 2;
  tiny.llama.head_dim = 32, tiny.llama.context = 64;
  return tiny;
}

int64_t step_bytes(const StepShape& shape, FusedModel& model) {
  const LlamaConfig& llama = shape.llama;
  const ClipConfig& tower = shape.tower;
  const int64_t weights = 2 * (count_elements(model.llama()) + count_elements(model.tower()));
  const int64_t parameters = count_elements(model) * (4 * 4 + 1 + 2);
  // Inputs of norms and attention, its result, gate and up; in the tower the MLP's inside instead.
  const int64_t of_token =
      3 * llama.width + 2 * (llama.heads + llama.kv_heads) * llama.head_dim + 2 * llama.ffn;
  const int64_t of_patch = 6 * tower.width + tower.mlp;
  const int64_t kept =
      2 * shape.samples *
      (shape.length * llama.layers * of_token + (tower.patches() + 1) * tower.layers * of_patch);
  return weights + parameters + kept;
}

std::string_view part_of(std::string_view place) {
  const auto has = [&](std::string_view what) { return place.find(what) != std::string_view::npos; };
  if (has("vit_block")) return "vision";
  if (has("cross_entropy")) return "lm head";
  if (!has("llama_block")) return "operator";
  if (has("visual_rows")) return "visual rows";
  if (has("attention")) return "attention";
  return has("matmul") || has("product") ? "linears" : "elementwise";
}

Json bench_train_step(const TrainStepOptions& options,
                      const std::function<void(const std::string&)>& progress) {
  StepShape shape = step_shape(options.shape);
  if (options.samples > 0) shape.samples = options.samples;
  if (options.length > 0) shape.length = options.length;
  if (options.supervised > 0) shape.supervised = options.supervised;
  require<ConfigError>(shape.length <= shape.llama.context && shape.supervised < shape.length,
                       "step: wanted more than ", shape.supervised, " and at most ", shape.llama.context,
                       " tokens a sample, found ", shape.length);
  const bool quick = options.shape == "tiny";
  FusedModel model(shape.llama, shape.tower, {.fusion = "dehvf", .tower_adapters = true});
  const int64_t needed = step_bytes(shape, model), there = free_bytes(options.device);
  require<OutOfMemory>(kMargin * double(needed) <= double(there), "step: ", options.shape, ", ",
                       shape.samples, " x ", shape.length, " tokens, needs about ",
                       int64_t(kMargin * double(needed)), " bytes, ", options.device, " has ", there,
                       " free");
  const std::string name =
      concat(options.shape, ' ', shape.samples, 'x', shape.length, " labelled ", shape.supervised, " bf16");
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
    result["memory"] = tables(memory.at_peak());
    result["peak_bytes"] = backend(options.device).peak_bytes();
    progress("steps, every kernel waited for");
    for (auto& [part, seconds] : step.time_parts(quick ? 1 : kClocked))
      result["step"].push_back(row("step " + part, name, seconds));
    result["loss"] = step.loss();
  }
  progress("rates of the machine");
  result["rates"] = machine_rates(Workbench(options.device, quick));
  compare(result, shape, step_adapter(model));
  if (!options.out.empty()) write_json(options.out, result);
  return result;
}

}  // namespace dehvf
