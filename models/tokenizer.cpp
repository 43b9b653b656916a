#include "models/tokenizer.h"

#include <algorithm>

#include "core/error.h"
#include "core/io/file.h"
#include "models/tokenizer/model.h"

namespace dehvf {
namespace {

constexpr size_t kMaxTextBytes = size_t(1) << 30;  // symbol indices are 32 bits wide

bool is_json(std::string_view bytes) {
  const size_t at = bytes.find_first_not_of(" \t\r\n");
  return at != bytes.npos && bytes[at] == '{';
}

// The first line of a rank text: base64, one space, digits.
bool is_rank_text(std::string_view bytes) {
  const std::string_view line = bytes.substr(0, bytes.find('\n'));
  const size_t space = line.find(' ');
  if (space == 0 || space == line.npos || space + 1 == line.size()) return false;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto is_base64 = [&](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' || c == '/' ||
           c == '=';
  };
  const std::string_view rank = line.substr(space + 1);
  return std::all_of(line.begin(), line.begin() + std::ptrdiff_t(space), is_base64) &&
         std::all_of(rank.begin(), rank.end(), is_digit);
}

std::filesystem::path file_in(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) return path;
  for (const char* name : {"tokenizer.model", "tokenizer.json"})
    if (std::filesystem::exists(path / name, ignored)) return path / name;
  fail<IoError>(path.string(), ": wanted tokenizer.model or tokenizer.json in this folder, found neither");
}

}  // namespace

std::unique_ptr<TokenizerModel> read_tokenizer(std::string_view bytes, std::string_view path) {
  if (is_json(bytes)) return read_tokenizer_json(bytes, path);
  if (bytes.starts_with('\x0a')) return read_sentencepiece(bytes, path);
  if (is_rank_text(bytes)) return read_rank_text(bytes, path);
  fail<IoError>(path, ": wanted a SentencePiece model, a rank text or a tokenizer.json, found ",
                bytes.empty() ? "an empty file" : "'" + printable(bytes, 24) + "'");
}

Tokenizer::Tokenizer(std::unique_ptr<const TokenizerModel> model) : model_(std::move(model)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool add_bos) const {
  require<ConfigError>(text.size() <= kMaxTextBytes, "encode: text has ", text.size(),
                       " bytes, wanted at most ", kMaxTextBytes);
  require<ConfigError>(!add_bos || model_->bos >= 0, "encode: this ", model_->kind,
                       " vocabulary has no begin-of-text token");
  std::vector<int32_t> ids = model_->encode(text);
  if (add_bos) ids.insert(ids.begin(), model_->bos);
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  for (const int32_t id : ids)
    require<IoError>(id >= 0 && id < vocab_size(), "decode: token id ", id, " is outside the vocabulary of ",
                     vocab_size());
  return model_->decode(ids);
}

int Tokenizer::bos() const { return model_->bos; }
int Tokenizer::eos() const { return model_->eos; }
int Tokenizer::pad() const { return model_->pad; }
int Tokenizer::unk() const { return model_->unk; }
int Tokenizer::vocab_size() const { return int(model_->pieces.size()); }
std::string Tokenizer::kind() const { return model_->kind; }
std::string Tokenizer::fingerprint() const { return model_->fingerprint; }

std::string Tokenizer::piece(int32_t id) const {
  require<IoError>(id >= 0 && id < vocab_size(), "piece: token id ", id, " is outside the vocabulary of ",
                   vocab_size());
  return printable(model_->pieces[size_t(id)]);
}

std::unique_ptr<Tokenizer> open_tokenizer(const std::filesystem::path& path) {
  const std::filesystem::path file = file_in(path);
  return std::make_unique<Tokenizer>(read_tokenizer(read_file(file), file.string()));
}

}  // namespace dehvf
