// The ladder of the folders: a folder includes only from lower lines, never sideways or upward.
#include <map>
#include <sstream>

#include <gmock/gmock.h>

#include "source_tree.h"

namespace dehvf {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::map<std::string, int> kLines{{"core", 0},   {"autograd", 1}, {"cuda", 1},  {"layers", 2},
                                        {"models", 3}, {"data", 3},     {"train", 4}, {"bench", 5},
                                        {"cli", 6},    {"tests", 7}};

std::string first_folder(const std::string& path) { return path.substr(0, path.find('/')); }

// One line for each include of `file` that the ladder forbids.
std::vector<std::string> violations(const SourceFile& file) {
  std::vector<std::string> found;
  const std::string folder = first_folder(file.path);
  std::istringstream lines(file.text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("#include ")) continue;
    const std::string target = line.substr(10, line.find_first_of("\">", 10) - 10);
    const auto complain = [&](const std::string& why) {
      found.push_back(file.path + " includes " + target + ": " + why);
    };
    if (line[9] == '<') {
      const bool eigen = target.starts_with("Eigen/") || target.starts_with("unsupported/Eigen");
      if (eigen && !file.path.starts_with("core/cpu/") && folder != "tests" && folder != "bench")
        complain("Eigen stays in core/cpu");
      continue;
    }
    const std::string other = first_folder(target);
    if (!kLines.contains(other)) {  // beside the file: only tests have headers of their own folder
      if (folder != "tests") complain("not named from the root");
    } else if (other != folder && kLines.at(other) >= kLines.at(folder)) {
      complain(kLines.at(other) == kLines.at(folder) ? "sideways" : "upward");
    }
  }
  return found;
}

TEST(Layering, NoFolderLooksUpOrSideways) {
  const auto files = source_tree();
  ASSERT_GT(files.size(), 50u);
  for (const SourceFile& file : files) EXPECT_THAT(violations(file), IsEmpty());
}

TEST(Layering, EveryFolderHasItsLine) {
  for (const SourceFile& file : source_tree())
    EXPECT_TRUE(kLines.contains(first_folder(file.path))) << file.path;
}

TEST(Layering, SeesWhatIsForbidden) {
  const auto check = [](const std::string& path, const std::string& include) {
    return violations({path, "#pragma once\n#include " + include + "\n"});
  };
  EXPECT_THAT(check("core/ops/x.h", "\"autograd/tape.h\""),
              ElementsAre("core/ops/x.h includes autograd/tape.h: upward"));
  EXPECT_THAT(check("models/x.cpp", "\"data/image.h\""),
              ElementsAre("models/x.cpp includes data/image.h: sideways"));
  EXPECT_THAT(check("cuda/x.cpp", "\"autograd/tape.h\""),
              ElementsAre("cuda/x.cpp includes autograd/tape.h: sideways"));
  EXPECT_THAT(check("train/x.cpp", "\"tests/support/x.h\""),
              ElementsAre("train/x.cpp includes tests/support/x.h: upward"));
  EXPECT_THAT(check("layers/x.cpp", "\"linear.h\""),
              ElementsAre("layers/x.cpp includes linear.h: not named from the root"));
  EXPECT_THAT(check("autograd/x.cpp", "<Eigen/Core>"),
              ElementsAre("autograd/x.cpp includes Eigen/Core: Eigen stays in core/cpu"));
  EXPECT_THAT(check("train/x.cpp", "\"models/llama.h\""), IsEmpty());
  EXPECT_THAT(check("core/cpu/x.cpp", "<Eigen/Core>"), IsEmpty());
}

}  // namespace
}  // namespace dehvf
