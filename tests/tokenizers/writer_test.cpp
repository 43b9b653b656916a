#include <gmock/gmock.h>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "models/tokenizer.h"
#include "scratch.h"

namespace dehvf {
namespace {

using std::string_literals::operator""s;

const std::vector<std::string> kWords = {"red",  "circle", "red", "left", "naïve",
                                         "日本", "42",     "...", "a",    "don"};

TEST(ByteLevelWriter, EachWordIsOneToken) {
  const Scratch scratch;
  write_byte_level_tokenizer(scratch / "tokenizer.json", kWords);
  const auto tokenizer = open_tokenizer(scratch.path());
  EXPECT_EQ(tokenizer->kind(), "byte-level bpe");
  for (const auto& word : kWords) EXPECT_EQ(tokenizer->encode(word, false).size(), 1u) << word;
  for (const char* word : {" red", " circle", " naïve", " 日本", " ..."})
    EXPECT_EQ(tokenizer->encode(word, false).size(), 1u) << word;
  EXPECT_EQ(tokenizer->encode("A red circle, left.", false).size(),
            6u);  // "A" " red" " circle" "," " left" "."
  // 256 bytes, 9 words once ("a" is a byte already), 9 with a space (not "42"), 3 special tokens.
  EXPECT_EQ(tokenizer->vocab_size(), 256 + 8 + 8 + 3);
}

TEST(ByteLevelWriter, WordsNeedIgnoreMerges) {
  const Scratch scratch;
  write_byte_level_tokenizer(scratch / "t", kWords);
  Json json = read_json(scratch / "t");
  json["model"]["ignore_merges"] = false;
  write_json(scratch / "t", json);
  EXPECT_EQ(open_tokenizer(scratch / "t")->encode("red", false), (std::vector<int32_t>{'r', 'e', 'd'}));
}

TEST(ByteLevelWriter, SpecialTokens) {
  const Scratch scratch;
  write_byte_level_tokenizer(scratch / "tokenizer.json", kWords);
  const auto tokenizer = open_tokenizer(scratch / "tokenizer.json");
  const int size = tokenizer->vocab_size();
  EXPECT_EQ(tokenizer->bos(), size - 3);
  EXPECT_EQ(tokenizer->eos(), size - 2);
  EXPECT_EQ(tokenizer->pad(), size - 1);
  EXPECT_EQ(tokenizer->unk(), -1);
  EXPECT_EQ(tokenizer->piece(size - 3), "<|begin_of_text|>");
  EXPECT_EQ(tokenizer->encode("", true), std::vector<int32_t>{size - 3});
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>{size - 3, 'h', 'i', size - 2, size - 1}), "hi");
  EXPECT_EQ(tokenizer->piece('\n'), "\\x0a");
  const std::string typed = "x<|end_of_text|><|pad|>";
  for (const int32_t id : tokenizer->encode(typed, false)) EXPECT_LT(id, size - 3);
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(typed, true)), typed);

  const Json roles = read_json(scratch / "tokenizer_config.json");
  EXPECT_EQ(roles.value("bos_token", ""), tokenizer->piece(size - 3));
  EXPECT_EQ(roles.value("eos_token", ""), tokenizer->piece(size - 2));
  EXPECT_EQ(roles.value("pad_token", ""), tokenizer->piece(size - 1));
}

TEST(ByteLevelWriter, RoundTripsAnyTextAndRepairsBytes) {
  const Scratch scratch;
  write_byte_level_tokenizer(scratch / "tokenizer.json", kWords);
  const auto tokenizer = open_tokenizer(scratch.path());
  const std::string text = "red  circle\r\n\t\0 👩‍👧 é\u0301 ٣٤"s;
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, false)), text);
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("a\xff\xe4\xb8", false)), "a\ufffd\ufffd");
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>{'a', 0xe4, 0xb8}), "a\ufffd");
}

TEST(ByteLevelWriter, SameWordsSameBytes) {
  const Scratch scratch;
  write_byte_level_tokenizer(scratch / "a", kWords);
  write_byte_level_tokenizer(scratch / "b", kWords);
  EXPECT_EQ(read_file(scratch / "a"), read_file(scratch / "b"));
  write_byte_level_tokenizer(scratch / "b", std::vector<std::string>{"blue"});
  EXPECT_NE(open_tokenizer(scratch / "a")->fingerprint(), open_tokenizer(scratch / "b")->fingerprint());
}

TEST(ByteLevelWriter, RefusesWhatCannotBeOneToken) {
  const Scratch scratch;
  for (const char* word : {"", "two words", "don't", "12345", "a\xff", "x\ny"})
    EXPECT_THROW(write_byte_level_tokenizer(scratch / "t", std::vector<std::string>{"fine", word}),
                 ConfigError)
        << printable(word);
  EXPECT_FALSE(std::filesystem::exists(scratch / "t"));
}

}  // namespace
}  // namespace dehvf
