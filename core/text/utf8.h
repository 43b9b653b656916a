// UTF-8 by the Unicode standard: no surrogates, no overlong forms, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace dehvf {

struct CodePoint {
  char32_t value;  // U+FFFD where invalid
  size_t length;   // bytes taken: of an invalid sequence the maximal subpart, at least 1
  bool valid;
};

CodePoint first_code_point(std::string_view text);  // `text` is not empty
void append_utf8(std::string& text, char32_t c);

/// `text` with each maximal subpart of an invalid sequence replaced by U+FFFD (Unicode 3.9, "U+FFFD
/// substitution").
std::string replace_invalid_utf8(std::string_view text);

}  // namespace dehvf
