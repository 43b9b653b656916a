// The guide to operators, and what is said about a name that no operator has.
#include <gmock/gmock.h>

#include "core/io/file.h"
#include "layers/fusion/operator.h"
#include "support/message.h"
#include "train/contract/check.h"

namespace dehvf {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(Operators, TheGuideShowsTheExampleAsItIs) {
  const std::filesystem::path root = DEHVF_SOURCE_DIR;
  EXPECT_THAT(read_file(root / "docs/operators.md"),
              HasSubstr("```cpp\n" + read_file(root / "tests/operators/my_idea.cpp") + "```"));
}

TEST(Operators, TheTutorialShowsItsExampleAsItIs) {
  const std::filesystem::path root = DEHVF_SOURCE_DIR;
  const std::string page = read_file(root / "docs/your_operator.md"),
                    example = read_file(root / "examples/my_operator/my_operator.cpp"),
                    build = read_file(root / "examples/my_operator/CMakeLists.txt");
  int blocks = 0;
  for (size_t at = page.find("```c"); at != std::string::npos; at = page.find("\n```c", at + 1), ++blocks) {
    const size_t begin = page.find('\n', at + 1) + 1, end = page.find("```", begin);
    const std::string block = page.substr(begin, end - begin);
    EXPECT_THAT(block.starts_with("cmake") ? build : example, HasSubstr(block));
  }
  EXPECT_GE(blocks, 10);
}

TEST(Operators, TheGuideNamesEveryCheck) {
  const std::string page = read_file(std::filesystem::path(DEHVF_SOURCE_DIR) / "docs/operators.md");
  for (const contract::Check& check : contract::checks())
    EXPECT_THAT(page, HasSubstr(concat("| `", check.name, "` | ", check.promise, " |")));
}

TEST(Operators, UnknownNameIsAnsweredWithTheKnownOnes) {
  FusionConfig config;
  EXPECT_THAT(message_of<ConfigError>([&] { make_fusion("dehvg", {}, config); }),
              AllOf(HasSubstr("dehvg"), HasSubstr("dehvf"), HasSubstr("memvp"), HasSubstr("none")));
}

}  // namespace
}  // namespace dehvf
