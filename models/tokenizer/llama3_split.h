// LLaMA-3's cut of text into words, before byte-pair merges.
#pragma once

#include <string_view>
#include <vector>

namespace dehvf {

inline constexpr std::string_view kLlama3Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// The successive matches of kLlama3Regex in `text`, which is valid UTF-8; together they are the whole text.
std::vector<std::string_view> llama3_split(std::string_view text);

}  // namespace dehvf
