#include "bench/compare.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "autograd/tape.h"
#include "bench/kernel_bench.h"
#include "bench/random_model.h"
#include "bench/train_step.h"
#include "core/energy.h"
#include "core/io/file.h"
#include "core/random.h"
#include "models/generate.h"
#include "models/published_shapes.h"
#include "train/flops_formula.h"
#include "train/memory_report.h"

namespace dehvf {
namespace {

constexpr std::string_view kReference = "llava-lora";
constexpr int64_t kParts = 5;  // of a data set, by length
constexpr Device kGpu{DeviceKind::cuda, 0};
constexpr double kMargin = 1.1;  // of memory, for workspaces

struct Method {
  std::string name;
  LlamaConfig llama;
  VisionConfig tower;
  FusedModelOptions options;
  bool tuned;  // weights of the language model itself
};

// Steps of one length; of a data set, those that stand for a share of its texts.
struct Step {
  StepSize size;
  double share = 0;
};

std::vector<Step> steps_of(const CompareOptions& options) {
  const StepSize usual{.samples = options.samples, .supervised = options.supervised, .mode = options.mode};
  std::vector<Step> steps;
  for (const int64_t length : options.lengths) {
    require<ConfigError>(length > options.supervised, "compare: a text of ", length, " tokens cannot have ",
                         options.supervised, " labelled ones");
    steps.push_back({usual});
    steps.back().size.length = length;
  }
  if (!options.counts) return steps;
  steps.clear();
  for (const LengthCounts::Part& part : options.counts->parts(kParts)) {
    steps.push_back({usual, part.share});
    StepSize& size = steps.back().size;
    size.length = part.tokens, size.supervised = part.labelled;
    size.pictures = std::lround(part.pictures * double(options.samples));
  }
  return steps;
}

// A model of which everything is a sixteenth as wide, with a quarter of the patches. What an operator counts
// in widths and patches goes with it.
void make_toy(Method& method, std::map<std::string, std::string>& keys) {
  method.llama.vocab = 512, method.llama.width = 256, method.llama.ffn = 688, method.llama.layers = 4;
  method.llama.heads = method.llama.kv_heads = 4, method.llama.head_dim = 64;
  if (const auto level = keys.find("level"); level != keys.end())  // as far from the last block
    level->second = concat(std::max<int64_t>(1, 8 - (method.tower.layers - std::stoll(level->second))));
  const int64_t side = method.tower.image / 56 * 16;
  method.tower = {.width = 64, .mlp = 256, .layers = 8, .heads = 4, .patch = 8, .image = side};
  const std::map<std::string, int64_t> divisors{{"hidden", 16}, {"rank", 16}, {"slots", 4}, {"queries", 4}};
  for (const auto& [key, divisor] : divisors)
    if (const auto found = keys.find(key); found != keys.end())
      found->second = concat(std::max<int64_t>(1, std::stoll(found->second) / divisor));
}

Method method_of(const std::filesystem::path& preset, const CompareOptions& options) {
  RunConfig config = read_run_config(preset, {});
  const std::string tower = config.tower.filename().string();
  const bool published = options.shape.empty() || options.shape == "toy";
  Method method{
      .name = preset.stem().string(),
      .llama = published_llama(published ? config.model.filename().string() : "llama-" + options.shape),
      .tower = published_tower(tower.empty() ? "clip-vit-large-patch14" : tower),
      .options = {.fusion = config.fusion,
                  .tower_adapters = config.tower_adapters,
                  .adapters = config.adapters,
                  .tuning = config.tuning,
                  .attention = options.attention},
      .tuned = config.tuning.tune.any()};
  if (options.shape == "toy") make_toy(method, config.fusion_options);
  if (options.layers > 0) method.llama.layers = std::min(method.llama.layers, options.layers);
  method.options.config = FusionConfig(config.fusion_options);
  return method;
}

Json work_of(const PlannedWork& work, const MachineRates& rates) {
  return {{"flops", work.flops()},
          {"floor_s", floor_seconds(work.calls, rates)},
          {"forecast_s", forecast_seconds(work.calls, rates)}};
}

Json parts_of(const PlannedWork& work, const MachineRates& rates) {
  Json parts = Json::object();
  for (const Trace::Call& call : work.calls) {
    const std::string part(part_of(call.place, call.kernel));
    parts[part] = parts.value(part, 0.0) + forecast_seconds({&call, 1}, rates);
  }
  return parts;
}

// Means of what a data set's steps take, weighted by their shares.
Json expected(const Json& lengths) {
  Json result;
  for (const Json& at : lengths)
    for (const char* phase : {"train", "images", "first_token", "next_token"}) {
      const auto add = [&](Json& sum, const Json& from, const char* key) {
        if (sum.is_null()) sum = Json::object();
        sum[key] = sum.value(key, 0.0) + at["share"].get<double>() * from[key].get<double>();
      };
      Json& sum = result[phase];
      const Json& one = at[phase];
      for (const char* key : {"flops", "floor_s", "forecast_s"}) add(sum, one, key);
      if (one.contains("measured_s")) add(sum["measured_s"], one["measured_s"], "median");
      for (const char* key : {"peak_bytes", "measured_peak_bytes"})
        if (one.contains(key)) sum[key] = std::max(sum.value(key, size_t(0)), one[key].get<size_t>());
      if (sum.contains("measured_peak_bytes"))
        sum["peak_more_percent"] =
            percent_more(sum["measured_peak_bytes"].get<double>(), sum["peak_bytes"].get<double>());
      if (one.contains("measured_j")) {
        add(sum, one, "measured_j");
        sum["measured_w"] = sum["measured_j"].get<double>() / sum["measured_s"]["median"].get<double>();
      }
    }
  return result;
}

// Of so many samples.
Shape pixels_of(const FusedModel& model, int64_t samples) {
  const int64_t side = model.tower().config().image;
  return {samples * model.images(), 3, side, side};
}

bool looks(const FusedModel& model) { return !model.fusion().tower().levels.empty(); }

Json planned_row(const Method& method, const CompareOptions& options, const std::vector<Step>& steps) {
  PlannedModel planned(method.llama, method.tower, method.options, options.measured_type(),
                       plan_of(options.device.value_or(kGpu)));
  FusedModel& model = planned.model();
  const CostReport cost = model.cost();
  Json row{{"name", method.name},
           {"fusion", method.options.fusion},
           {"trained", cost.live},
           {"published", cost.published},
           {"frozen", count_elements(model.llama()) + count_elements(model.tower())},
           {"lengths", Json::array()}};
  for (const auto& [size, share] : steps) {
    const int64_t length = size.length;
    PlannedWork step = planned.train_step(size);
    if (options.device == kCpu && looks(model))  // where the pictures themselves count
      step.memory[size_t(Purpose::activations)] += pixels_of(model, size.samples).count() * sizeof(float);
    const PlannedModel::Inference inference = planned.inference(options.samples, length);
    Json train = work_of(step, options.rates);
    train["parts"] = parts_of(step, options.rates);
    train["memory"] = by_purpose(step.memory);
    train["peak_bytes"] = step.bytes();
    row["lengths"].push_back({{"length", length},
                              {"flops_formula", forward_flops(model, options.samples, length).sum()},
                              {"train", train},
                              {"images", work_of(inference.images, options.rates)},
                              {"first_token", work_of(inference.first_token, options.rates)},
                              {"next_token", work_of(inference.next_token, options.rates)}});
    if (options.counts)
      row["lengths"].back().update(
          {{"supervised", size.supervised}, {"pictures", size.pictures}, {"share", share}});
  }
  return row;
}

double seconds_of(Device device, const std::function<void()>& body) {
  backend(device).synchronize(current_stream(device));
  const auto begin = std::chrono::steady_clock::now();
  body();
  backend(device).synchronize(current_stream(device));
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Frozen values of one model for another of the same shape: the bytes are there once.
void share_frozen(Module& from, Module& to) {
  std::map<std::string, Parameter*> there;
  for (const auto& [path, parameter] : parameters_of(from)) there[path] = parameter;
  for (const auto& [path, parameter] : parameters_of(to))
    parameter->set_frozen(there.at(path)->value(), path);
}

MemoryLedger::Table added(MemoryLedger::Table table, const MemoryLedger::Table& more,
                          const MemoryLedger::Table& less) {
  for (size_t i = 0; i < table.size(); ++i) table[i] += more[i] - less[i];
  return table;
}

// A method's model with random weights on a device, and what is measured of it.
class Running {
 public:
  struct Measured {
    std::map<std::string, std::vector<double>> seconds;
    MemoryLedger::Table memory{};      // of a training step, when most was held, without other methods'
    std::optional<double> joules = 0;  // of all training steps together
  };

  /// Shares the language model of `other`, which may be null. `meter` too.
  Running(const Method& method, const CompareOptions& options, Running* other, EnergyMeter* meter)
      : method_(method), device_(*options.device), dtype_(options.measured_type()), meter_(meter) {
    keep_books([&] { make(other); });
  }

  void step(const StepSize& size, Measured& measured) {
    if (!step_ || !(size_ == size)) prepare(size);
    measured.memory = peak_;
    const std::optional<double> before = meter_ ? meter_->joules() : std::nullopt;
    measured.seconds["train"].push_back(step_->step().seconds);
    const std::optional<double> after = before ? meter_->joules() : std::nullopt;
    if (after && measured.joules)
      *measured.joules += *after - *before;
    else
      measured.joules.reset();
  }

  void infer(int64_t samples, int64_t length, Measured& measured) const {
    const NoGrad no_grad;
    auto& times = measured.seconds;
    const Tensor pixels = random_normal(pixels_of(*model_, looks() ? samples : 0), 1, 2);
    std::vector<std::vector<int32_t>> tokens(size_t(samples), std::vector<int32_t>(size_t(length), 1));
    std::vector<int32_t> images(size_t(samples), -1);
    if (looks()) std::iota(images.begin(), images.end(), 0);
    std::vector<int64_t> ids(static_cast<size_t>(samples));
    std::iota(ids.begin(), ids.end(), 0);
    Vision vision;
    times["images"].push_back(
        seconds_of(device_, [&] { vision = model_->see(looks() ? model_->look(pixels) : TowerLevels{}); }));
    std::optional<Decoder> decoder;
    times["first_token"].push_back(
        seconds_of(device_, [&] { decoder.emplace(model_->llama(), vision, pack(tokens, images, ids), 4); }));
    const std::vector<int32_t> next(size_t(samples), 1);
    times["next_token"].push_back(seconds_of(device_, [&] { decoder->advance(next); }));
  }

 private:
  bool looks() const { return dehvf::looks(*model_); }
  MemoryLedger& ledger() const { return backend(device_).memory(); }

  // What `work` leaves behind is this method's.
  void keep_books(const std::function<void()>& work) {
    const MemoryLedger::Table before = ledger().now();
    work();
    held_ = added(held_, ledger().now(), before);
  }

  void make(Running* other) {
    model_ = std::make_unique<FusedModel>(method_.llama, method_.tower, method_.options);
    if (other && other->method_.llama == method_.llama && !method_.tuned) {
      share_frozen(other->model_->llama(), model_->llama());
      for (const auto& [path, parameter] : parameters_of(model_->llama()))
        held_[size_t(Purpose::weights)] += parameter->value().bytes();
    } else {
      fill_frozen(model_->llama(), dtype_, device_);
    }
    if (looks()) fill_frozen(model_->tower(), dtype_, device_);
    initialise(*model_, 1);
    model_->move_to(device_);
  }

  // Makes steps of that size; measures the memory of one that is not replayed, because replayed work of all
  // methods shares its memory.
  void prepare(const StepSize& size) {
    keep_books([&] {
      step_.reset();
      initialise(*model_, 1);  // a trainer took the parameters over
      model_->move_to(device_);
      step_.emplace(*model_, size, dtype_);
      step_->trainer().use_graphs(false);
      step_->step();  // makes what is made once
    });
    size_ = size;
    const MemoryLedger::Table before = ledger().now();
    ledger().forget_peak();
    step_->step();
    peak_ = added(held_, ledger().at_peak(), before);
    step_->trainer().use_graphs(true);
    step_->step();  // what is recorded or chosen at first use is not timed
  }

  Method method_;
  Device device_;
  DType dtype_;
  EnergyMeter* meter_;
  MemoryLedger::Table held_{}, peak_{};
  std::unique_ptr<FusedModel> model_;
  std::optional<RandomStep> step_;
  StepSize size_;
};

Json spread(std::vector<double> seconds) {
  std::ranges::sort(seconds);
  return {{"median", seconds[seconds.size() / 2]}, {"low", seconds.front()}, {"high", seconds.back()}};
}

// Whether the planned steps of a row fit; what is missing is written into it.
bool fits(Json& row, const CompareOptions& options) {
  double needed = 0;
  for (const Json& at : row["lengths"])
    needed = std::max(needed, kMargin * at["train"]["peak_bytes"].get<double>());
  const auto there = double(free_bytes(*options.device));
  if (needed <= there) return true;
  char text[120];
  std::snprintf(text, sizeof text, "needs %.1f GB, %.1f GB are free: %.1f GB too much", 1e-9 * needed,
                1e-9 * there, 1e-9 * (needed - there));
  row["skipped"] = text;
  return false;
}

void write(const Running::Measured& measured, Json& at) {
  for (const auto& [what, seconds] : measured.seconds) at[what]["measured_s"] = spread(seconds);
  Json& train = at["train"];
  train["measured_memory"] = by_purpose(measured.memory);
  train["measured_peak_bytes"] = sum_of(measured.memory);
  train["peak_more_percent"] =
      percent_more(double(sum_of(measured.memory)), train["peak_bytes"].get<double>());
  if (!measured.joules) return;
  const std::vector<double>& seconds = measured.seconds.at("train");
  train["measured_j"] = *measured.joules / double(seconds.size());
  train["measured_w"] = *measured.joules / std::accumulate(seconds.begin(), seconds.end(), 0.0);
}

void measure_rows(Json& rows, const std::vector<Method>& methods, const CompareOptions& options,
                  const std::vector<Step>& steps, const std::function<void(const std::string&)>& progress) {
  const std::unique_ptr<EnergyMeter> meter = energy_meter(*options.device);
  std::vector<std::pair<Json*, std::unique_ptr<Running>>> running;
  Running* shared = nullptr;
  for (size_t i = 0; i < methods.size(); ++i) {
    if (rows[i].contains("failed") || !fits(rows[i], options)) continue;
    progress(concat("weights of ", methods[i].name));
    running.emplace_back(&rows[i], std::make_unique<Running>(methods[i], options, shared, meter.get()));
    if (!shared && !methods[i].tuned) shared = running.back().second.get();
  }
  for (size_t l = 0; l < steps.size(); ++l) {
    const StepSize& size = steps[l].size;
    std::vector<Running::Measured> measured(running.size());
    for (int round = 0; round < options.rounds; ++round)
      for (size_t i = 0; i < running.size(); ++i) {
        if (i == 0) progress(concat(size.length, " tokens, round ", round + 1, " of ", options.rounds));
        running[i].second->step(size, measured[i]);
        running[i].second->infer(options.samples, size.length, measured[i]);
      }
    for (size_t i = 0; i < running.size(); ++i) write(measured[i], (*running[i].first)["lengths"][l]);
  }
}

void add_ratios(Json& own, const Json& other) {
  for (const char* what : {"floor", "forecast"}) {
    const std::string time = concat(what, "_s");
    own[concat("ratio_", what)] = other[time].get<double>() / own[time].get<double>();
  }
  if (own.contains("measured_s") && other.contains("measured_s"))
    own["ratio_measured"] =
        other["measured_s"]["median"].get<double>() / own["measured_s"]["median"].get<double>();
}

// Ratios of the reference's training time to that of every row with the same language model.
void add_ratios(Json& rows, const std::vector<Method>& methods) {
  for (size_t r = 0; r < methods.size(); ++r) {
    if (!methods[r].name.starts_with(kReference) || rows[r].contains("failed")) continue;
    for (size_t i = 0; i < methods.size(); ++i) {
      if (rows[i].contains("failed") || !(methods[i].llama == methods[r].llama)) continue;
      for (size_t l = 0; l < rows[i]["lengths"].size(); ++l)
        add_ratios(rows[i]["lengths"][l]["train"], rows[r]["lengths"][l]["train"]);
      if (rows[i].contains("expected"))
        add_ratios(rows[i]["expected"]["train"], rows[r]["expected"]["train"]);
    }
  }
}

}  // namespace

DType CompareOptions::measured_type() const {
  return device && device->kind == DeviceKind::cpu ? DType::f32 : DType::bf16;
}

Json compare_methods(const CompareOptions& given, const std::function<void(const std::string&)>& progress) {
  CompareOptions options = given;
  require<ConfigError>(!options.presets.empty(), "compare: no presets");
  require<ConfigError>(
      options.shape.empty() || options.shape == "7b" || options.shape == "13b" || options.shape == "toy",
      "compare: shape: wanted 7b, 13b or toy, found '", printable(options.shape), "'");
  const std::vector<Step> steps = steps_of(options);
  std::vector<int64_t> lengths;
  for (const Step& step : steps) lengths.push_back(step.size.length);
  Json result{{"version", 1},
              {"what", "compare"},
              {"shape", options.shape.empty() ? "as the presets say" : options.shape},
              {"layers", options.layers},
              {"samples", options.samples},
              {"supervised", options.supervised},
              {"lengths", lengths},
              {"machine", options.machine},
              {"attention", options.attention == AttentionForm::fused ? "fused" : "eager"}};
  if (options.counts)
    result["counted"] = {{"texts", options.counts->samples()}, {"tokenizer", options.counts->tokenizer}};
  if (options.device) {
    progress("rates of the machine");
    result["measured_on"] = concat(*options.device);
    result["machine"] = concat(*options.device);
    options.rates =
        floor_rates(machine_rates(Workbench(*options.device, options.device->kind == DeviceKind::emulator)));
  }
  result["rates"] = {{"tflop_s", 1e-12 * options.rates.flops},
                     {"copy_gb_s", 1e-9 * options.rates.bytes},
                     {"launch_us", 1e6 * options.rates.launch}};
  result["dtype"] = concat(options.measured_type());
  std::vector<Method> methods;
  Json rows = Json::array();
  for (const auto& preset : options.presets) {
    methods.push_back(method_of(preset, options));
    progress(concat("plan of ", methods.back().name));
    try {
      rows.push_back(planned_row(methods.back(), options, steps));
    } catch (const ConfigError& error) {
      rows.push_back({{"name", methods.back().name}, {"failed", error.what()}});
    }
  }
  if (options.device) measure_rows(rows, methods, options, steps, progress);
  if (options.counts)
    for (Json& row : rows)
      if (!row.contains("failed")) row["expected"] = expected(row["lengths"]);
  add_ratios(rows, methods);
  result["rows"] = std::move(rows);
  return result;
}

}  // namespace dehvf
