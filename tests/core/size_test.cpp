// Nothing grows beyond what is read in one sitting: 500 lines a file, 100 a function.
#include <algorithm>
#include <array>
#include <string_view>

#include <gmock/gmock.h>

#include "source_tree.h"

namespace dehvf {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr int64_t kFileLines = 500, kFunctionLines = 100;

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \n") - begin + 1);
}

// What stands before a brace, without template parameters and access labels in front.
std::string_view declaration(std::string_view text) {
  for (;;) {
    text = trimmed(text);
    const std::string_view before = text;
    for (std::string_view label : {"public:", "private:", "protected:"})
      if (text.starts_with(label)) text.remove_prefix(label.size());
    if (text.starts_with("template")) {
      int depth = 0;
      size_t i = text.find('<');
      for (; i < text.size(); ++i) {
        depth += text[i] == '<' ? 1 : text[i] == '>' ? -1 : 0;
        if (depth == 0) break;
      }
      text.remove_prefix(std::min(i + 1, text.size()));
    }
    if (text == before) return text;
  }
}

enum class Block { scope, function, other };

Block kind_of(std::string_view before, int parentheses) {
  const std::string_view text = declaration(before);
  for (std::string_view word :
       {"namespace", "inline namespace", "class", "struct", "union", "enum", "extern"})
    if (text.starts_with(word)) return Block::scope;
  const char last = text.empty() ? ' ' : text.back();
  if (last == '=' || last == ',' || last == '(') return Block::other;
  if (parentheses > 0 && last != ')' && last != ']') return Block::other;  // braces of an argument
  return text.find_first_of(")]") == std::string_view::npos ? Block::other : Block::function;
}

struct Function {
  int64_t line, lines;
};

// Bodies that no other body contains, lambdas at namespace scope among them.
std::vector<Function> functions_of(const std::string& text) {
  struct Open {
    Block kind;
    int64_t line;
    int parentheses;
  };
  const std::string code = without_comments_and_literals(text);
  std::vector<Function> functions;
  std::vector<Open> open;
  int64_t line = 1;
  int parentheses = 0;
  size_t statement = 0;
  const auto at_scope = [&] {
    return std::ranges::all_of(open, [](const Open& block) { return block.kind == Block::scope; });
  };
  for (size_t i = 0; i < code.size(); ++i) {
    const char c = code[i];
    if (c == '\n') ++line;
    if (c == '(') ++parentheses;
    if (c == ')') --parentheses;
    if (c == '{') {
      const std::string_view before = std::string_view(code).substr(statement, i - statement);
      const int64_t lead =
          std::ranges::count(before.substr(std::min(before.find_first_not_of(" \n"), before.size())), '\n');
      open.push_back({at_scope() ? kind_of(before, parentheses) : Block::other, line - lead, parentheses});
    }
    if (c == '}' && !open.empty()) {
      const Open block = open.back();
      open.pop_back();
      if (block.kind == Block::function) functions.push_back({block.line, line - block.line + 1});
    }
    if (c == '{' || c == '}' || (c == ';' && parentheses == 0)) statement = i + 1;
  }
  return functions;
}

std::vector<std::string> violations(const SourceFile& file) {
  std::vector<std::string> found;
  const int64_t lines = std::ranges::count(file.text, '\n');
  if (lines > kFileLines) found.push_back(file.path + " has " + std::to_string(lines) + " lines");
  for (const Function& f : functions_of(file.text))
    if (f.lines > kFunctionLines)
      found.push_back(file.path + ":" + std::to_string(f.line) + ": a function of " +
                      std::to_string(f.lines) + " lines");
  return found;
}

TEST(Size, FilesAndFunctionsStaySmall) {
  const auto files = source_tree();
  size_t functions = 0;
  for (const SourceFile& file : files) {
    EXPECT_THAT(violations(file), IsEmpty());
    functions += functions_of(file.text).size();
  }
  EXPECT_GT(functions, 3 * files.size());  // the braces were followed
}

std::string lines(int64_t count) {
  std::string text;
  for (int64_t i = 0; i < count; ++i) text += "  f();\n";
  return text;
}

TEST(Size, SeesLongFiles) {
  EXPECT_THAT(violations({"a.cpp", lines(500)}), IsEmpty());
  EXPECT_THAT(violations({"a.cpp", lines(501)}), ElementsAre("a.cpp has 501 lines"));
}

TEST(Size, SeesLongFunctions) {
  const auto check = [](const std::string& head, int64_t body, const std::string& tail) {
    return violations({"a.cpp", head + lines(body) + tail});
  };
  EXPECT_THAT(check("namespace a {\nvoid f() {\n", 98, "}\n}\n"), IsEmpty());
  const std::array<std::string, 7> heads{"void f() {\n",
                                         "template <class T>\nvoid f(T x) {\n",
                                         "struct A : B<void()> {\n public:\n  explicit A(int x) : x_(x) {\n",
                                         "class A {\n  bool operator()(char c = '{') const override {\n",
                                         "const bool kDone = [] {\n",
                                         "TEST_P(A, B) {  // }\n",
                                         "auto f() -> int {\n  if (a) {\n"};
  for (const std::string& head : heads) {
    const auto depth = std::ranges::count(without_comments_and_literals(head), '{');
    std::string tail;
    for (int64_t i = 0; i < depth; ++i) tail += "}\n";
    EXPECT_EQ(check(head, 101, tail).size(), 1u) << head;
    EXPECT_THAT(check(head, 50, tail), IsEmpty()) << head;
  }
}

TEST(Size, TakesTablesAndClassesForWhatTheyAre) {
  for (const std::string head : {"class A : public B<int(int)> {\n", "const std::map<int, int> kTable{\n",
                                 "constexpr std::array kTable = {\n", "const AddCase x({\"a\",\n Shape{\n"})
    EXPECT_THAT(violations({"a.cpp", head + lines(150) + "}\n"}), IsEmpty()) << head;
}

}  // namespace
}  // namespace dehvf
