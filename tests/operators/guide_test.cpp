// The guide to operators, and what is said about a name that no operator has.
#include <gmock/gmock.h>

#include "core/io/file.h"
#include "layers/fusion/operator.h"
#include "support/message.h"

namespace dehvf {
namespace {

using testing::AllOf;
using testing::HasSubstr;

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
