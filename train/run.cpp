#include "train/run.h"

#include <cmath>
#include <map>

#include "core/io/file.h"
#include "core/variants.h"
#include "models/trained_lora.h"
#include "train/open_model.h"

namespace dehvf {
namespace {

constexpr int64_t kCacheBytes = int64_t(4) << 30;  // levels beyond this are computed in every step

// What the levels of so many pictures take when they are kept.
int64_t level_bytes(FusedModel& model, int64_t pictures, DType dtype) {
  const VisionConfig& tower = model.tower().config();
  return pictures * int64_t(model.fusion().tower().levels.size()) * tower.tokens() * tower.width *
         int64_t(size_of(dtype));
}

// The pictures that samples need, one sample's behind the other's; those of several samples stand once.
struct NeededPictures {
  std::vector<std::filesystem::path> paths;
  std::map<PicturePaths, int32_t> places;

  int32_t add(const PicturePaths& of_sample) {
    if (of_sample.empty()) return -1;
    const auto [place, fresh] = places.emplace(of_sample, int32_t(places.size()));
    if (fresh) paths.insert(paths.end(), of_sample.begin(), of_sample.end());
    return place->second;
  }
};

void require_files(const std::vector<std::filesystem::path>& paths) {
  size_t missing = 0;
  const std::filesystem::path* first = nullptr;
  std::error_code ignored;
  for (const auto& path : paths)
    if (!std::filesystem::is_regular_file(path, ignored) && missing++ == 0) first = &path;
  if (missing > 0)
    fail<IoError>("pictures: ", missing, " of ", paths.size(), " are missing, the first is ",
                  printable(first->string(), 200));
}

}  // namespace

Run::Run(RunConfig config, Use use) : config_(std::move(config)), device_(chosen_device(config_.device)) {
  const bool looks = config_.fusion != "none";
  for (const auto& [key, path, wanted] : {std::tuple("model", config_.model, true),
                                          {"tower", config_.tower, looks},
                                          {"data", config_.data, true}})
    require<ConfigError>(!path.empty() || !wanted, "config: '", key, "' is missing; wanted a folder");
  for (const auto& [slot, variant] : config_.kernels) choose_variant(slot, variant);
  tokenizer_ = open_tokenizer(config_.model);
  data_ = open_data_source(config_.data, *tokenizer_, config_.prompt);
  if (!config_.lora_from.empty()) {
    lora_ = read_lora(config_.lora_from, notes_);
    const TunedParts tune = config_.tuning.tune;
    config_.tuning = tuning_for(*lora_);
    config_.tuning.tune = tune;
  }
  FrozenFolders folders(config_.model, config_.tower);
  model_ = folders.make(config_.model_options());
  config_.fusion_options = model_->options().config.resolved();
  const auto recipe = folders.recipe(config_.image_recipe, config_.image_mismatch);
  require<ConfigError>(
      recipe.has_value() || config_.tower.empty(), (config_.tower / "preprocessor_config.json").string(),
      ": not there; name a recipe instead: image_recipe=clip_crop, llava_pad, memvp or plain");
  if (recipe) recipe_ = *recipe;
  if (use == Use::training) {
    texts_ = read_texts(config_.train_split);
    forecast_ = plan(*texts_);
    const std::string lacking = shortage(forecast_, device_, memory_of(device_));
    require<ConfigError>(lacking.empty(), "memory: in the largest training step ", lacking);
  }
  folders.load(*model_, config_.dtype);
  base_fingerprint_ = folders.llama_fingerprint();
  tower_fingerprint_ = folders.tower_fingerprint();
  notes_.insert(notes_.end(), folders.notes().begin(), folders.notes().end());
}

void Run::begin(uint64_t seed) {
  initialise(*model_, seed);
  if (lora_) load_lora(model_->llama(), *lora_, /*trainable=*/true);
}

int64_t Run::steps(size_t examples) const {
  return int64_t(std::ceil(config_.epochs * std::ceil(double(examples) / double(config_.batches.batch))));
}

Run::Texts Run::read_texts(const std::string& split) const {
  Texts texts;
  NeededPictures pictures;
  data_->each_example(split, [&](Example example, const PicturePaths& paths) {
    require_pictures(paths, int64_t(texts.examples.size()), split);
    example.image = pictures.add(paths);
    texts.examples.push_back(std::move(example));
    return config_.limit == 0 || int64_t(texts.examples.size()) < config_.limit;
  });
  texts.pictures = std::move(pictures.paths);
  if (looks()) require_files(texts.pictures);
  return texts;
}

size_t Run::pixels_ahead(const Texts& texts, int64_t own) const {
  const auto sees = [](const Example& example) { return example.image != -1; };
  const AdapterTask::Options& batches = config_.batches;
  const int64_t held = std::min(batches.batch + batches.ahead, std::ranges::count_if(texts.examples, sees));
  const int64_t side = model_->tower().config().image;
  return size_t(std::max<int64_t>(0, held - own) * model_->images() * 3 * side * side) * sizeof(float);
}

PlannedWork Run::plan(const Texts& texts) const {
  PlannedModel planned(model_->llama().config(), model_->tower().config(), config_.model_options(),
                       config_.dtype, plan_of(device_));
  const bool cached = caches(texts.pictures.size());
  PlannedWork most;
  for (auto& examples :
       largest_micro_batches(texts.examples, config_.batches, steps(texts.examples.size()))) {
    const auto seen =
        std::ranges::count_if(examples, [](const Example& example) { return example.image != -1; });
    PlannedWork work = planned.train_step(StepTexts{std::move(examples), config_.batches.mode, cached});
    // The plan kept the levels of these pictures alone.
    if (cached)
      work.memory[size_t(Purpose::caches)] += size_t(
          level_bytes(*model_, int64_t(texts.pictures.size()) - seen * model_->images(), config_.dtype));
    if (device_ == kCpu && looks() && !cached)
      work.memory[size_t(Purpose::activations)] += pixels_ahead(texts, seen);
    if (work.bytes() >= most.bytes()) most = std::move(work);
  }
  return most;
}

SplitData Run::load(const std::string& split, Use use) {
  SplitData result;
  std::vector<std::filesystem::path> paths;
  if (use == Use::training) {
    Texts texts = texts_ && split == config_.train_split ? std::move(*texts_) : read_texts(split);
    texts_.reset();
    result.examples = std::move(texts.examples);
    paths = std::move(texts.pictures);
  } else {
    NeededPictures pictures;
    result.exam = data_->exam(split, config_.limit);
    for (size_t i = 0; i < result.exam->questions.size(); ++i) {
      require_pictures(result.exam->pictures[i], int64_t(i), split);
      result.exam->questions[i].image = pictures.add(result.exam->pictures[i]);
    }
    paths = std::move(pictures.paths);
    if (looks()) require_files(paths);
  }
  if (looks()) result.pictures = open_pictures(std::move(paths), use);
  return result;
}

bool Run::looks() const { return !model_->fusion().tower().levels.empty(); }

void Run::require_pictures(const PicturePaths& paths, int64_t sample, const std::string& split) const {
  require<ConfigError>(!looks() || paths.empty() || int64_t(paths.size()) == model_->images(),
                       config_.data.string(), ": sample ", sample, " of '", printable(split, 60),
                       "': wanted no picture or fusion.images=", model_->images(), ", found ", paths.size());
}

bool Run::caches(size_t pictures) const {
  return looks() && model_->adapters() == nullptr &&
         level_bytes(*model_, int64_t(pictures), config_.dtype) <= kCacheBytes;
}

std::unique_ptr<PictureSource> Run::open_pictures(std::vector<std::filesystem::path> paths, Use use) const {
  const bool cached = use == Use::training && caches(paths.size());
  return std::make_unique<PictureSource>(*model_, std::move(paths), recipe_, cached);
}

AdapterDescription Run::description(int64_t training_step) const {
  AdapterDescription d{.fusion = config_.fusion,
                       .fusion_options = config_.fusion_options,
                       .tower_adapters = model_->options().tower_adapters};
  if (d.tower_adapters)
    d.tower_adapter_options = {{"form", std::string(name_of(config_.adapters.form))},
                               {"rank", concat(config_.adapters.rank)},
                               {"scale", concat(config_.adapters.scale)},
                               {"dropout", concat(config_.adapters.dropout)},
                               {"temperature", concat(config_.adapters.temperature)}};
  d.tuning = tuning_options(config_.tuning);
  d.base_model = config_.model.filename().string();
  d.tower_model = config_.tower.filename().string();
  d.tokenizer = tokenizer_->kind();
  d.base_fingerprint = base_fingerprint_;
  d.tower_fingerprint = tower_fingerprint_;
  d.tokenizer_fingerprint = tokenizer_->fingerprint();
  d.image_recipe = recipe_.name;
  d.prompt_format = data_->prompt();
  d.training_step = training_step;
  return d;
}

void Run::check(const AdapterDescription& adapter) const {
  const AdapterDescription own = description(0);
  const auto same = [](const char* what, const std::string& trained, const std::string& here,
                       const char* key) {
    const auto shown = [](const std::string& text) { return text.empty() ? "(unnamed)" : printable(text); };
    require<ConfigError>(trained == here, "adapter: trained with ", what, " ", shown(trained),
                         ", this run has ", shown(here), "; change ", key);
  };
  // What an adapter from another program does not say is not compared.
  const auto same_if_said = [&](const char* what, const std::string& trained, const std::string& here,
                                const char* key) {
    if (!trained.empty()) same(what, trained, here, key);
  };
  same("the operator", adapter.fusion, own.fusion, "fusion.name");
  for (const auto& [key, value] : own.fusion_options) {
    const auto found = adapter.fusion_options.find(key);
    if (found != adapter.fusion_options.end())
      same(key.c_str(), found->second, value, concat("fusion.", key).c_str());
  }
  const auto shown = [](const AdapterDescription::Options& options) {
    std::string text;
    for (const auto& [key, value] : options)
      if (key != "lora.dropout") text += concat(text.empty() ? "" : " ", key, "=", value);
    return text;
  };
  same("the tuning", shown(adapter.tuning), shown(own.tuning), "tune or lora.*");
  same_if_said("the language model", adapter.base_fingerprint, own.base_fingerprint, "model");
  same_if_said("the tower", adapter.tower_fingerprint, own.tower_fingerprint, "tower");
  same_if_said("the tokenizer", adapter.tokenizer_fingerprint, own.tokenizer_fingerprint, "model");
  same("the image recipe", adapter.image_recipe, own.image_recipe, "image_recipe");
  same_if_said("the prompt", adapter.prompt_format, own.prompt_format,
               "prompt.format, prompt.captions or data");
}

}  // namespace dehvf
