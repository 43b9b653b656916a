// What every scorer hands over: figures of the whole set, and one score a sample by which two sets of
// predictions are compared.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace dehvf {

struct SampleScores {
  std::vector<std::pair<std::string, double>> figures;  // name -> value, the chief one first
  std::vector<double> samples;                          // in the order of the references
  bool right_or_wrong = false;                          // whether a sample's score is always 0 or 1
};

}  // namespace dehvf
