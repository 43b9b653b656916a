#include "models/trained_lora.h"

#include <cmath>
#include <set>

#include "core/io/file.h"
#include "core/ops/elementwise.h"

namespace dehvf {
namespace {

constexpr std::string_view kA = ".lora_A.weight", kB = ".lora_B.weight";

// "q" for model.layers.3.self_attn.q_proj; empty for what is no map of a block.
std::string target_of(const std::string& path) {
  for (const char* target : {"q", "k", "v", "o", "gate", "up", "down"})
    if (path.starts_with("model.layers.") && path.ends_with(concat(".", target, "_proj"))) return target;
  return {};
}

// The parameters of a model's LoRA, by path.
struct LoraParameters : Describer {
  explicit LoraParameters(Llama& model) { model.describe_tuned(*this); }
  void visit(const std::string& path, Parameter& parameter) override {
    if (path.ends_with(kA) || path.ends_with(kB)) found[path] = &parameter;
  }
  std::map<std::string, Parameter*> found;
};

}  // namespace

LlamaTuning tuning_for(const LoraAdapter& adapter) {
  require<ConfigError>(!adapter.modules.empty(), "LoRA: no modules");
  const LoraModule& first = adapter.modules.begin()->second;
  LlamaTuning tuning;
  tuning.lora.rank = first.a.size(0);
  tuning.lora.rslora = adapter.rank_stabilised;
  tuning.lora.dropout = adapter.dropout;
  tuning.lora.alpha =
      first.scale * (adapter.rank_stabilised ? std::sqrt(double(first.a.size(0))) : double(first.a.size(0)));
  std::set<std::string> targets;
  for (const auto& [path, module] : adapter.modules) {
    const std::string target = target_of(path);
    require<ConfigError>(!target.empty(), "LoRA: ", printable(path),
                         " is no map of a LLaMA block; export can merge it, it cannot be trained here");
    require<ConfigError>(module.a.size(0) == first.a.size(0) && module.scale == first.scale,
                         "LoRA: ", printable(path), " has rank ", module.a.size(0), " and scale ",
                         module.scale, ", ", printable(adapter.modules.begin()->first), " ", first.a.size(0),
                         " and ", first.scale, "; wanted one for all (export can merge it as it is)");
    targets.insert(target);
  }
  std::string list;
  for (const std::string& target : targets) list += (list.empty() ? "" : ",") + target;
  tuning.lora.targets = list.c_str();
  return tuning;
}

void load_lora(Llama& model, const LoraAdapter& adapter, bool trainable) {
  const LoraParameters parameters(model);
  std::map<std::string, Tensor> tensors;
  std::string wrong;
  const auto add = [&](const auto&... parts) { wrong += concat(wrong.empty() ? "" : ", ", parts...); };
  for (const auto& [path, module] : adapter.modules)
    for (const auto& [end, tensor] : {std::pair(kA, module.a), {kB, module.b}}) {
      const std::string name = concat(path, end);
      const auto found = parameters.found.find(name);
      if (found == parameters.found.end())
        add(printable(name), " (not in this model)");
      else if (found->second->shape() != tensor.shape())
        add(printable(name), " (the model's is ", found->second->shape(), ", the adapter's ", tensor.shape(),
            ")");
      tensors[name] = tensor;
    }
  for (const auto& [path, parameter] : parameters.found)
    if (!tensors.contains(path)) add(path, " (not in the adapter)");
  require<ConfigError>(wrong.empty(), "LoRA: does not fit this model: ", wrong);
  for (const auto& [path, parameter] : parameters.found) {
    const Tensor value = cast(tensors.at(path), DType::f32);
    trainable ? parameter->set_trainable(value, path) : parameter->set_frozen(value, path);
  }
}

LoraAdapter lora_among(const NamedTensors& tensors, std::string_view prefix, const LoraConfig& config) {
  LoraAdapter adapter{.rank = config.rank,
                      .alpha = config.alpha,
                      .dropout = config.dropout,
                      .rank_stabilised = config.rslora};
  for (const auto& [name, tensor] : tensors) {
    if (!name.starts_with(prefix)) continue;
    for (const std::string_view end : {kA, kB}) {
      if (!name.ends_with(end)) continue;
      LoraModule& module =
          adapter.modules[name.substr(prefix.size(), name.size() - prefix.size() - end.size())];
      (end == kA ? module.a : module.b) = tensor;
      module.scale = config.factor();
    }
  }
  return adapter;
}

}  // namespace dehvf
