// Unicode 16.0 classes: \p{L}, \p{N} and \s (White_Space).
#pragma once

namespace dehvf {

bool is_letter(char32_t c);
bool is_number(char32_t c);
bool is_space(char32_t c);

}  // namespace dehvf
