#include "train/flops_formula.h"

#include <algorithm>

namespace dehvf {
namespace {

// Of one token: down and up; before the attention also the router, and two ways up in two groups with their
// biases.
double adapter_flops(const TowerAdapterConfig& config, double width) {
  const auto rank = double(config.rank);
  return config.form == TowerAdapterForm::beside_mlp ? 4 * rank * width : 2 * width * (2 * rank + 4);
}

double vision_flops(FusedModel& model, double images) {
  const auto levels = model.fusion().tower().levels;
  if (levels.empty()) return 0;
  const VisionConfig& tower = model.tower().config();
  const auto patches = double(tower.patches()), w = double(tower.width), m = double(tower.mlp),
             n = double(tower.tokens() + tower.registers), patch = double(tower.patch);
  const double block = 2 * n * (4 * w * w + 2 * w * m) + 4 * n * n * w,
               blocks = double(std::ranges::max(levels));
  const double adapter = model.adapters() ? adapter_flops(model.options().adapters, w) : 0;
  return images * (2 * patches * 3 * patch * patch * w + blocks * (block + n * adapter));
}

// Of one token through the linear maps of one block.
double linear_flops(const LlamaConfig& llama, const LoraConfig& lora) {
  const auto d = double(llama.width), f = double(llama.ffn), q = double(llama.heads * llama.head_dim),
             kv = double(llama.kv_heads * llama.head_dim);
  struct Map {
    const char* name;
    double in, out;
  };
  double sum = 0;
  for (const auto& [name, in, out] : {Map{"q", d, q}, Map{"k", d, kv}, Map{"v", d, kv}, Map{"o", q, d},
                                      Map{"gate", d, f}, Map{"up", d, f}, Map{"down", f, d}})
    sum += 2 * in * out + (lora.rank > 0 && lora.targets.has(name) ? 2 * double(lora.rank) * (in + out) : 0);
  return sum;
}

}  // namespace

ForwardFlops forward_flops(FusedModel& model, int64_t samples, int64_t length) {
  const LlamaConfig& llama = model.llama().config();
  const CostReport cost = model.fusion().cost();
  const bool looks = !model.fusion().tower().levels.empty();
  const auto count = double(samples), of_sample = looks ? double(model.images()) : 0,
             images = count * of_sample, s = double(length) + of_sample * double(cost.tokens_per_image),
             once = double(cost.tokens_once), tokens = count * s + once,
             q = double(llama.heads * llama.head_dim),
             seen = model.options().attention == AttentionForm::eager ? s * s : s * (s + 1) / 2;
  return {.vision = vision_flops(model, images),
          .operation = cost.flops_once + images * cost.flops_per_image + tokens * cost.flops_per_token,
          .linears = tokens * llama.layers * linear_flops(llama, model.llama().tuning().lora),
          .attention = 4 * q * llama.layers * (count * seen + once),
          .head = 2 * count * double(llama.width * llama.vocab)};
}

}  // namespace dehvf
