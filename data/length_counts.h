// How long the texts of a data set are, how much of them is labelled and who has a picture: numbers without
// the texts, to say what training on them would cost.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace dehvf {

struct LengthCounts {
  struct Text {
    int64_t tokens = 0, labelled = 0;  // prompt and answer; of them
    bool picture = false;
    auto operator<=>(const Text&) const = default;
  };
  std::string tokenizer;           // which counted, for people
  std::map<Text, int64_t> counts;  // texts alike

  int64_t samples() const;
  /// A part of the texts by its means: what a batch of them looks like.
  struct Part {
    double share = 0;  // of all texts
    int64_t tokens = 0, labelled = 0;
    double pictures = 0;  // a text
  };
  /// Shortest first, cut into `parts` of equally many texts; neighbours with the same numbers are one.
  std::vector<Part> parts(int64_t parts) const;
};

/// {format_version, tokenizer, columns, texts: [[tokens, labelled, with a picture, without], ...]}, one row a
/// line. read_length_counts() throws IoError for anything else.
void write_length_counts(const std::filesystem::path& path, const LengthCounts& counts);
LengthCounts read_length_counts(const std::filesystem::path& path);

}  // namespace dehvf
