// BLEU and CIDEr-D of captions as the COCO caption tool (pycocoevalcap) computes them, from tokenized texts.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

namespace dehvf {

/// The candidate and the references of one picture, tokens between white space.
struct CaptionTokens {
  std::string candidate;
  std::vector<std::string> references;  // at least one
};

struct CaptionScore {
  std::array<double, 4> bleu{};  // BLEU-1 to BLEU-4 of the whole set
  double cider = 0;              // CIDEr-D, mean over the pictures
  std::vector<double> ciders;    // of each picture
  std::vector<std::array<double, 4>> bleus;
};

/// BLEU (Papineni et al., 2002): clipped counts summed over the set, the reference length nearest to the
/// candidate's (of equals the shorter), 1e-15 added to matches and 1e-9 to counts. CIDEr-D (Vedantam et al.,
/// 2015): document frequencies from the references given, so that a score belongs to its set of pictures; the
/// lengths compared by the penalty are the numbers of *bigrams*, as in the tool.
CaptionScore score_captions(std::span<const CaptionTokens> pictures);

}  // namespace dehvf
