#include "train/contract/tiny.h"

#include <algorithm>

#include "autograd/ops/cross_entropy.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/rows.h"
#include "core/random.h"

namespace dehvf::tiny {
namespace {

// Sizes for keys that an operator may have; its other keys keep their defaults.
const std::map<std::string, std::string> kSizes{
    {"slots", "11"},  {"rank", "3"},    {"lambda", "0.7"}, {"scale", "0.6"}, {"groups", "2"},
    {"hidden", "5"},  {"width", "4"},   {"heads", "2"},    {"blocks", "2"},  {"embedding", "6"},
    {"queries", "4"}, {"prompts", "3"}, {"layers", "2"},   {"levels", "2"},  {"dropped", "0.3"}};

// What a key may be set to instead: each is a case of its own.
const std::vector<std::pair<std::string, std::string>> kVariants{
    {"rows", "materialised"}, {"weights", "mean"},      {"weights", "learned"}, {"mapping", "random"},
    {"positions", "1"},       {"mapping", "reversed"},  {"level_norm", "raw"},  {"projector", "linear"},
    {"place", "front"},       {"place", "behind_bos"},  {"cross_every", "1"},   {"of", "dehvf"},
    {"version", "2"},         {"class_token", "false"}, {"fuser", "per_group"}};

// What of the language model is trained beside an operator, and other adapters in the tower: each is a case
// of its own.
std::vector<Case> tuned_cases() {
  const LoraConfig everywhere{
      .rank = 2, .alpha = 3, .rslora = true, .dropout = 0.3, .targets = "q,k,v,o,gate,up,down"};
  return {
      {"lavin", {{"rank", "3"}, {"levels", "2"}}, {}, TowerAdapterForm::before_attention},
      {"llama_adapter", {{"prompts", "3"}, {"layers", "2"}, {"rank", "3"}}, {.lora = everywhere}},
      {"llama_adapter",
       {{"version", "2"}, {"prompts", "3"}, {"layers", "2"}, {"rank", "3"}},
       {.tune = "norms,biases,scales"}},
      {"none", {}, {.lora = everywhere}},
      {"none", {}, {.tune = "norms,biases,scales"}},
      {"none", {}, {.tune = "full"}},
      {"my_idea", {}, {.tune = "full"}},
      {"memvp", {{"slots", "11"}, {"rank", "3"}}, {.lora = {.rank = 2, .targets = "q, v"}}},
      {"dehvf", {{"slots", "11"}, {"rank", "3"}, {"groups", "2"}}, {.lora = everywhere, .tune = "norms"}}};
}

// Operators on towers of other families.
std::vector<Case> tower_cases() {
  const std::map<std::string, std::string> memory{{"slots", "11"}, {"rank", "3"}},
      fuser{{"slots", "11"}, {"rank", "3"},  {"groups", "2"}, {"hidden", "5"},
            {"width", "4"},  {"heads", "2"}, {"blocks", "2"}, {"embedding", "6"}};
  std::map<std::string, std::string> mean{
      {"weights", "mean"}, {"weights", "learned"}, {"mapping", "random"}, {"groups", "2"}},
      raw = fuser;
  mean.insert(memory.begin(), memory.end());
  raw["level_norm"] = "raw";
  std::vector<Case> cases;
  for (const auto& [fusion, options] :
       std::vector<std::pair<std::string, std::map<std::string, std::string>>>{
           {"dehvf", fuser},
           {"dehvf", raw},
           {"dehvf", mean},
           {"memvp", memory},
           {"llava", {{"hidden", "5"}}},
           {"qformer", {{"queries", "4"}, {"width", "4"}, {"hidden", "5"}, {"heads", "2"}}}})
    cases.push_back({.fusion = fusion, .options = options, .family = "siglip"});
  cases.push_back({.fusion = "dehvf", .options = fuser, .family = "registers"});
  cases.push_back({.fusion = "memvp", .options = memory, .family = "registers"});
  return cases;
}

// Operators whose samples have several images: rows, and tokens.
std::vector<Case> image_cases() {
  const std::map<std::string, std::string> rows{{"images", "2"}, {"slots", "19"}, {"rank", "3"}};
  std::map<std::string, std::string> fuser{{"groups", "2"}, {"hidden", "5"}, {"width", "4"},
                                           {"heads", "2"},  {"blocks", "2"}, {"embedding", "6"}};
  fuser.insert(rows.begin(), rows.end());
  return {{"dehvf", fuser},
          {"naive_concat", rows},
          {"llava", {{"images", "2"}, {"hidden", "5"}}},
          {"llama_adapter",
           {{"images", "2"}, {"version", "2"}, {"prompts", "3"}, {"layers", "2"}, {"rank", "3"}}},
          {"lavin", {{"images", "2"}, {"rank", "3"}, {"levels", "2"}}},
          {"adem_vl", {{"images", "3"}, {"rank", "3"}, {"dropped", "0.3"}}}};
}

// Rows, tokens before the text, tokens at its end that are spans of their own, a prefix of the attention.
std::vector<Case> eager_cases() {
  std::vector<Case> cases;
  for (const auto& [fusion, options] : std::map<std::string, std::map<std::string, std::string>>{
           {"memvp", {{"slots", "11"}, {"rank", "3"}}},
           {"llava", {{"hidden", "5"}}},
           {"lavin", {{"rank", "3"}, {"levels", "2"}}},
           {"llama_adapter", {{"prompts", "3"}, {"layers", "2"}, {"rank", "3"}}}})
    cases.push_back({.fusion = fusion, .options = options, .attention = AttentionForm::eager});
  return cases;
}

uint64_t hash_of(const std::string& text) {
  uint64_t hash = 14695981039346656037u;
  for (unsigned char c : text) hash = (hash ^ c) * 1099511628211u;
  return hash;
}

std::map<std::string, std::string> resolved(const std::string& fusion,
                                            std::map<std::string, std::string> options) {
  FusionConfig config(std::move(options));
  make_fusion(fusion, fusion_shapes(llama_7b(), clip_l14()), config);
  return config.resolved();
}

void randomise(Module& module, double deviation, DType dtype, bool trainable) {
  load_parameters(
      module,
      [&](const std::string& path, const Shape& shape) {
        const Tensor noise = random_normal(shape, deviation, hash_of(path), dtype);
        const bool norm = path.find("norm") != std::string::npos && path.ends_with("weight");
        return norm ? add(noise, full(shape, 1, dtype)) : noise;
      },
      trainable);
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Case& c) {
  out << c.fusion;
  for (const auto& [key, value] : c.options)
    if (!kSizes.contains(key)) out << ' ' << key << '=' << value;
  if (c.tuning.lora.rank > 0) out << " lora=" << c.tuning.lora.targets.text();
  if (c.tower != TowerAdapterForm::beside_mlp) out << " tower=" << name_of(c.tower);
  if (c.tuning.tune.any()) out << " tune=" << c.tuning.tune.text();
  if (c.family != "clip") out << " family=" << c.family;
  if (c.attention == AttentionForm::eager) out << " attention=eager";
  return out;
}

std::vector<std::string> keys_of(const std::string& fusion, std::map<std::string, std::string> options) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : resolved(fusion, std::move(options))) keys.push_back(key);
  return keys;
}

std::vector<Case> cases_of(const std::string& fusion, const std::map<std::string, std::string>& given) {
  auto chosen = given;  // what decides which keys there are
  std::erase_if(chosen, [](const auto& option) { return kSizes.contains(option.first); });
  const auto defaults = resolved(fusion, chosen);
  std::vector<Case> cases;
  const auto add = [&](std::map<std::string, std::string> options) {
    options.insert(chosen.begin(), chosen.end());
    const auto keys = keys_of(fusion, options);
    options.insert(given.begin(), given.end());
    for (const std::string& key : keys)
      if (const auto size = kSizes.find(key); size != kSizes.end()) options.insert(*size);
    cases.push_back({.fusion = fusion, .options = options});
  };
  add({});
  for (const auto& [key, value] : kVariants)
    if (const auto found = defaults.find(key);
        found != defaults.end() && found->second != value && !given.contains(key))
      add({{key, value}});
  return cases;
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const std::string& fusion : Registry<Fusion>::instance().keys())
    for (const Case& c : cases_of(fusion)) cases.push_back(c);
  for (const auto& more : {tuned_cases(), tower_cases(), image_cases(), eager_cases()})
    cases.insert(cases.end(), more.begin(), more.end());
  return cases;
}

LlamaConfig llama() {
  LlamaConfig config;
  config.vocab = 23;
  config.width = 14;
  config.ffn = 22;
  config.layers = 3;
  config.heads = 3;
  config.kv_heads = 1;
  config.head_dim = 4;
  config.context = 40;
  return config;
}

VisionConfig tower() { return {.width = 26, .mlp = 34, .layers = 4, .heads = 2, .patch = 2, .image = 6}; }

std::map<std::string, VisionConfig> towers() {
  VisionConfig siglip = tower(), registers = tower();
  siglip.family = VisionFamily::siglip;
  siglip.layers = 5;  // into two groups: four
  registers.family = VisionFamily::dinov2;
  registers.registers = 2;
  return {{"clip", tower()}, {"siglip", siglip}, {"registers", registers}};
}

FusedModel make(const Case& c, DType dtype, double dropout) {
  auto options = c.options;
  const auto keys = keys_of(c.fusion);
  if (std::ranges::find(keys, "dropout") != keys.end()) options["dropout"] = concat(dropout);
  LlamaTuning tuning = c.tuning;
  tuning.lora.dropout *= dropout > 0;
  FusedModel model(llama(), towers().at(c.family),
                   {.fusion = c.fusion,
                    .config = FusionConfig(std::move(options)),
                    .tower_adapters = true,
                    .adapters = {.form = c.tower, .rank = 2, .scale = 0.5, .dropout = dropout},
                    .tuning = tuning,
                    .attention = c.attention});
  randomise(model.llama(), 0.4, dtype, false);
  randomise(model.tower(), 0.4, dtype, false);
  randomise(model, 0.4, dtype, true);
  return model;
}

bool sees(const FusedModel& model) { return !model.fusion().tower().levels.empty(); }

Input Input::select(std::span<const int> samples) const {
  Input part = *this;
  part.tokens.clear(), part.labels.clear(), part.image_of.clear(), part.ids.clear();
  for (int s : samples) {
    part.tokens.push_back(tokens[size_t(s)]);
    part.labels.push_back(labels[size_t(s)]);
    part.image_of.push_back(image_of[size_t(s)]);
    part.ids.push_back(ids[size_t(s)]);
  }
  return part;
}

Input input(DType dtype) {
  Input in;
  Random random(77);
  for (size_t length : {7, 4, 5}) {
    std::vector<int32_t> tokens, labels;
    for (size_t i = 0; i < length; ++i) {
      tokens.push_back(int32_t(random.below(llama().vocab)));
      labels.push_back(i < 3 ? kIgnored : tokens.back());
    }
    in.tokens.push_back(tokens);
    in.labels.push_back(labels);
  }
  in.image_of = {0, -1, 1};
  in.ids = {11, 5, 42};
  in.image_ids = {11, 42};
  in.pixels = random_normal({2, 3, tower().image, tower().image}, 1, 78, dtype);
  return in;
}

Vision see(const FusedModel& model, const Input& in, const ForwardOptions& options) {
  std::vector<Tensor> pixels;
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < in.pixels.size(0); ++i)
    for (int64_t of_sample = 0; of_sample < model.images(); ++of_sample) {
      pixels.push_back(scale(in.pixels.slice(i, i + 1), 1 - 1.6 * double(of_sample)));
      ids.push_back(in.image_ids[size_t(i)] + 100 * of_sample);
    }
  TowerDropout dropout;
  if (options.training) dropout = {.seed = options.seed, .step = options.step, .sample_ids = tensor_of(ids)};
  return model.see(model.look(pixels.empty() ? in.pixels : concat_rows(pixels), dropout));
}

Variable losses(const FusedModel& model, const Input& in, const ForwardOptions& options) {
  const Supervised supervised = in.supervised();
  return model.losses(model.plan(in.batch(), supervised.rows), supervised.targets, see(model, in, options),
                      options);
}

Variable mean_loss(const FusedModel& model, const Input& in, const ForwardOptions& options) {
  const Variable all = losses(model, in, options);
  return scale(sum_all(all), 1.0 / double(all.shape()[0]));
}

Tensor logits(const FusedModel& model, const Input& in, const ForwardOptions& options) {
  const NoGrad no_grad;
  const TextBatch batch = in.batch();
  const Vision vision = see(model, in, options);
  const Llama& llama = model.llama();
  const Variable hidden = model.hidden(model.plan(batch), vision, options);
  const auto inserted = vision.fusion->insert(batch);
  return llama.logits(inserted ? gather_rows(hidden, inserted->text_rows) : hidden).value();
}

Tensor text_only_logits(const FusedModel& model, const Input& in) {
  const NoGrad no_grad;
  const TextBatch batch = in.batch();
  return model.llama()
      .logits(model.llama().forward(batch, model.llama().embed(batch.tokens), {}, {}))
      .value();
}

std::map<std::string, Tensor> gradients(FusedModel& model, const Input& in, const ForwardOptions& options) {
  const auto trainable = trainable_of(model);
  for (const auto& named : trainable) named.parameter->variable().set_grad({});
  if (const Variable loss = mean_loss(model, in, options); loss.wants_grad()) backward(loss);
  std::map<std::string, Tensor> result;
  for (const auto& [path, parameter] : trainable)
    if (const Tensor grad = parameter->variable().grad(); grad.defined()) result[path] = grad;
  return result;
}

}  // namespace dehvf::tiny
