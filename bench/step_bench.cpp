// The demo's training step: its time, the share of it in products and attention, and the time that the loader
// needs to make one step's data ready. Prints one JSON object; --export also writes the step for peers.
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "autograd/tape.h"
#include "core/backend.h"
#include "core/io/json.h"
#include "core/kernel.h"
#include "core/parallel.h"
#include "core/random.h"
#include "data/scene_generator.h"
#include "models/safetensors.h"
#include "train/run.h"

namespace dehvf {
namespace {

struct Options {
  int threads = 1, steps = 40;
  std::string export_to;  // safetensors file; empty: none
};

double seconds_of(const std::function<void()>& body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

Json summary(std::vector<double> seconds) {
  std::ranges::sort(seconds);
  const auto at = [&](double share) { return 1e3 * seconds[size_t(share * double(seconds.size() - 1))]; };
  return {{"median_ms", at(0.5)}, {"low_ms", at(0.1)}, {"high_ms", at(0.9)}, {"steps", seconds.size()}};
}

// A folder of one batch, as `dehvf make-data` makes it, that goes with its owner.
class Data {
 public:
  explicit Data(int64_t batch) {
    std::string name = (std::filesystem::temp_directory_path() / "dehvf_step_XXXXXX").string();
    require<IoError>(mkdtemp(name.data()) != nullptr, name, ": cannot be made");
    folder_ = name;
    write_scene_data(SceneWorld::shapes(), {.train = batch, .val = 4, .test = 4}, folder_);
  }
  ~Data() { std::filesystem::remove_all(folder_); }
  Data(const Data&) = delete;
  Data& operator=(const Data&) = delete;
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

// What one kernel is counted as. The visual rows' own time is a product a sample with its image's terms.
std::string_view kind_of(std::string_view kernel) {
  if (kernel == "matmul") return "products";
  if (kernel.starts_with("attention")) return "attention";
  if (kernel.starts_with("visual_rows")) return "visual rows";
  return "other kernels";
}

class StepBench {
 public:
  StepBench(const RunConfig& config, const Options& options)
      : options_(options), run_(config), data_(run_.load("train", Use::training)) {
    initialise(run_.model(), 1);
    task_ = std::make_unique<AdapterTask>(run_.model(), run_.model(), data_.examples, data_.pictures.get(),
                                          config.batches);
    trainer_ = std::make_unique<Trainer>(
        *task_,
        TrainerOptions{.schedule = {.peak = 1e-3, .warmup = 0, .steps = 1 << 20}, .clip = config.clip});
    for (int i = 0; i < 20; ++i) trainer_->step();  // slots and fuser leave their zeros
  }

  Json measure() {
    Json result{{"threads", options_.threads},
                {"samples", data_.examples.size()},
                {"pictures", data_.pictures->count()},
                {"tokens", trainer_->step().tokens}};
    if (!options_.export_to.empty()) write();
    std::vector<double> seconds;
    seconds.reserve(size_t(options_.steps));
    for (int i = 0; i < options_.steps; ++i) seconds.push_back(trainer_->step().seconds);
    result["step"] = summary(seconds);
    result["shares"] = shares();
    result["loader"] = loader();
    result["loader_per_step"] =
        result["loader"]["median_ms"].get<double>() / result["step"]["median_ms"].get<double>();
    return result;
  }

 private:
  Json shares() {
    const Trace trace;
    double whole = 0;
    for (int i = 0; i < options_.steps; ++i) whole += trainer_->step().seconds;
    Json kernels = Json::object(), kinds{{"outside kernels", 1.0}};
    for (const auto& [name, line] : trace.lines) {
      const double share = line.seconds / whole;
      kernels[name] = {{"share", share}, {"calls", line.calls / options_.steps}};
      const std::string kind(kind_of(name));
      kinds[kind] = kinds.value(kind, 0.0) + share;
      kinds["outside kernels"] = kinds["outside kernels"].get<double>() - share;
    }
    return {{"kinds", kinds}, {"kernels", kernels}};
  }

  // Everything between the files and the step: decoding, resizing, normalising, prompts, tokens.
  Json loader() const {
    const RunConfig& config = run_.config();
    const ScienceQa problems(config.data);
    const auto tokenizer = open_tokenizer(config.model);
    const auto recipe_file = config.tower / "preprocessor_config.json";
    const ImageRecipe recipe = recipe_from_json(read_json(recipe_file), recipe_file.string());
    std::vector<double> seconds;
    seconds.reserve(size_t(options_.steps));
    for (int i = 0; i < options_.steps; ++i)
      seconds.push_back(seconds_of([&] {
        Pictures pictures;
        std::vector<Example> examples;
        for (const std::string& id : problems.split("train")) {
          examples.push_back(training_example(problems.problem(id), *tokenizer, config.prompt));
          examples.back().image = pictures.add(problems.problem(id));
        }
        load_pixels(pictures.paths, recipe);
      }));
    return summary(seconds);
  }

  // The batch, the adapter, and the loss and gradient norm that belong to them.
  void write() {
    std::vector<std::vector<int32_t>> tokens;
    std::vector<int32_t> labels, images;
    std::vector<int64_t> ids;
    for (const Example& example : data_.examples) {
      tokens.push_back(example.tokens);
      labels.insert(labels.end(), example.labels.begin(), example.labels.end());
      images.push_back(example.image);
      ids.push_back(example.id);
    }
    const PackedExamples packed = pack_with_pictures(tokens, images, ids);
    NamedTensors tensors{{"tokens", packed.batch.tokens},
                         {"labels", tensor_of(labels)},
                         {"lengths", tensor_of(packed.batch.lengths)},
                         {"image_of", packed.batch.image_of}};
    for (const auto& [level, value] : data_.pictures->levels(packed.pictures).after_block)
      tensors.emplace_back(concat("levels.", level), value.value());
    for (const auto& [path, parameter] : parameters_of(run_.model()))
      tensors.emplace_back("adapter." + path, parameter->value().clone());
    const StepReport step = trainer_->step();
    std::map<std::string, std::string> facts = run_.config().fusion_options;
    facts.insert({{"loss", Json(step.loss).dump()}, {"gradient_norm", Json(step.gradient_norm).dump()}});
    write_safetensors(options_.export_to, tensors, facts);
  }

  Options options_;
  Run run_;
  SplitData data_;
  std::unique_ptr<AdapterTask> task_;
  std::unique_ptr<Trainer> trainer_;
};

Options read_options(std::span<char*> arguments) {
  Options options;
  require<ConfigError>(arguments.size() % 2 == 0, "wanted --threads N, --steps N, --export FILE");
  for (size_t i = 0; i < arguments.size(); i += 2) {
    const std::string_view key = arguments[i];
    if (key == "--threads")
      options.threads = std::stoi(arguments[i + 1]);
    else if (key == "--steps")
      options.steps = std::stoi(arguments[i + 1]);
    else if (key == "--export")
      options.export_to = arguments[i + 1];
    else
      fail<ConfigError>("unknown option ", key, "; wanted --threads N, --steps N, --export FILE");
  }
  return options;
}

void run_bench(const Options& options) {
  const Runtime runtime({.threads = options.threads});
  constexpr int64_t kBatch = 64;  // of configs/toy.yaml and the demo
  const Data data(kBatch);
  const std::string overrides[] = {"data=" + data.folder().string()};
  StepBench bench(read_run_config("configs/toy.yaml", overrides), options);
  std::printf("%s\n", bench.measure().dump().c_str());
}

}  // namespace
}  // namespace dehvf

int main(int argc, char** argv) try {
  dehvf::run_bench(dehvf::read_options(std::span(argv + 1, size_t(argc - 1))));
} catch (const std::exception& error) {
  std::fprintf(stderr, "step_bench: %s\n", error.what());
  return 2;
}
