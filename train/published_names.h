// Which tensor of a published adapter is which of ours, in both directions.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "train/adapter_folder.h"
#include "train/named_tensors.h"

namespace dehvf {

/// One tensor under both names; the shapes have the same elements in the same order.
struct PublishedTensor {
  std::string theirs, ours;
  Shape their_shape, our_shape;
};

/// A set of tensors under the one or the other names, out of which the sizes are read.
class PublishedSide {
 public:
  PublishedSide(std::string what, const NamedTensors& tensors, bool theirs)
      : what_(std::move(what)), tensors_(tensors), theirs_(theirs) {}
  bool has(const std::string& theirs, const std::string& ours) const;
  /// Throws ConfigError where the tensor is missing or has fewer axes than two.
  int64_t size(const std::string& theirs, const std::string& ours, int axis) const;
  /// How many of "<theirs><i><their_end>" there are from i = 0 on.
  int64_t count(const std::string& theirs, const std::string& their_end, const std::string& ours,
                const std::string& our_end) const;
  const std::string& what() const { return what_; }

 private:
  std::string what_;
  const NamedTensors& tensors_;
  bool theirs_;
};

struct PublishedAdapter {
  std::vector<PublishedTensor> tensors;
  AdapterDescription::Options fusion, tower;  // what the published code has written into it
};

struct PublishedLayout {
  std::string name, fusion;
  std::vector<std::string> marks;    // a name that begins with one of them is this layout's
  std::string prefix;                // before their names in a file
  std::vector<std::string> ignored;  // theirs, of no effect
  PublishedAdapter (*map)(const PublishedSide&);
};

std::span<const PublishedLayout> published_layouts();

}  // namespace dehvf
