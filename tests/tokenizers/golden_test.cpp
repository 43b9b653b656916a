// Ids and texts of SentencePiece, tokenizers and tiktoken over 3,000 odd strings
// (tests/golden/make_tokenizers.py).
#include <gtest/gtest.h>

#include "core/io/file.h"
#include "core/io/json.h"
#include "models/safetensors.h"
#include "models/tokenizer.h"

namespace dehvf {
namespace {

using Ids = std::vector<int32_t>;

std::filesystem::path golden(const char* name) {
  return std::filesystem::path(DEHVF_SOURCE_DIR) / "tests/golden/tokenizers" / name;
}

std::vector<std::string> strings() {
  return read_json(golden("strings.json")).get<std::vector<std::string>>();
}

// The lists of `ids`, cut by `offsets`.
std::vector<Ids> read_lists(const char* name) {
  const SafetensorsFile file(golden(name));
  const Tensor ids = file.load("ids"), offsets = file.load("offsets");
  const auto* begin = ids.data<int32_t>();
  const auto* at = offsets.data<int32_t>();
  std::vector<Ids> lists;
  for (int64_t i = 0; i + 1 < offsets.count(); ++i) lists.emplace_back(begin + at[i], begin + at[i + 1]);
  return lists;
}

std::string unhex(const std::string& text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); i += 2) bytes += char(std::stoi(text.substr(i, 2), nullptr, 16));
  return bytes;
}

// `exceptions` maps a string's number to what it decodes to, where that is not the string.
void expect_all(const Tokenizer& tokenizer, const std::vector<Ids>& wanted, const Json& exceptions) {
  const auto texts = strings();
  ASSERT_EQ(texts.size(), 3000u);
  ASSERT_EQ(wanted.size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    SCOPED_TRACE(std::to_string(i) + ": " + printable(texts[i]));
    ASSERT_EQ(tokenizer.encode(texts[i], false), wanted[i]);
    Ids with_bos = wanted[i];
    with_bos.insert(with_bos.begin(), tokenizer.bos());
    ASSERT_EQ(tokenizer.encode(texts[i], true), with_bos);
    ASSERT_EQ(tokenizer.decode(wanted[i]), exceptions.value(std::to_string(i), texts[i]));
  }
}

void expect_ids(const Tokenizer& tokenizer, int bos, int eos, int pad, int unk, int size) {
  EXPECT_EQ(tokenizer.bos(), bos);
  EXPECT_EQ(tokenizer.eos(), eos);
  EXPECT_EQ(tokenizer.pad(), pad);
  EXPECT_EQ(tokenizer.unk(), unk);
  EXPECT_EQ(tokenizer.vocab_size(), size);
}

TEST(TokenizerGolden, SentencePiece) {
  const auto tokenizer = open_tokenizer(golden("sentencepiece"));
  const Json expected = read_json(golden("sentencepiece/expected.json"));
  EXPECT_EQ(tokenizer->kind(), "sentencepiece");
  expect_ids(*tokenizer, expected["bos"], expected["eos"], expected["pad"], expected["unk"],
             expected["vocab"]);
  expect_all(*tokenizer, read_lists("sentencepiece/ids.safetensors"),
             expected["decoded_where_not_the_string"]);
  for (const Json& sample : expected["invalid_utf8"])
    EXPECT_EQ(tokenizer->encode(unhex(sample["hex"]), false), sample["ids"].get<Ids>()) << sample;
  for (const Json& sample : expected["decoded_ids"])
    EXPECT_EQ(tokenizer->decode(sample["ids"].get<Ids>()), sample["text"].get<std::string>()) << sample;
}

TEST(TokenizerGolden, SpaceMarkerJson) {
  const auto tokenizer = open_tokenizer(golden("llama2_json"));
  const Json expected = read_json(golden("llama2_json/expected.json"));
  EXPECT_EQ(tokenizer->kind(), "space-marker bpe");
  expect_ids(*tokenizer, 1, 2, -1, 0, 700);
  auto wanted = read_lists("sentencepiece/ids.safetensors");
  for (const auto& [index, ids] : expected["ids_where_not_sentencepiece"].items())
    wanted[std::stoul(index)] = ids.get<Ids>();
  const Json sentencepiece = read_json(golden("sentencepiece/expected.json"));
  expect_all(*tokenizer, wanted, sentencepiece["decoded_where_not_the_string"]);
}

TEST(TokenizerGolden, ByteLevelJsonAndRankText) {
  const Json expected = read_json(golden("llama3_expected.json"));
  const auto wanted = read_lists("llama3_ids.safetensors");
  const Json& decoded = expected["decoded_where_not_the_string"];
  const int base = expected["base_vocabulary"];
  for (const char* name : {"llama3_merges_as_arrays", "llama3_merges_as_strings"}) {
    const auto tokenizer = open_tokenizer(golden(name));
    EXPECT_EQ(tokenizer->kind(), "byte-level bpe");
    expect_ids(*tokenizer, base, base + 1, -1, -1, base + 16);
    expect_all(*tokenizer, wanted, decoded);
  }
  const auto ranks = open_tokenizer(golden("llama3_ranks"));
  EXPECT_EQ(ranks->kind(), "rank text");
  expect_ids(*ranks, base, base + 1, -1, -1, base + 256);
  const auto names = expected["specials_after_the_rank_file"].get<std::vector<std::string>>();
  for (size_t i = 0; i < names.size(); ++i) EXPECT_EQ(ranks->piece(base + int(i)), names[i]);
  auto rank_ids = wanted;
  for (const auto& [index, ids] : expected["rank_ids_where_not_ids"].items())
    rank_ids[std::stoul(index)] = ids.get<Ids>();
  expect_all(*ranks, rank_ids, decoded);
}

// The libraries would read control tokens out of these strings unless told not to; encode never does.
TEST(TokenizerGolden, ControlTokensInTextStayText) {
  const auto texts = strings();
  const Json expected = read_json(golden("llama3_expected.json"));
  const auto tokenizer = open_tokenizer(golden("llama3_ranks"));
  const int base = expected["base_vocabulary"];
  const Json& parsed = expected["parsed_where_not_bos_and_ids"];
  ASSERT_GT(parsed.size(), 100u);
  for (const auto& [index, ids] : parsed.items())
    for (const int32_t id : tokenizer->encode(texts[std::stoul(index)], false)) EXPECT_LT(id, base);
}

TEST(TokenizerGolden, FingerprintTellsVocabulariesApart) {
  const auto arrays = open_tokenizer(golden("llama3_merges_as_arrays"))->fingerprint();
  EXPECT_EQ(arrays, open_tokenizer(golden("llama3_merges_as_strings"))->fingerprint());
  EXPECT_EQ(arrays.size(), 16u);
  EXPECT_NE(arrays, open_tokenizer(golden("llama3_ranks"))->fingerprint());
  EXPECT_NE(open_tokenizer(golden("sentencepiece"))->fingerprint(),
            open_tokenizer(golden("llama2_json"))->fingerprint());
}

}  // namespace
}  // namespace dehvf
