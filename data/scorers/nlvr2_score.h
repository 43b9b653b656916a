// NLVR2: statements about two pictures that are true or false.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/scorers/sample_scores.h"

namespace dehvf {

struct Nlvr2Sample {
  std::string identifier;  // split-set-pair-sentence
  std::string sentence;
  bool label = false;
  std::string directory;  // of the pictures, where they are divided among several; else empty

  /// Pairs about the same sentence have equal ones.
  std::string sentence_id() const;
  /// Names of the two picture files.
  std::string left() const { return picture(0); }
  std::string right() const { return picture(1); }

 private:
  std::string picture(int side) const;
};

/// One JSON object a line, of which identifier, sentence, label (True or False) and, if there,
/// directory are read. Throws IoError
/// naming the line.
std::vector<Nlvr2Sample> read_nlvr2(const std::filesystem::path& path);

/// One judgement of each sample. Figures: accuracy, and consistency, which is the share of sentences judged
/// right with every pair of pictures.
SampleScores score_nlvr2(const std::vector<bool>& judgements, std::span<const Nlvr2Sample> samples);

/// `predictions`: lines "identifier,True" or "identifier,False" in any case; those of other samples are left
/// alone, so that one file serves all subsets.
SampleScores score_nlvr2(const std::filesystem::path& predictions, const std::filesystem::path& references);

}  // namespace dehvf
