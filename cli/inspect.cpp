// dehvf inspect: what a file or folder is, in a few lines.
#include <cstdio>
#include <map>
#include <sstream>

#include "cli/command.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "data/length_buckets.h"
#include "data/length_counts.h"
#include "data/scienceqa.h"
#include "models/llama_config.h"
#include "models/tokenizer.h"
#include "models/vision_config.h"
#include "models/weight_folder.h"
#include "train/adapter_folder.h"
#include "train/examples.h"
#include "train/open_model.h"

namespace dehvf::cli {
namespace {

namespace fs = std::filesystem;
constexpr const char* kAdapterWeights = "adapter_model.safetensors";

std::vector<int64_t> sizes_of(const Shape& shape) { return {shape.sizes().begin(), shape.sizes().end()}; }

Json tensors_of(const WeightFolder& weights, bool each) {
  std::map<std::string, int64_t> tensors, elements;
  Json list = Json::array();
  for (const std::string& name : weights.names()) {
    const Shape shape = weights.shape(name);
    const std::string dtype(name_of(weights.dtype(name)));
    ++tensors[dtype];
    elements[dtype] += shape.count();
    if (each) list.push_back({{"name", printable(name)}, {"dtype", dtype}, {"shape", sizes_of(shape)}});
  }
  Json result{{"tensors", tensors}, {"elements", elements}, {"fingerprint", weights.fingerprint()}};
  if (each) result["list"] = list;
  return result;
}

Json config_of(const fs::path& folder, std::vector<std::string>& notes) {
  if (!fs::exists(folder / "config.json") && !fs::exists(folder / "params.json")) return nullptr;
  try {
    const LlamaConfig c = read_llama_config(folder, notes);
    return {{"architecture", "llama"}, {"vocab", c.vocab},
            {"width", c.width},        {"ffn", c.ffn},
            {"layers", c.layers},      {"heads", c.heads},
            {"kv_heads", c.kv_heads},  {"context", c.context},
            {"tied", c.tied},          {"rope_theta", c.rope.theta}};
  } catch (const ConfigError& not_llama) {
    try {
      const VisionConfig c = read_vision_config(folder);
      const char* const names[] = {"clip_vision", "siglip_vision", "dinov2"};
      return {{"architecture", names[size_t(c.family)]},
              {"width", c.width},
              {"mlp", c.mlp},
              {"layers", c.layers},
              {"heads", c.heads},
              {"patch", c.patch},
              {"image", c.image},
              {"patches", c.patches()},
              {"class_token", c.class_token()},
              {"registers", c.registers}};
    } catch (const ConfigError&) {
      throw not_llama;
    }
  }
}

Json inspect_weights(const fs::path& path) {
  const bool folder = fs::is_directory(path);
  const WeightFolder weights(path);
  std::vector<std::string> notes = weights.notes();
  Json result{{"kind", folder ? "model folder" : "weight file"}, {"path", path.string()}};
  if (folder) result["config"] = config_of(path, notes);
  result.update(tensors_of(weights, !folder));
  if (path.extension() == ".safetensors") result["metadata"] = SafetensorsFile(path).metadata();
  result["notes"] = notes;
  return result;
}

Json inspect_adapter(const fs::path& path) {
  const AdapterDescription d = describe_adapter(path);
  Json result{{"kind", "adapter folder"},
              {"path", path.string()},
              {"fusion", d.fusion},
              {"fusion_options", d.fusion_options},
              {"tower_adapters", d.tower_adapters},
              {"tower_adapter_options", d.tower_adapter_options},
              {"tuning", d.tuning},
              {"base_model", d.base_model},
              {"tower", d.tower_model},
              {"image_recipe", d.image_recipe},
              {"prompt_format", d.prompt_format},
              {"training_step", d.training_step}};
  result.update(tensors_of(WeightFolder(path / kAdapterWeights), true));
  return result;
}

int64_t words_in(const std::string& text) {
  std::istringstream in(text);
  int64_t count = 0;
  for (std::string word; in >> word;) ++count;
  return count;
}

// Of the examples that training would make of all problems.
LengthCounts counts_of(const ScienceQa& data, const fs::path& model, const Tokenizer& tokenizer) {
  LengthCounts result{.tokenizer = concat(fs::absolute(model).lexically_normal().filename().string(), ", ",
                                          tokenizer.kind(), " of ", tokenizer.vocab_size())};
  for (const Problem& problem : data.problems()) {
    const Example example = training_example(problem, tokenizer, {});
    const auto labelled = std::ranges::count_if(example.labels, [](int32_t l) { return l != kIgnored; });
    ++result.counts[{int64_t(example.tokens.size()), labelled, !problem.image.empty()}];
  }
  return result;
}

Json inspect_scienceqa(const fs::path& path, const fs::path& model, const fs::path& lengths_out) {
  require<ConfigError>(lengths_out.empty() || !model.empty(),
                       "inspect: --lengths-out counts tokens; name the folder of a tokenizer by --model");
  const ScienceQa data(path);
  const auto tokenizer = model.empty() ? nullptr : open_tokenizer(model);
  std::map<std::string, int64_t> splits;
  std::vector<std::string> ids;
  std::vector<int64_t> lengths;
  int64_t pictures = 0;
  for (const Problem& problem : data.problems()) {
    ++splits[problem.split];
    pictures += !problem.image.empty();
    ids.push_back(problem.id);
    const std::string prompt = build_prompt(problem, PromptFormat::qcm_a, false).prompt;
    lengths.push_back(tokenizer ? int64_t(tokenizer->encode(prompt, tokenizer->bos() >= 0).size())
                                : words_in(prompt));
  }
  if (!lengths_out.empty()) write_length_counts(lengths_out, counts_of(data, model, *tokenizer));
  const auto missing = data.missing_images(ids);
  Json result{{"kind", "ScienceQA folder"},     {"path", path.string()},
              {"problems", ids.size()},         {"splits", splits},
              {"pictures", pictures},           {"missing_pictures", missing.size()},
              {"captions", data.has_captions()}};
  if (!missing.empty()) result["first_missing"] = missing.front().string();
  result["prompt_lengths_in"] = tokenizer ? "tokens" : "words";
  result["prompt_lengths"] = length_histogram(lengths);
  return result;
}

void print(const Json& result) {
  for (const auto& [key, value] : result.items()) {
    if (key == "list") {
      for (const Json& tensor : value)
        std::printf("  %-6s %-20s %s\n", tensor["dtype"].get<std::string>().c_str(),
                    tensor["shape"].dump().c_str(), tensor["name"].get<std::string>().c_str());
    } else if (key == "prompt_lengths") {
      std::printf("%s:\n%s\n", key.c_str(), value.get<std::string>().c_str());
    } else {
      std::printf("%s: %s\n", key.c_str(),
                  value.is_string() ? value.get<std::string>().c_str() : value.dump().c_str());
    }
  }
}

struct Inspect {
  fs::path path, model, lengths_out;
  bool json = false;

  Json look() const {
    require<IoError>(fs::exists(path), path.string(), ": no such file or folder");
    if (fs::exists(path / "problems.json")) return inspect_scienceqa(path, model, lengths_out);
    require<ConfigError>(lengths_out.empty(), path.string(),
                         ": --lengths-out is for data; wanted a ScienceQA folder");
    if (fs::exists(path / "adapter_config.json")) return inspect_adapter(path);
    return inspect_weights(path);
  }

  void run() const {
    const Json result = look();
    if (json)
      std::printf("%s\n", result.dump().c_str());
    else
      print(result);
  }
};

}  // namespace

void add_inspect(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<Inspect>();
  auto* command = program.add_subcommand(
      "inspect",
      "says what a model folder, weight file, adapter folder or ScienceQA folder holds\n"
      "example: dehvf inspect my_data --model llama");
  command->add_option("path", options->path, "file or folder")->required();
  command->add_option("--model", options->model, "folder whose tokenizer counts ScienceQA's prompts");
  command->add_option("--lengths-out", options->lengths_out,
                      "JSON file: how long ScienceQA's texts are in tokens, for `dehvf compare --lengths`");
  command->add_flag("--json", options->json, "one JSON object on one line");
  command->callback([&chosen, options] { chosen = [options] { options->run(); }; });
}

}  // namespace dehvf::cli
