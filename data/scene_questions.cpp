#include "data/scene_questions.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"

namespace dehvf {
namespace {

struct Wording {
  std::vector<std::string> questions;
  std::string fact;  // the value's word follows
};

const Wording& wording(const SceneWorld& world, Attribute attribute) {
  static const Wording kShapes[4] = {
      {{"What colour are the shapes?", "Which colour do you see on the shapes?",
        "How are the shapes coloured?"},
       "The shapes are "},
      {{"What is the background like?", "Which pattern does the background have?",
        "How is the background painted?"},
       "The background is "},
      {{"What kind of shape is shown?", "Which shape do you see?", "What is each of the shapes?"},
       "The kind of shape is "},
      {{"How many shapes are there?", "How many shapes do you see?", "What is the number of shapes?"},
       "The number of shapes is "}};
  static const Wording kPictures[4] = {
      {{"What colour is the background?", "Which colour do you see behind the things?",
        "How is the background coloured?"},
       "The colour of the background is "},
      {{"What is the background like?", "Which pattern does the background have?",
        "How is the background painted?"},
       "The background is "},
      {{"What kind of thing is shown?", "Which thing do you see?", "What is each of the things?"},
       "The kind of thing is "},
      {{"How many things are there?", "How many things do you see?", "What is the number of things?"},
       "The number of things is "}};
  return (world.has_pictures() ? kPictures : kShapes)[size_t(attribute)];
}

std::vector<int> shuffled(int count, Random& random) {
  std::vector<int> result(static_cast<size_t>(count));
  std::iota(result.begin(), result.end(), 0);
  random.shuffle(result);
  return result;
}

}  // namespace

std::vector<Choices> balanced_choices(int values, int64_t count, Random& random) {
  require<Error>(values >= 4, "choices: wanted at least 4 values, found ", values);
  std::vector<Choices> all;
  while (int64_t(all.size()) < count) {
    // Along one random order of the values: question i has value i right and those at three steps from it.
    const auto order = shuffled(values, random), steps = shuffled(values - 1, random);
    for (int i = 0; i < values && int64_t(all.size()) < count; ++i) {
      Choices choices;
      choices.values[0] = order[size_t(i)];
      for (size_t k = 1; k < 4; ++k) choices.values[k] = order[size_t((i + 1 + steps[k - 1]) % values)];
      all.push_back(choices);
    }
  }
  random.shuffle(all);
  std::vector<int> places;
  for (size_t i = 0; i < all.size(); ++i) {
    if (i % 4 == 0) places = shuffled(4, random);
    Choices& choices = all[i];
    choices.answer = places[i % 4];
    std::rotate(choices.values.begin(), choices.values.begin() + 1,
                choices.values.begin() + 1 + choices.answer);
  }
  return all;
}

std::string attribute_name(Attribute attribute) {
  static const char* const kNames[] = {"colour", "texture", "class", "count"};
  return kNames[size_t(attribute)];
}

bool is_deep(Attribute attribute) { return attribute == Attribute::object || attribute == Attribute::count; }

const std::vector<std::string>& question_templates(const SceneWorld& world, Attribute attribute) {
  return wording(world, attribute).questions;
}

std::string fact(const SceneWorld& world, Attribute attribute, int value) {
  return concat(wording(world, attribute).fact, world.words(attribute)[size_t(value)], ".");
}

}  // namespace dehvf
