// LLaMA-3's own tokenizer.model: a line "base64 rank" for each token; the special tokens are not in the file.
#include <algorithm>
#include <charconv>
#include <optional>

#include "core/error.h"
#include "core/io/file.h"
#include "models/tokenizer/byte_level.h"

namespace dehvf {
namespace {

constexpr int kSpecialTokens = 256;

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

std::optional<std::string> decode_base64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  std::string bytes;
  uint32_t bits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool padded = i >= text.size() - padding;
    const int value = padded ? 0 : base64_value(text[i]);
    if (value < 0) return std::nullopt;
    bits = bits << 6 | uint32_t(value);
    if (i % 4 == 3) bytes += {char(bits >> 16), char(bits >> 8), char(bits)};
  }
  bytes.resize(bytes.size() - padding);
  return bytes;
}

// The tokens in the order of their ranks, which are 0, 1, 2, ... in any order of lines.
std::vector<std::string> read_tokens(std::string_view text, std::string_view path) {
  std::vector<std::pair<std::string, size_t>> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t space = std::min(line.find(' '), line.size());
    const auto token = decode_base64(line.substr(0, space));
    const std::string_view digits = line.substr(std::min(space + 1, line.size()));
    size_t rank = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), rank);
    require<IoError>(token && parsed.ec == std::errc() && parsed.ptr == digits.data() + digits.size(), path,
                     ": line ", lines.size() + 1, ": wanted 'base64 rank', found '", printable(line, 60),
                     "'");
    lines.emplace_back(*token, rank);
  }
  std::vector<std::string> tokens(lines.size());
  for (auto& [token, rank] : lines) {
    require<IoError>(rank < tokens.size(), path, ": wanted ranks 0 to ", tokens.size() - 1, ", found ", rank);
    require<IoError>(tokens[rank].empty(), path, ": rank ", rank, " stands twice");
    tokens[rank] = std::move(token);
  }
  return tokens;
}

std::vector<std::string> special_names() {
  std::vector<std::string> names = {"<|begin_of_text|>",
                                    "<|end_of_text|>",
                                    "<|reserved_special_token_0|>",
                                    "<|reserved_special_token_1|>",
                                    "<|reserved_special_token_2|>",
                                    "<|reserved_special_token_3|>",
                                    "<|start_header_id|>",
                                    "<|end_header_id|>",
                                    "<|reserved_special_token_4|>",
                                    "<|eot_id|>"};
  for (int i = 5; int(names.size()) < kSpecialTokens; ++i)
    names.push_back("<|reserved_special_token_" + std::to_string(i) + "|>");
  return names;
}

// The file names no merges: two tokens merge where their bytes together are a token, lowest rank first.
void add_merges(ByteLevelModel& model) {
  for (const auto& [token, id] : model.words)
    for (size_t cut = 1; cut < token.size(); ++cut) {
      const auto left = model.words.find(std::string_view(token).substr(0, cut));
      const auto right = model.words.find(std::string_view(token).substr(cut));
      if (left != model.words.end() && right != model.words.end())
        model.merges.add(left->second, right->second, id, id);
    }
}

}  // namespace

std::unique_ptr<TokenizerModel> read_rank_text(std::string_view bytes, std::string_view path) {
  auto model = std::make_unique<ByteLevelModel>();
  model->kind = "rank text";
  model->pieces = read_tokens(bytes, path);
  for (size_t id = 0; id < model->pieces.size(); ++id) {
    const auto [entry, added] = model->words.emplace(model->pieces[id], int32_t(id));
    require<IoError>(added, path, ": token '", printable(entry->first), "' stands twice, ranks ",
                     entry->second, " and ", id);
  }
  for (size_t byte = 0; byte < 256; ++byte) {
    const auto found = model->words.find(std::string(1, char(byte)));
    require<IoError>(found != model->words.end(), path, ": byte ", byte, " has no token");
    model->byte_ids[byte] = found->second;
  }
  add_merges(*model);
  model->special.assign(model->pieces.size(), false);
  model->bos = int(model->pieces.size()), model->eos = model->bos + 1;
  for (auto& name : special_names()) model->pieces.push_back(std::move(name)), model->special.push_back(true);
  model->set_fingerprint("");
  return model;
}

}  // namespace dehvf
