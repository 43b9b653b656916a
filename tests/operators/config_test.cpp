// Every registered operator: what it says to keys and values that it does not know.
#include <gmock/gmock.h>

#include "core/io/file.h"
#include "operators/tiny.h"
#include "support/message.h"

namespace dehvf {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class OperatorConfig : public testing::TestWithParam<std::string> {
 protected:
  static std::string complaint(const std::map<std::string, std::string>& options) {
    return message_of<ConfigError>([&] {
      FusionConfig config(options);
      make_fusion(GetParam(), fusion_shapes(llama_7b(), clip_l14()), config);
    });
  }
};
INSTANTIATE_TEST_SUITE_P(All, OperatorConfig, testing::ValuesIn(Registry<Fusion>::instance().keys()));

TEST_P(OperatorConfig, UnknownKeyIsAnsweredWithTheKnownOnes) {
  const std::string message = complaint({{"colour", "1"}});
  EXPECT_THAT(message, AllOf(HasSubstr("fusion.colour"), HasSubstr(GetParam())));
  const auto keys = tiny::keys_of(GetParam());
  for (const std::string& key : keys) EXPECT_THAT(message, HasSubstr(key));
  if (keys.empty()) EXPECT_THAT(message, HasSubstr("it has none"));
}

TEST_P(OperatorConfig, NoKeyTakesNonsense) {
  for (const std::string& key : tiny::keys_of(GetParam()))
    for (const char* value : {"nonsense", "", "1 2", "nan"})
      EXPECT_THAT(complaint({{key, value}}), AllOf(HasSubstr("fusion." + key), HasSubstr("wanted")));
}

TEST_P(OperatorConfig, SizesAreAboveZero) {
  const auto keys = tiny::keys_of(GetParam());
  for (const char* size :
       {"slots", "rank", "groups", "positions", "level", "embedding", "hidden", "width", "heads", "blocks",
        "queries", "cross_every", "prompts", "layers", "levels", "dim", "pooled"})
    if (std::ranges::find(keys, size) != keys.end())
      for (const char* value : {"0", "-3", "99999999999999999999"})
        EXPECT_THAT(complaint({{size, value}}), HasSubstr(concat("fusion.", size)));
}

TEST_P(OperatorConfig, DefaultsAreResolvedAndMakeTheSameOperator) {
  FusionConfig defaults;
  const auto shapes = fusion_shapes(llama_7b(), clip_l14());
  const auto first = make_fusion(GetParam(), shapes, defaults);
  FusionConfig resolved(defaults.resolved());
  const auto second = make_fusion(GetParam(), shapes, resolved);
  EXPECT_EQ(defaults.resolved(), resolved.resolved());
  EXPECT_EQ(first->cost().live, second->cost().live);
}

TEST(Operators, TheGuideShowsTheExampleAsItIs) {
  const std::filesystem::path root = DEHVF_SOURCE_DIR;
  EXPECT_THAT(read_file(root / "docs/operators.md"),
              HasSubstr("```cpp\n" + read_file(root / "tests/operators/my_idea.cpp") + "```"));
}

TEST(Operators, UnknownNameIsAnsweredWithTheKnownOnes) {
  FusionConfig config;
  EXPECT_THAT(message_of<ConfigError>([&] { make_fusion("dehvg", {}, config); }),
              AllOf(HasSubstr("dehvg"), HasSubstr("dehvf"), HasSubstr("memvp"), HasSubstr("none")));
}

}  // namespace
}  // namespace dehvf
