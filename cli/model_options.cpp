#include "cli/model_options.h"

#include <cstdio>

#include "core/io/file.h"

namespace dehvf::cli {

void ModelOptions::add_to(CLI::App& command) {
  command.add_option("--model", files.llama, "LLaMA: a folder as Hugging Face's or Meta's")->required();
  command.add_option("--tower", files.tower, "CLIP vision tower, a folder as Hugging Face's");
  command.add_option("--adapter", files.adapter,
                     "adapter folder, or a safetensors file (then with --fusion)");
  command.add_option("--fusion", files.fusion, "operator of an adapter that is one file, e.g. dehvf");
  command.add_option("--set", settings,
                     "key=value, an option of that operator; repeatable. tower_adapters.form, .rank, .scale, "
                     ".dropout and .temperature are those of adapters in the tower");
}

OpenedModel ModelOptions::open(DType dtype) const {
  ModelFiles named = files;
  for (const std::string& setting : settings) {
    const size_t equals = setting.find('=');
    require<ConfigError>(equals != std::string::npos && equals > 0, "--set ", printable(setting),
                         ": wanted key=value");
    require<ConfigError>(named.options.emplace(setting.substr(0, equals), setting.substr(equals + 1)).second,
                         "--set ", printable(setting.substr(0, equals)), ": given twice");
  }
  OpenedModel opened = open_model(named, dtype);
  print_notes(opened.notes);
  return opened;
}

void print_notes(const std::vector<std::string>& notes) {
  for (const std::string& note : notes) std::fprintf(stderr, "dehvf: note: %s\n", note.c_str());
}

}  // namespace dehvf::cli
