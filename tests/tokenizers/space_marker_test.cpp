// Ids and texts are those of the tokenizers library 0.23 for the same file.
#include <gtest/gtest.h>

#include "models/tokenizer.h"
#include "scratch.h"
#include "space_marker_json.h"

namespace dehvf {
namespace {

using Ids = std::vector<int32_t>;

std::unique_ptr<Tokenizer> opened(const Json& json) {
  const Scratch scratch;
  write_json(scratch / "t", json);
  return open_tokenizer(scratch / "t");
}

void expect_lists(const Json& json, const std::vector<Ids>& wanted) {
  const std::vector<std::string> texts = {"ab", " ab", "a b", "", "xya", "xéya", "é", " "};
  const auto tokenizer = opened(json);
  ASSERT_EQ(wanted.size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i)
    EXPECT_EQ(tokenizer->encode(texts[i], false), wanted[i]) << texts[i];
}

Json with_metaspace(const char* scheme) {
  Json json = space_marker_json();
  json["normalizer"] = nullptr;
  json["pre_tokenizer"] = {
      {"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", scheme}, {"split", false}};
  return json;
}

Json with_option(const char* key, const Json& value) {
  Json json = space_marker_json();
  json["model"][key] = value;
  return json;
}

TEST(SpaceMarker, PrefixRules) {
  const std::vector<Ids> always = {{7, 6},    {4, 7, 6},       {7, 4, 6}, {},
                                   {4, 0, 5}, {4, 2, 3, 0, 5}, {4, 2, 3}, {4, 4}};
  const std::vector<Ids> first = {{7, 6}, {7, 6}, {7, 4, 6}, {}, {4, 0, 5}, {4, 2, 3, 0, 5}, {4, 2, 3}, {4}};
  const std::vector<Ids> never = {{8}, {7, 6}, {5, 4, 6}, {}, {0, 5}, {2, 3, 0, 5}, {2, 3}, {4}};
  expect_lists(space_marker_json(), always);
  expect_lists(with_metaspace("first"), first);
  expect_lists(with_metaspace("never"), never);
  Json replace_only = space_marker_json();
  replace_only["normalizer"]["normalizers"].erase(0);
  expect_lists(replace_only, never);
}

TEST(SpaceMarker, UnknownCharacters) {
  expect_lists(with_option("fuse_unk", false),
               {{7, 6}, {4, 7, 6}, {7, 4, 6}, {}, {4, 0, 0, 5}, {4, 2, 3, 0, 0, 5}, {4, 2, 3}, {4, 4}});
  expect_lists(with_option("byte_fallback", false),
               {{7, 6}, {4, 7, 6}, {7, 4, 6}, {}, {4, 0, 5}, {4, 0, 5}, {4, 0}, {4, 4}});
  expect_lists(with_option("unk_token", nullptr),
               {{7, 6}, {4, 7, 6}, {7, 4, 6}, {}, {7}, {4, 2, 3, 5}, {4, 2, 3}, {4, 4}});
}

TEST(SpaceMarker, Decode) {
  const auto tokenizer = opened(space_marker_json());
  EXPECT_EQ(tokenizer->decode(Ids{2, 3}), "é");
  EXPECT_EQ(tokenizer->decode(Ids{2}), "\ufffd");
  EXPECT_EQ(tokenizer->decode(Ids{2, 2, 3}), "\ufffd\ufffd\ufffd");
  EXPECT_EQ(tokenizer->decode(Ids{2, 1, 3}), "é");
  EXPECT_EQ(tokenizer->decode(Ids{4, 4, 5}), " a");
  EXPECT_EQ(tokenizer->decode(Ids{1, 4, 5}), "a");
  EXPECT_EQ(tokenizer->decode(Ids{7, 6, 3, 5}), "ab\ufffda");
}

TEST(SpaceMarker, DecodeKeepsTheSpaceWithoutStrip) {
  Json json = space_marker_json();
  json["decoder"]["decoders"].erase(3);
  EXPECT_EQ(opened(json)->decode(Ids{4, 4, 5}), "  a");
}

// The encoder reads invalid UTF-8 as U+FFFD, whose bytes this vocabulary lacks: unk.
TEST(SpaceMarker, InvalidUtf8) {
  EXPECT_EQ(opened(space_marker_json())
                ->encode("a\xff\xe4\xb8"
                         "b",
                         false),
            (Ids{7, 0, 6}));
}

}  // namespace
}  // namespace dehvf
