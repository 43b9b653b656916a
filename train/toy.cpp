#include "train/toy.h"

#include <set>

namespace dehvf::toy {
namespace {

// Letters and digits in runs; everything else separates.
void add_words(const std::string& text, std::set<std::string>& words) {
  std::string word;
  for (char c : text + " ") {
    if (std::isalnum(static_cast<unsigned char>(c))) {
      word += c;
    } else if (!word.empty()) {
      words.insert(word);
      word.clear();
    }
  }
}

constexpr uint64_t kTextSeed =
    0x7e87;  // of the questions that the language model learns from: no data set's own

}  // namespace

VisionConfig tower_config() {
  return {.width = 64, .mlp = 256, .layers = 8, .heads = 4, .patch = 8, .image = 32};
}

LlamaConfig llama_config(const Tokenizer& tokenizer) {
  LlamaConfig config{.vocab = tokenizer.vocab_size(),
                     .width = 64,
                     .ffn = 176,
                     .layers = 8,
                     .heads = 4,
                     .kv_heads = 4,
                     .head_dim = 16,
                     .context = 256,
                     .norm_eps = 1e-5,
                     .tied = true};
  config.bos = tokenizer.bos();
  config.eos = {tokenizer.eos()};
  config.pad = tokenizer.pad();
  return config;
}

ImageRecipe recipe() { return image_recipe("plain", 32); }

PromptOptions prompt() { return {.format = PromptFormat::word, .max_tokens = 128}; }

std::vector<std::string> words(std::span<const SceneWorld* const> worlds) {
  std::set<std::string> found;
  for (const SceneWorld* world : worlds)
    for (const SceneProblem& planned :
         plan_scene_data(*world, {.seed = kTextSeed, .train = 2048, .val = 4, .test = 4})) {
      const PromptText text = build_prompt(planned.problem, prompt().format, false);
      for (const std::string& part : {text.prompt, text.answer_text, text.lead_in}) add_words(part, found);
      for (const std::string& choice : planned.problem.choices) add_words(choice, found);
    }
  return {found.begin(), found.end()};
}

void pretrain_tower(VisionTower& tower, std::span<const SceneWorld* const> worlds,
                    const PretrainOptions& options, const Progress& progress) {
  initialise(tower, random_key({options.seed, 1}));
  TowerTask task(tower, {worlds.begin(), worlds.end()}, recipe(),
                 {.steps = options.tower_steps, .seed = random_key({options.seed, 2})});
  initialise(task.trained(), random_key({options.seed, 3}));
  move_to(task.trained(), options.device);
  Trainer trainer(
      task, {.steps = options.tower_steps,
             .schedule = {.peak = 1.5e-3, .warmup = options.tower_steps / 20, .steps = options.tower_steps},
             .adamw = {.beta2 = 0.98},
             .clip = 10});
  trainer.run([&](const StepReport& report) { return progress(report), true; });
  freeze(tower);
}

void pretrain_llama(FusedModel& model, std::span<const SceneWorld* const> worlds, const Tokenizer& tokenizer,
                    const PretrainOptions& options, const Progress& progress) {
  initialise(model.llama(), random_key({options.seed, 4}));
  model.llama().move_to(options.device);
  std::vector<Example> examples;
  for (const SceneWorld* world : worlds)
    for (const SceneProblem& planned :
         plan_scene_data(*world, {.seed = kTextSeed, .train = 24576, .val = 4, .test = 4}))
      if (planned.problem.image.empty() && planned.problem.split == "train")
        examples.push_back(training_example(planned.problem, tokenizer, prompt()));
  AdapterTask task(model, model.llama(), examples, nullptr,
                   {.batch = 64, .micro_batch = 64, .seed = random_key({options.seed, 5})});
  Trainer trainer(
      task, {.steps = options.llama_steps,
             .schedule = {.peak = 3e-3, .warmup = options.llama_steps / 20, .steps = options.llama_steps},
             .adamw = {.beta2 = 0.98}});
  trainer.run([&](const StepReport& report) { return progress(report), true; });
  freeze(model.llama());
}

}  // namespace dehvf::toy
