// The files beside a model's weights that other programs want.
#pragma once

#include <filesystem>

namespace dehvf::cli {

/// Copies tokenizer, generation and preprocessor files, those that are there.
void copy_companions(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace dehvf::cli
