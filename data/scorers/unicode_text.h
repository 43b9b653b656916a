// Text as Python's str methods see it, because the published scorers are written in Python.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dehvf {

/// Code points; invalid bytes become U+FFFD.
std::u32string decode_utf8(std::string_view text);
std::string encode_utf8(std::u32string_view text);

/// Lower case of ASCII, Latin, Greek and Cyrillic letters; others stay as they are.
char32_t to_lower(char32_t c);
std::string lower_case(std::string_view text);

bool is_white_space(char32_t c);  // str.isspace

/// str.strip(), and str.split()
std::string strip(std::string_view text);
std::vector<std::string> words_of(std::string_view text);

}  // namespace dehvf
