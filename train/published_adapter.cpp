#include "train/published_adapter.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "core/io/file.h"
#include "core/io/json.h"
#include "core/ops/elementwise.h"
#include "data/prompt.h"
#include "models/lora_folder.h"
#include "models/torch_file.h"
#include "models/trained_lora.h"
#include "train/published_names.h"

namespace dehvf {
namespace {

namespace fs = std::filesystem;
constexpr const char *kProjector = "mm_projector.bin", *kBesideLora = "non_lora_trainables.bin";
using Arguments = std::map<std::string, std::string>;

// Checkpoints have their tensors under "model", behind "module." where they were trained in parallel; LLaVA
// has "model." and, beside a LoRA, "base_model.model.model.".
std::string bare(std::string_view name) {
  for (bool again = true; again;) {
    again = false;
    for (const std::string_view prefix : {"base_model.", "model.", "module."})
      if (name.starts_with(prefix)) name.remove_prefix(prefix.size()), again = true;
  }
  return std::string(name);
}

bool of_training(std::string_view name) {
  return name.starts_with("optimizer.") || name.starts_with("scaler.");
}

struct PublishedFile {
  NamedTensors tensors;  // sorted, bare names, floats as f32
  Arguments arguments;   // of the training, where the file has them
};

template <class File>
NamedTensors load_bare(const File& file) {
  NamedTensors tensors;
  for (const std::string& name : file.names()) {
    if (of_training(name)) continue;
    const Tensor tensor = file.load(name);
    tensors.emplace_back(bare(name), is_float(tensor.dtype()) ? cast(tensor, DType::f32) : tensor);
  }
  std::ranges::sort(tensors, {}, &NamedTensors::value_type::first);
  for (size_t i = 1; i < tensors.size(); ++i)
    require<ConfigError>(tensors[i - 1].first != tensors[i].first, file.path().string(), ": tensor ",
                         printable(tensors[i].first), " stands twice");
  return tensors;
}

PublishedFile read_file_of(const fs::path& path) {
  if (path.extension() == ".safetensors") return {load_bare(SafetensorsFile(path)), {}};
  const TorchFile file(path);
  return {load_bare(file), file.arguments()};
}

const PublishedLayout& layout_of(const fs::path& file, const NamedTensors& tensors) {
  std::string looked_for;
  for (const PublishedLayout& layout : published_layouts()) {
    looked_for += concat(looked_for.empty() ? "" : ", ", layout.name, "'s (", layout.marks[0], "...)");
    for (const auto& [name, tensor] : tensors)
      for (const std::string& mark : layout.marks)
        if (name.starts_with(mark)) return layout;
  }
  fail<ConfigError>(file.string(), ": no adapter that is known: looked for the names of ", looked_for,
                    "; found ", tensors.size(), " tensors",
                    tensors.empty() ? "" : concat(", the first ", printable(tensors[0].first)));
}

// 4-bit quantisation stores two numbers to a byte in one long column.
void refuse_packed(const std::string& what, const NamedTensors& tensors) {
  for (const auto& [name, tensor] : tensors)
    require<ConfigError>(tensor.dtype() != DType::u8, what, ": tensor ", printable(name), ' ', tensor.shape(),
                         " is packed, as models quantised to 4 or 8 bits save it; wanted f16, bf16 or f32");
}

// The tensors under the other names. Throws where `found` is not exactly that set.
NamedTensors renamed(const std::string& what, const NamedTensors& found, const PublishedAdapter& map,
                     bool to_ours) {
  NamedShapes wanted;
  std::map<std::string_view, const PublishedTensor*> rules;
  for (const PublishedTensor& rule : map.tensors) {
    const std::string& name = to_ours ? rule.theirs : rule.ours;
    wanted.emplace_back(name, to_ours ? rule.their_shape : rule.our_shape);
    rules[name] = &rule;
  }
  std::ranges::sort(wanted, {}, &NamedShapes::value_type::first);
  require_same_tensors(what, found, wanted, DType::f32);
  NamedTensors result;
  for (const auto& [name, tensor] : found) {
    const PublishedTensor& rule = *rules.at(name);
    result.emplace_back(to_ours ? rule.ours : rule.theirs,
                        tensor.reshape(to_ours ? rule.our_shape : rule.their_shape));
  }
  std::ranges::sort(result, {}, &NamedTensors::value_type::first);
  return result;
}

// A number as the operators' own options write it.
std::string number_text(const std::string& key, const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  require<ConfigError>(!text.empty() && *end == 0 && std::isfinite(value), "args.", key,
                       ": wanted a number, found '", printable(text), "'");
  return concat(value);
}

// What the published code takes from the command line, which its checkpoints hold.
void apply_arguments(const PublishedLayout& layout, const Arguments& arguments, AdapterDescription& d) {
  const auto given = [&](const char* name) {
    const auto found = arguments.find(name);
    return found == arguments.end() ? std::string() : found->second;
  };
  const bool routed = layout.fusion == "lavin";
  if (const std::string scale = given("adapter_scale"); !scale.empty()) {
    d.fusion_options["scale"] = number_text("adapter_scale", scale);
    if (routed) d.tower_adapter_options["scale"] = d.fusion_options["scale"];
  }
  if (const std::string temperature = given("temperature"); routed && !temperature.empty())
    d.fusion_options["temperature"] = d.tower_adapter_options["temperature"] =
        number_text("temperature", temperature);
  if (const std::string size = given("llm_model"); !size.empty()) d.base_model = "LLaMA-" + size;
  if (const std::string format = given("prompt_format"); !format.empty())
    d.prompt_format = concat(prompt_format_name(prompt_format(format)),
                             given("use_caption") == "true" ? " with captions" : "");
}

void describe(const PublishedLayout& layout, const Arguments& arguments, AdapterDescription& d,
              std::vector<std::string>& notes) {
  if (layout.fusion == "llava") {
    d.image_recipe = "llava_pad";
    return;
  }
  d.image_recipe = "memvp", d.tower_model = "CLIP ViT-L/14";
  d.prompt_format = layout.fusion == "lavin" ? "QCM-ALE" : "QCM-A";
  apply_arguments(layout, arguments, d);
  if (!arguments.empty()) return;
  std::string taken = concat("scale ", d.fusion_options["scale"], ", prompt ", d.prompt_format);
  if (layout.fusion == "lavin") taken += ", temperature " + d.fusion_options["temperature"];
  notes.push_back(concat("the file does not say how it was trained; taken from ", layout.name,
                         "'s scripts: ", taken, " (change adapter_config.json where it was not so)"));
}

// LLaVA's config.json, where it lies beside: what its operator here has in one way only.
void check_llava_config(const fs::path& path) {
  if (!fs::exists(path)) return;
  const Json json = read_json(path, 1 << 24);
  const std::map<std::string, Json> wanted{{"mm_vision_select_layer", -2},
                                           {"mm_vision_select_feature", "patch"},
                                           {"mm_use_im_start_end", false},
                                           {"mm_patch_merge_type", "flat"}};
  for (const auto& [key, value] : wanted) {
    const Json found = json.contains(key) ? json[key] : value;
    require<ConfigError>(found == value, path.string(), ": wanted ", key, ' ', value.dump(), ", found ",
                         printable(found.dump()), "; the llava operator here has no other");
  }
}

// The LoRA of LLaVA's folder, as the tensors and the tuning of an adapter.
void add_lora(const fs::path& folder, AdapterDescription& d, NamedTensors& tensors,
              std::vector<std::string>& notes) {
  const LoraAdapter lora = read_lora(folder, notes);
  d.tuning = tuning_options(tuning_for(lora));
  d.base_model = lora.base_model;
  for (const auto& [path, module] : lora.modules) {
    tensors.emplace_back(concat("llama.", path, ".lora_A.weight"), cast(module.a, DType::f32));
    tensors.emplace_back(concat("llama.", path, ".lora_B.weight"), cast(module.b, DType::f32));
  }
  std::ranges::sort(tensors, {}, &NamedTensors::value_type::first);
}

bool same_value(const std::string& a, const std::string& b) {
  char *end_a = nullptr, *end_b = nullptr;
  const double x = std::strtod(a.c_str(), &end_a), y = std::strtod(b.c_str(), &end_b);
  return a == b || (!a.empty() && !b.empty() && *end_a == 0 && *end_b == 0 && x == y);
}

// Options that the published code has written into it must be so here. Those of training and of its command
// line may be anything.
void require_written(const std::string& what, const AdapterDescription::Options& found,
                     const AdapterDescription::Options& written, std::initializer_list<const char*> any) {
  for (const auto& [key, value] : written) {
    const auto here = found.find(key);
    const bool free = key == "dropout" || std::ranges::find(any, key) != any.end();
    require<ConfigError>(free || here == found.end() || same_value(here->second, value), what, ": wanted ",
                         key, ' ', value, ", found ", here == found.end() ? "" : printable(here->second),
                         "; its code has no other");
  }
}

void require_expressible(const std::string& what, const AdapterDescription& d, const PublishedAdapter& map) {
  const bool lavin = d.fusion == "lavin";
  AdapterDescription::Options written = map.fusion;
  written.emplace("images", "1");
  require_written(what + ": fusion", d.fusion_options, written, {"scale", lavin ? "temperature" : "scale"});
  if (map.tower.empty()) return;
  require_written(what + ": tower_adapters", d.tower_adapter_options, map.tower,
                  {lavin ? "scale" : "dropout", lavin ? "temperature" : "dropout"});
  for (const char* key : {"scale", "temperature"})  // one of the command line for both models
    if (const auto a = d.fusion_options.find(key), b = d.tower_adapter_options.find(key);
        lavin && a != d.fusion_options.end() && b != d.tower_adapter_options.end())
      require<ConfigError>(same_value(a->second, b->second), what, ": fusion has ", key, ' ',
                           printable(a->second), " and tower_adapters ", printable(b->second),
                           "; its code has one for both");
}

}  // namespace

bool may_be_published_adapter(const fs::path& path) {
  if (fs::is_regular_file(path) || fs::exists(path / kBesideLora)) return true;
  if (!fs::exists(path / kProjector)) return false;
  for (const char* whole : {"pytorch_model.bin", "model.safetensors"})  // LLaVA's models have both
    if (fs::exists(path / whole) || fs::exists(path / concat(whole, ".index.json"))) return false;
  return true;
}

std::string import_adapter(const fs::path& from, const fs::path& to, std::vector<std::string>& notes) {
  const bool folder = fs::is_directory(from), beside_lora = folder && fs::exists(from / kBesideLora);
  const fs::path path = folder ? from / (beside_lora ? kBesideLora : kProjector) : from;
  const PublishedFile file = read_file_of(path);
  const PublishedLayout& layout = layout_of(path, file.tensors);
  const std::string what = concat(path.string(), ": as an adapter of ", layout.name);
  refuse_packed(what, file.tensors);
  NamedTensors found = file.tensors;
  std::erase_if(found, [&](const auto& tensor) {
    return std::ranges::find(layout.ignored, tensor.first) != layout.ignored.end();
  });
  const PublishedAdapter map = layout.map(PublishedSide(what, found, true));
  AdapterDescription d{.fusion = layout.fusion,
                       .fusion_options = map.fusion,
                       .tower_adapters = !map.tower.empty(),
                       .tower_adapter_options = map.tower};
  NamedTensors tensors = renamed(what, found, map, true);
  describe(layout, file.arguments, d, notes);
  if (layout.fusion == "llava") check_llava_config(path.parent_path() / "config.json");
  if (beside_lora) add_lora(from, d, tensors, notes);
  write_adapter_folder(to, tensors, d);
  return layout.name;
}

std::string export_adapter(const fs::path& from, const fs::path& to, std::vector<std::string>& notes) {
  const AdapterDescription d = read_adapter_config(from);
  const auto layouts = published_layouts();
  const auto layout = std::ranges::find(layouts, d.fusion, &PublishedLayout::fusion);
  require<ConfigError>(layout != layouts.end(), from.string(), ": operator ", printable(d.fusion),
                       " has no published layout; wanted memvp, lavin or llava");
  const std::string what = concat(from.string(), ": as an adapter of ", layout->name);
  NamedTensors tensors = read_adapter_tensors(from);
  for (auto& [name, tensor] : tensors) tensor = cast(tensor, DType::f32);
  if (const auto lora =
          std::erase_if(tensors, [](const auto& t) { return t.first.find(".lora_") != t.first.npos; }))
    notes.push_back(
        concat(from.string(), ": ", lora, " tensors of its LoRA are left out; --peft writes them"));
  const PublishedAdapter map = layout->map(PublishedSide(what, tensors, false));
  require_expressible(what, d, map);
  NamedTensors theirs = renamed(what, tensors, map, false);
  for (auto& [name, tensor] : theirs) name = layout->prefix + name;
  write_safetensors(to, theirs, {{"format", "pt"}});
  return layout->name;
}

}  // namespace dehvf
