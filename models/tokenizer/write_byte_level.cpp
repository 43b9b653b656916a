#include <set>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "core/text/utf8.h"
#include "models/tokenizer.h"
#include "models/tokenizer/byte_level.h"
#include "models/tokenizer/llama3_split.h"

namespace dehvf {
namespace {

constexpr const char *kBegin = "<|begin_of_text|>", *kEnd = "<|end_of_text|>", *kPad = "<|pad|>";

bool is_one_word(std::string_view text) { return llama3_split(text).size() == 1; }

std::vector<std::string> tokens_of(std::span<const std::string> words) {
  std::vector<std::string> tokens;
  std::set<std::string> seen;
  const auto add = [&](const std::string& token) {
    if (seen.insert(token).second) tokens.push_back(token);
  };
  for (int byte = 0; byte < 256; ++byte) add(std::string(1, char(byte)));
  for (const std::string& word : words) {
    require<ConfigError>(replace_invalid_utf8(word) == word && is_one_word(word),
                         "write_byte_level_tokenizer: '", printable(word),
                         "' is not one word by LLaMA-3's split, so it cannot be one token");
    add(word);
    if (is_one_word(" " + word)) add(" " + word);  // not so for a number, which LLaMA-3 parts from its space
  }
  return tokens;
}

Json template_of(const char* token, size_t id) {
  const Json begin = {{"SpecialToken", {{"id", token}, {"type_id", 0}}}};
  const auto sequence = [](const char* name, int type) {
    return Json{{"Sequence", {{"id", name}, {"type_id", type}}}};
  };
  const Json entry = {{"id", token}, {"ids", {id}}, {"tokens", {token}}};
  return {{"type", "TemplateProcessing"},
          {"single", {begin, sequence("A", 0)}},
          {"pair", {begin, sequence("A", 0), begin, sequence("B", 1)}},
          {"special_tokens", {{token, entry}}}};
}

Json byte_level(bool use_regex) {
  return {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

}  // namespace

void write_byte_level_tokenizer(const std::filesystem::path& path, std::span<const std::string> words) {
  const std::vector<std::string> tokens = tokens_of(words);
  Json vocabulary = Json::object(), added = Json::array();
  for (size_t id = 0; id < tokens.size(); ++id) vocabulary[visible_of_bytes(tokens[id])] = id;
  for (const char* name : {kBegin, kEnd, kPad})
    added.push_back({{"id", tokens.size() + added.size()},
                     {"content", name},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  const Json split = {{"type", "Split"},
                      {"pattern", {{"Regex", std::string(kLlama3Regex)}}},
                      {"behavior", "Isolated"},
                      {"invert", false}};
  const Json model = {{"type", "BPE"},
                      {"dropout", nullptr},
                      {"unk_token", nullptr},
                      {"continuing_subword_prefix", nullptr},
                      {"end_of_word_suffix", nullptr},
                      {"fuse_unk", false},
                      {"byte_fallback", false},
                      {"ignore_merges", true},
                      {"vocab", vocabulary},
                      {"merges", Json::array()}};
  write_json(path, {{"version", "1.0"},
                    {"truncation", nullptr},
                    {"padding", nullptr},
                    {"added_tokens", added},
                    {"normalizer", nullptr},
                    {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {split, byte_level(false)}}}},
                    {"post_processor", template_of(kBegin, tokens.size())},
                    {"decoder", byte_level(true)},
                    {"model", model}});
  // Without it transformers opens the file, but knows no special token by its role.
  write_json(path.parent_path() / "tokenizer_config.json", {{"tokenizer_class", "PreTrainedTokenizerFast"},
                                                            {"bos_token", kBegin},
                                                            {"eos_token", kEnd},
                                                            {"pad_token", kPad},
                                                            {"clean_up_tokenization_spaces", false}});
}

}  // namespace dehvf
