#include "source_tree.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/error.h"

namespace dehvf {

std::vector<SourceFile> source_tree() {
  namespace fs = std::filesystem;
  const fs::path root = DEHVF_SOURCE_DIR;
  std::vector<SourceFile> files;
  for (const char* folder :
       {"core", "cuda", "autograd", "layers", "models", "data", "train", "bench", "cli", "tests"}) {
    if (!fs::exists(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const std::string extension = entry.path().extension();
      if (extension != ".h" && extension != ".cpp" && extension != ".cu" && extension != ".cuh") continue;
      std::ostringstream text;
      text << std::ifstream(entry.path()).rdbuf();
      files.push_back({fs::relative(entry.path(), root).generic_string(), text.str()});
    }
  }
  std::ranges::sort(files, {}, &SourceFile::path);
  return files;
}

namespace {

// Index behind the comment or literal that starts at `i`, or `i` when none does.
size_t skip(const std::string& text, size_t i, bool line_start) {
  const auto after = [&](size_t found, size_t length) {
    return found == std::string::npos ? text.size() : found + length;
  };
  if (text.compare(i, 2, "//") == 0) return std::min(text.find('\n', i), text.size());
  if (text.compare(i, 2, "/*") == 0) return after(text.find("*/", i + 2), 2);
  if (text[i] == '#' && line_start) return std::min(text.find('\n', i), text.size());
  if (text.compare(i, 2, "R\"") == 0) {
    const size_t open = text.find('(', i);
    const std::string close = concat(")", text.substr(i + 2, open - i - 2), "\"");
    return after(text.find(close, open), close.size());
  }
  const bool separator = text[i] == '\'' && i > 0 && std::isalnum(static_cast<unsigned char>(text[i - 1]));
  if ((text[i] != '"' && text[i] != '\'') || separator) return i;
  size_t end = i + 1;
  while (end < text.size() && text[end] != text[i]) end += text[end] == '\\' ? 2 : 1;
  return std::min(end + 1, text.size());
}

}  // namespace

std::string without_comments_and_literals(const std::string& text) {
  std::string code = text;
  bool line_start = true;
  for (size_t i = 0; i < text.size();) {
    const size_t end = skip(text, i, line_start);
    for (size_t k = i; k < end; ++k)
      if (text[k] != '\n') code[k] = ' ';
    if (end == i) {
      line_start = text[i] == '\n' || (line_start && text[i] == ' ');
      ++i;
    } else {
      i = end;
    }
  }
  return code;
}

}  // namespace dehvf
