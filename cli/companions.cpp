#include "cli/companions.h"

#include "core/io/file.h"

namespace dehvf::cli {

void copy_companions(const std::filesystem::path& from, const std::filesystem::path& to) {
  for (const char* name : {"tokenizer.model", "tokenizer.json", "tokenizer_config.json",
                           "special_tokens_map.json", "generation_config.json", "preprocessor_config.json"})
    if (std::filesystem::exists(from / name)) write_file(to / name, read_file(from / name));
}

}  // namespace dehvf::cli
