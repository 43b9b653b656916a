// The sentences of the demo's problems, and four choices drawn so that the text alone says nothing.
#pragma once

#include <string>
#include <vector>

#include "core/random.h"
#include "data/scene_world.h"

namespace dehvf {

/// Four different values of an attribute, as they are offered, and the place of the right one.
struct Choices {
  std::array<int, 4> values{};
  int answer = 0;
  int right() const { return values[size_t(answer)]; }
};

/// Choices for `count` questions about an attribute with `values` (>= 4) values. Where count is a multiple of
/// `values`, every value is right equally often and offered exactly four times as often; where it is a
/// multiple of four, every place is right equally often. So each choice is right with probability 1/4,
/// whatever is offered.
std::vector<Choices> balanced_choices(int values, int64_t count, Random& random);

std::string attribute_name(Attribute attribute);  // colour, texture, class, count
bool is_deep(Attribute attribute);                // class and count

/// The wordings of the question about an attribute, at least three.
const std::vector<std::string>& question_templates(const SceneWorld& world, Attribute attribute);
/// "The background is striped."
std::string fact(const SceneWorld& world, Attribute attribute, int value);

}  // namespace dehvf
