// Text to token ids and back, for the tokenizer files that come with LLaMA checkpoints.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dehvf {

struct TokenizerModel;

/// Immutable; its methods may be called by several threads at once.
class Tokenizer {
 public:
  explicit Tokenizer(std::unique_ptr<const TokenizerModel> model);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  /// Ids of `text`. All of it is plain text: "<s>" or "<|end_of_text|>" inside it never becomes a control id,
  /// so markers of a prompt are put in by id. Bytes that are not UTF-8 are read as U+FFFD: each byte by
  /// SentencePiece, each maximal subpart of a sequence by the other kinds (as Python's errors="replace"
  /// does). Throws ConfigError when `add_bos` is set and the vocabulary has no such token.
  std::vector<int32_t> encode(std::string_view text, bool add_bos) const;
  /// Valid UTF-8; special tokens are left out. Throws IoError for an id outside the vocabulary.
  std::string decode(std::span<const int32_t> ids) const;

  int bos() const;  // -1 where the vocabulary has no such token; also the next three
  int eos() const;
  int pad() const;
  int unk() const;
  int vocab_size() const;
  std::string piece(int32_t id) const;  // safe to print; throws as decode
  std::string kind() const;  // "sentencepiece", "rank text", "byte-level bpe" or "space-marker bpe"
  /// 16 hexadecimal digits, XXH3 of kind, pieces and merges or scores: equal when ids mean the same.
  std::string fingerprint() const;

 private:
  std::unique_ptr<const TokenizerModel> model_;
};

/// Opens a SentencePiece model (LLaMA-1 and 2), LLaMA-3's rank text, or a tokenizer.json with a LLaMA-style
/// BPE, recognised by content. In a folder: tokenizer.model, else tokenizer.json. Throws IoError in one line
/// for anything else, naming the part that was found instead.
std::unique_ptr<Tokenizer> open_tokenizer(const std::filesystem::path& path);

/// Writes a tokenizer.json (byte-level BPE, LLaMA-3's split, ignore_merges): the 256 bytes, then each word
/// without and with a space before it as one token, then <|begin_of_text|>, <|end_of_text|>, <|pad|>. A
/// tokenizer_config.json beside it tells other programs what those three are for. The same words give the
/// same bytes. Throws ConfigError for a word that LLaMA-3's split would cut.
void write_byte_level_tokenizer(const std::filesystem::path& path, std::span<const std::string> words);

}  // namespace dehvf
