// Every damaged or foreign file is refused by one line that says what was found.
#include <functional>

#include <gmock/gmock.h>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "models/tokenizer.h"
#include "scratch.h"
#include "space_marker_json.h"

namespace dehvf {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// What open_tokenizer says about a file of these bytes; empty when it opens.
std::string refusal(std::string_view bytes) {
  const Scratch scratch;
  write_file(scratch / "file", bytes);
  try {
    open_tokenizer(scratch / "file");
    return "";
  } catch (const IoError& error) {
    return error.what();
  }
}

void expect_refused(std::string_view bytes, const std::string& reason) {
  const std::string message = refusal(bytes);
  EXPECT_THAT(message, AllOf(HasSubstr(reason), HasSubstr("file: "), Not(HasSubstr("\n"))));
  EXPECT_LT(message.size(), 600u);
}

Json byte_level_json() {
  const Scratch scratch;
  write_byte_level_tokenizer(scratch / "t", std::vector<std::string>{"red", "blue"});
  return read_json(scratch / "t");
}

struct Case {
  const char* name;
  std::function<void(Json&)> damage;
  const char* reason;
};

void expect_each_refused(const Json& good, const std::vector<Case>& cases) {
  ASSERT_EQ(refusal(good.dump()), "");
  for (const auto& [name, damage, reason] : cases) {
    SCOPED_TRACE(name);
    Json damaged = good;
    damage(damaged);
    expect_refused(damaged.dump(), reason);
  }
}

TEST(BadTokenizer, ByteLevelJson) {
  expect_each_refused(
      byte_level_json(),
      {{"no model", [](Json& j) { j.erase("model"); }, "key 'model': wanted object, found nothing"},
       {"model is a list", [](Json& j) { j["model"] = Json::array(); }, "wanted object, found array"},
       {"unigram", [](Json& j) { j["model"]["type"] = "Unigram"; }, "wanted type BPE, found Unigram"},
       {"word piece", [](Json& j) { j["model"]["type"] = "WordPiece"; }, "found WordPiece"},
       {"vocab is a list", [](Json& j) { j["model"]["vocab"] = Json::array(); },
        "key 'vocab': wanted object"},
       {"id is text", [](Json& j) { j["model"]["vocab"]["a"] = "97"; }, "id of token 'a': wanted an integer"},
       {"negative id", [](Json& j) { j["model"]["vocab"]["a"] = -1; }, "id of token 'a': wanted 0 to 262"},
       {"huge id", [](Json& j) { j["model"]["vocab"]["a"] = uint64_t(1) << 40; },
        "id of token 'a': wanted 0 to"},
       {"id twice", [](Json& j) { j["model"]["vocab"]["a"] = 98; }, "id 98 stands twice, for 'a' and 'b'"},
       {"added id twice", [](Json& j) { j["added_tokens"][0]["id"] = 98; }, "id 98 stands twice"},
       {"two ids for a token", [](Json& j) { j["added_tokens"][0]["content"] = "a"; },
        "but in model.vocab 97"},
       {"added without content", [](Json& j) { j["added_tokens"][0].erase("content"); },
        "'content' is missing"},
       {"added is text", [](Json& j) { j["added_tokens"] = "x"; },
        "'added_tokens': wanted array, found string"},
       {"hole", [](Json& j) { j["model"]["vocab"].erase("a"); },
        "id of token '<|pad|>': wanted 0 to 261, found 262"},
       {"missing byte", [](Json& j) { j["model"]["vocab"].erase("b"), j["model"]["vocab"]["bb"] = 98; },
        "byte 98 has no token"},
       {"merges is null", [](Json& j) { j["model"]["merges"] = nullptr; },
        "key 'merges': wanted array, found null"},
       {"unknown left", [](Json& j) { j["model"]["merges"] = {"rx e"}; }, "needs token 'rx', which is not"},
       {"unknown result", [](Json& j) { j["model"]["merges"] = {"r e"}; }, "needs token 're', which is not"},
       {"merge of three", [](Json& j) { j["model"]["merges"] = {"r e d"}; },
        "wanted \"a b\" or [\"a\", \"b\"]"},
       {"merge of numbers",
        [](Json& j) {
          j["model"]["merges"] = {{1, 2}};
        },
        "found [1,2]"},
       {"merge twice",
        [](Json& j) {
          j["model"]["vocab"]["re"] = 263, j["model"]["merges"] = {"r e", "r e"};
        },
        "'r' with 'e' stands twice"},
       {"dropout", [](Json& j) { j["model"]["dropout"] = 0.1; }, "wanted no dropout, found 0.1"},
       {"suffix", [](Json& j) { j["model"]["end_of_word_suffix"] = "</w>"; }, "wanted no end_of_word_suffix"},
       {"unknown unk", [](Json& j) { j["model"]["unk_token"] = "[UNK]"; }, "unk_token '[UNK]' is not"},
       {"flag is text", [](Json& j) { j["model"]["ignore_merges"] = "yes"; },
        "wanted true or false, found \"yes\""},
       {"normalizer",
        [](Json& j) {
          j["normalizer"] = {{"type", "NFC"}};
        },
        "normalizer: wanted null before"},
       {"pre-tokenizer",
        [](Json& j) {
          j["pre_tokenizer"] = {{"type", "Whitespace"}};
        },
        "found Whitespace"},
       {"gpt-2 regex", [](Json& j) { j["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "x+"; },
        "found Sequence[Split {\"Regex\":\"x+\"}, ByteLevel]"},
       {"prefix space", [](Json& j) { j["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = true; },
        "a ByteLevel without prefix and regex"},
       {"post-processor",
        [](Json& j) {
          j["post_processor"] = {{"type", "BertProcessing"}};
        },
        "found BertProcessing"},
       {"eos template",
        [](Json& j) {
          auto& s = j["post_processor"]["single"];
          s = {s[0], s[1], s[0]};
        },
        "wanted a template of the text alone or behind one special token"},
       {"unknown bos", [](Json& j) { j["post_processor"]["single"][0]["SpecialToken"]["id"] = "<s>"; },
        "post_processor: '<s>' is not a special token"},
       {"decoder", [](Json& j) { j["decoder"] = nullptr; }, "decoder: wanted ByteLevel, found null"}});
}

TEST(BadTokenizer, SpaceMarkerJson) {
  expect_each_refused(
      space_marker_json(),
      {{"hole", [](Json& j) { j["model"]["vocab"]["ab"] = 10; }, "found no token with id 8"},
       {"no normalizer", [](Json& j) { j["normalizer"] = nullptr; }, "normalizer: wanted Prepend U+2581"},
       {"other prefix", [](Json& j) { j["normalizer"]["normalizers"][0]["prepend"] = "_"; },
        "found Sequence[Prepend, Replace]"},
       {"both",
        [](Json& j) {
          j["pre_tokenizer"] = {{"type", "Metaspace"}};
        },
        "wanted null before a Metaspace"},
       {"metaspace that splits",
        [](Json& j) {
          j["normalizer"] = nullptr;
          j["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "first"}};
        },
        "wanted a Metaspace with replacement U+2581 and split false"},
       {"metaspace scheme",
        [](Json& j) {
          j["normalizer"] = nullptr;
          j["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "▁"}, {"split", false}};
        },
        "wanted prepend_scheme first, always or never, found null"},
       {"decoder", [](Json& j) { j["decoder"]["decoders"].erase(1); }, "decoder: wanted Sequence[Replace"},
       {"strip", [](Json& j) { j["decoder"]["decoders"][3]["start"] = 2; },
        "found Sequence[Replace, ByteFallback"},
       {"ignore merges", [](Json& j) { j["model"]["ignore_merges"] = true; },
        "ignore_merges only with a byte-level"}});
}

TEST(BadTokenizer, RankText) {
  std::string good;
  const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<std::string> lines;
  for (int byte = 0; byte < 256; ++byte)
    lines.push_back(concat(digits[byte >> 2], digits[byte % 4 << 4], "== ", byte));
  lines.push_back("YWI= 256");
  const auto joined = [](const std::vector<std::string>& all) {
    std::string text;
    for (const auto& line : all) text += line + '\n';
    return text;
  };
  ASSERT_EQ(refusal(joined(lines)), "");
  const auto with = [&](size_t at, const char* line) {
    auto changed = lines;
    changed[at] = line;
    return joined(changed);
  };
  expect_refused(with(97, "YQ= 97"), "line 98: wanted 'base64 rank', found 'YQ= 97'");
  expect_refused(with(97, "YQ== 97x"), "line 98");
  expect_refused(with(97, "YQ=="), "line 98");
  expect_refused(with(97, "YQ== 99999999999999999999"), "line 98");
  expect_refused(with(97, "YQ== 300"), "wanted ranks 0 to 256, found 300");
  expect_refused(with(97, "YQ== 98"), "rank 98 stands twice");
  expect_refused(with(256, "YQ== 256"), "token 'a' stands twice, ranks 97 and 256");
  expect_refused(with(97, "YWE= 97"), "byte 97 has no token");
  expect_refused(joined({lines.begin(), lines.begin() + 100}), "byte 100 has no token");
}

TEST(BadTokenizer, ForeignFiles) {
  expect_refused("", "found an empty file");
  expect_refused("hello world\n", "found 'hello world\\x0a'");
  expect_refused(std::string("PK\3\4\0\0", 6), "found 'PK\\x03\\x04\\x00\\x00'");
  expect_refused("{\"model\": ", "invalid JSON");
  expect_refused("{}", "key 'model': wanted object, found nothing");
  expect_refused("{\"a\": 1, \"a\": 2}", "key 'a' stands twice");
  expect_refused("\n\x0e\n\x05<unk>", "wanted a SentencePiece model");
  const Scratch scratch;
  EXPECT_THROW(open_tokenizer(scratch / "absent"), IoError);
  EXPECT_THROW(open_tokenizer(scratch.path()), IoError);
}

TEST(BadTokenizer, IdsOutsideTheVocabulary) {
  const Scratch scratch;
  write_byte_level_tokenizer(scratch / "t", std::vector<std::string>{});
  const auto tokenizer = open_tokenizer(scratch / "t");
  EXPECT_EQ(tokenizer->vocab_size(), 259);
  for (const int32_t id : {-1, 259, INT32_MAX, INT32_MIN}) {
    EXPECT_THROW(tokenizer->decode(std::vector<int32_t>{97, id}), IoError) << id;
    EXPECT_THROW(tokenizer->piece(id), IoError) << id;
  }
}

TEST(BadTokenizer, NoBeginToken) {
  const Scratch scratch;
  Json without = space_marker_json();
  without["post_processor"] = nullptr;
  without["added_tokens"].erase(1);
  write_json(scratch / "t", without);
  const auto tokenizer = open_tokenizer(scratch / "t");
  EXPECT_EQ(tokenizer->bos(), -1);
  EXPECT_EQ(tokenizer->encode("a b", false), (std::vector<int32_t>{7, 4, 6}));
  EXPECT_THROW(tokenizer->encode("a", true), ConfigError);
}

}  // namespace
}  // namespace dehvf
