// The repository's own C++ and CUDA sources, for tests that read them.
#pragma once

#include <string>
#include <vector>

namespace dehvf {

struct SourceFile {
  std::string path;  // relative to the repository
  std::string text;
};

std::vector<SourceFile> source_tree();  // sorted by path

/// `text` with comments, literals and preprocessor lines blanked out; every line break stays.
std::string without_comments_and_literals(const std::string& text);

}  // namespace dehvf
