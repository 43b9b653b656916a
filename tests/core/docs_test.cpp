// What the documents name is there: paths of the repository, tests, and the keys of operators and runs with
// their defaults.
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include <gmock/gmock.h>

#include "models/fused_model.h"
#include "source_tree.h"
#include "train/run_config.h"

namespace dehvf {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;
using Keys = std::map<std::string, std::string>;

const fs::path kRoot = DEHVF_SOURCE_DIR;
const std::set<std::string> kMade{"build", "runs"};  // folders that programs make
const std::set<std::string> kExtensions{".h",    ".cpp",  ".cu", ".cuh", ".cmake", ".txt", ".md",
                                        ".json", ".yaml", ".py", ".sh",  ".png",   ".svg"};

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::vector<fs::path> documents() {
  std::vector<fs::path> found;
  for (const char* name : {"README.md", "CONTRIBUTING.md"})
    if (fs::exists(kRoot / name)) found.push_back(kRoot / name);
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / "docs"))
    if (entry.path().extension() == ".md") found.push_back(entry.path());
  return found;
}

std::vector<std::string> matches(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  std::vector<std::string> found;
  for (std::sregex_iterator at(text.begin(), text.end(), regex), end; at != end; ++at)
    found.push_back((*at)[1]);
  return found;
}

// Words in backticks that must be paths: they begin with a folder of the repository, or end like a file.
std::vector<std::string> paths_in(const std::string& document) {
  std::string text, line;
  bool fenced = false;
  for (std::istringstream lines(document); std::getline(lines, line);) {
    if (line.starts_with("```"))
      fenced = !fenced;
    else if (!fenced)
      text += line + '\n';
  }
  std::vector<std::string> found;
  for (const std::string& code : matches(text, "`([^`\n]+)`")) {
    std::istringstream words(code);
    for (std::string word; words >> word;) {
      const size_t slash = word.find('/');
      const std::string first = word.substr(0, slash);
      if (slash == std::string::npos || !std::regex_match(word, std::regex("[A-Za-z0-9_.][A-Za-z0-9_./-]*")))
        continue;
      if (kMade.contains(first)) continue;
      if (fs::is_directory(kRoot / first) || kExtensions.contains(fs::path(word).extension()))
        found.push_back(word);
    }
  }
  return found;
}

std::vector<std::string> missing(const std::vector<std::string>& paths) {
  std::vector<std::string> found;
  for (const std::string& path : paths)
    if (!fs::exists(kRoot / path)) found.push_back(path);
  return found;
}

TEST(Docs, PathsExist) {
  size_t paths = 0;
  for (const fs::path& document : documents()) {
    const auto named = paths_in(text_of(document));
    EXPECT_THAT(missing(named), IsEmpty()) << document;
    paths += named.size();
  }
  EXPECT_GT(paths, 20u);
}

TEST(Docs, SeesPathsThatAreNotThere) {
  const auto check = [](const std::string& text) { return missing(paths_in(text)); };
  EXPECT_THAT(
      check("`core/tensor.h` and `scripts/test ci`, `layers/fusion/`, `build/cpu/x.h`, a `key/value`"),
      IsEmpty());
  EXPECT_THAT(check("`core/tensors.h`, `scripts/tset ci`"), ElementsAre("core/tensors.h", "scripts/tset"));
  EXPECT_THAT(check("`cor/tensor.h`, `core/<family>.h`"), ElementsAre("cor/tensor.h"));
  EXPECT_THAT(check("```\n`core/tensors.h`\n```\n"), IsEmpty());
}

// Rows `| guess | operators or run | key | default | ...` whose third and fourth cell are in backticks: per
// operator.
std::map<std::string, Keys> keys_in(const std::string& document) {
  std::map<std::string, Keys> keys;
  std::string line;
  for (std::istringstream lines(document); std::getline(lines, line);) {
    std::smatch row;
    if (!std::regex_match(line, row, std::regex(R"(\|[^|]*\|([^|]*)\| `([\w.]+)` \| `([^`|]+)` \|.*)")))
      continue;
    for (const std::string& name : matches(row[1], R"(\b(\w+)\b)"))
      EXPECT_TRUE(keys[name].emplace(row[2], row[3]).second) << name << ": " << row[2] << " stands twice";
  }
  return keys;
}

Keys resolved_keys(const std::string& fusion) {
  FusionConfig config;
  make_fusion(fusion, fusion_shapes(llama_7b(), clip_l14()), config);
  return config.resolved();
}

Keys keys_of_runs() {
  Keys keys;
  std::istringstream lines(RunConfig().resolved());
  for (std::string line; std::getline(lines, line);)
    keys[line.substr(0, line.find(':'))] = line.substr(line.find(':') + 2);
  return keys;
}

TEST(Docs, TheTablesOfGuessesHaveTheKeysAndTheirDefaults) {
  const auto keys = keys_in(text_of(kRoot / "docs" / "method.md"));
  for (const std::string& fusion : Registry<Fusion>::instance().keys())
    if (const Keys own = resolved_keys(fusion); !own.empty()) {
      ASSERT_TRUE(keys.contains(fusion)) << fusion;
      EXPECT_EQ(keys.at(fusion), own) << fusion;
    }
  const Keys run = keys_of_runs();
  for (const auto& entry : keys.at("run")) EXPECT_THAT(run, testing::Contains(entry));
}

TEST(Docs, NamedTestsExist) {
  std::string sources;
  for (const SourceFile& file : source_tree())
    if (file.path.starts_with("tests/")) sources += file.text;
  std::set<std::string> there;
  const std::regex macro(R"(TEST(?:_F|_P)?\((\w+),\s*(\w+)\))");
  for (std::sregex_iterator at(sources.begin(), sources.end(), macro), end; at != end; ++at)
    there.insert((*at)[1].str() + '.' + (*at)[2].str());
  size_t named = 0;
  for (const fs::path& document : documents())
    for (const std::string& test : matches(text_of(document), R"(`([A-Z]\w+\.[A-Z]\w+)`)")) {
      EXPECT_TRUE(there.contains(test)) << document << " names " << test;
      ++named;
    }
  EXPECT_GT(named, 10u);
}

}  // namespace
}  // namespace dehvf
