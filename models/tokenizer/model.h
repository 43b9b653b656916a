// What each kind of tokenizer provides to Tokenizer, and the readers of the three file formats.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dehvf {

struct TokenizerModel {
  std::string kind;
  std::vector<std::string> pieces;  // bytes that an id stands for, or the name of a special token
  std::vector<bool> special;        // one an id: left out by decode
  int bos = -1, eos = -1, pad = -1, unk = -1;
  std::string fingerprint;

  virtual ~TokenizerModel() = default;
  virtual std::vector<int32_t> encode(std::string_view text) const = 0;  // without bos
  virtual std::string decode(std::span<const int32_t> ids) const = 0;    // ids are inside the vocabulary

  /// The first of `names` that is a special token, else -1.
  int find_special(std::span<const std::string_view> names) const;
  void set_fingerprint(std::string_view rest);  // from kind, pieces, special and `rest`
};

// `bytes` is the file, `path` its name for messages; all throw IoError. The first recognises the other three.
std::unique_ptr<TokenizerModel> read_tokenizer(std::string_view bytes, std::string_view path);
std::unique_ptr<TokenizerModel> read_sentencepiece(std::string_view bytes, std::string_view path);
std::unique_ptr<TokenizerModel> read_rank_text(std::string_view bytes, std::string_view path);
std::unique_ptr<TokenizerModel> read_tokenizer_json(std::string_view bytes, std::string_view path);

}  // namespace dehvf
