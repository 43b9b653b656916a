#include "data/scene_sets.h"

#include <cctype>

#include "core/error.h"
#include "core/io/json.h"
#include "core/io/staged_folder.h"
#include "core/parallel.h"
#include "data/scene_files.h"

namespace dehvf {
namespace {

struct Picture {
  std::string name;
  SceneLabels labels;
  SceneKeys keys;
};

// What one split consists of: pictures to draw, and files with their texts.
struct Split {
  std::vector<Picture> pictures;
  std::vector<std::pair<std::string, std::string>> files;
};

// "the background is striped"
std::string clause(const SceneWorld& world, Attribute attribute, int value) {
  std::string text = fact(world, attribute, value);
  text[0] = char(std::tolower(text[0]));
  text.pop_back();
  return text;
}

int other_value(const SceneWorld& world, Attribute attribute, int value, Random& random) {
  const auto count = int64_t(world.words(attribute).size());
  return int((value + 1 + random.below(count - 1)) % count);
}

Attribute any_attribute(Random& random) { return kAttributes[size_t(random.below(4))]; }

Picture draw_picture(const SceneWorld& world, std::string name, Random& random) {
  Picture picture{std::move(name), {}, {}};
  for (const Attribute attribute : kAttributes)
    picture.labels[attribute] = int(random.below(int64_t(world.words(attribute).size())));
  picture.keys.layout = uint64_t(random.word()) << 32 | random.word();
  picture.keys.surface = uint64_t(random.word()) << 32 | random.word();
  return picture;
}

// Three or all four facts in any order.
std::string caption(const SceneWorld& world, const SceneLabels& labels, Random& random) {
  std::vector<Attribute> order(kAttributes.begin(), kAttributes.end());
  random.shuffle(order);
  order.resize(size_t(3 + random.below(2)));
  std::string text;
  for (size_t i = 0; i < order.size(); ++i)
    text += (i == 0 ? "" : i + 1 < order.size() ? ", " : " and ") + clause(world, order[i], labels[order[i]]);
  text[0] = char(std::toupper(text[0]));
  return text + ".";
}

Split plan_captions(const SceneWorld& world, const std::string& split, int64_t count, int64_t first,
                    Random& random) {
  Split result;
  Json images = Json::array(), annotations = Json::array();
  for (int64_t i = 0; i < count; ++i) {
    const int64_t id = first + i;
    result.pictures.push_back(draw_picture(world, concat(id, ".png"), random));
    images.push_back({{"id", id}, {"file_name", result.pictures.back().name}});
    for (int64_t k = 0; k < 5; ++k)
      annotations.push_back({{"image_id", id},
                             {"id", 5 * id + k},
                             {"caption", caption(world, result.pictures.back().labels, random)}});
  }
  result.files = {{concat("captions_", split, ".json"),
                   Json{{"images", images}, {"annotations", annotations}}.dump() + "\n"}};
  return result;
}

struct VqaText {
  std::string question, answer, other, answer_type;
};

VqaText ask(const SceneWorld& world, const SceneLabels& labels, Random& random) {
  const Attribute attribute = any_attribute(random);
  const int value = labels[attribute], wrong = other_value(world, attribute, value, random);
  if (random.below(3) == 0) {
    const bool right = random.below(2) == 0;
    return {concat("Is it so that ", clause(world, attribute, right ? value : wrong), "?"),
            right ? "yes" : "no", right ? "no" : "yes", "yes/no"};
  }
  const auto& templates = question_templates(world, attribute);
  return {templates[size_t(random.below(int64_t(templates.size())))], world.words(attribute)[size_t(value)],
          world.words(attribute)[size_t(wrong)], attribute == Attribute::count ? "number" : "other"};
}

// Up to three of ten disagree; numbers are written as words or digits.
Json answers_of(const SceneWorld& world, const VqaText& text, Random& random) {
  const auto& numbers = world.words(Attribute::count);
  const int64_t others = random.below(4);
  Json answers = Json::array();
  for (int64_t i = 0; i < 10; ++i) {
    std::string answer = i < others ? text.other : text.answer;
    for (size_t n = 0; text.answer_type == "number" && n < numbers.size(); ++n)
      if (answer == numbers[n] && random.below(2) == 0) {
        answer = concat(n + 1);
        break;
      }
    answers.push_back({{"answer", answer}, {"answer_confidence", "yes"}, {"answer_id", i + 1}});
  }
  return answers;
}

Split plan_vqa(const SceneWorld& world, const std::string& split, int64_t count, int64_t first,
               Random& random) {
  Split result;
  Json questions = Json::array(), annotations = Json::array();
  for (int64_t i = 0; i < count; ++i) {
    const int64_t id = first + i;
    result.pictures.push_back(draw_picture(world, concat(id, ".png"), random));
    const VqaText text = ask(world, result.pictures.back().labels, random);
    std::string type = text.question.substr(0, text.question.find(' ', text.question.find(' ') + 1));
    type[0] = char(std::tolower(type[0]));
    questions.push_back({{"question_id", id}, {"image_id", id}, {"question", text.question}});
    annotations.push_back({{"question_id", id},
                           {"image_id", id},
                           {"question_type", type},
                           {"answer_type", text.answer_type},
                           {"multiple_choice_answer", text.answer},
                           {"answers", answers_of(world, text, random)}});
  }
  result.files = {{concat("questions_", split, ".json"), Json{{"questions", questions}}.dump() + "\n"},
                  {concat("annotations_", split, ".json"), Json{{"annotations", annotations}}.dump() + "\n"}};
  return result;
}

enum class Claim : uint8_t { left, right, both, one };

bool holds(Claim claim, bool left, bool right) {
  switch (claim) {
    case Claim::left:
      return left;
    case Claim::right:
      return right;
    case Claim::both:
      return left && right;
    case Claim::one:
      return left != right;
  }
  return false;
}

Split plan_pairs(const SceneWorld& world, const std::string& split, int64_t count, int64_t /*first*/,
                 Random& random) {
  constexpr const char* kClaims[] = {"In the left picture ", "In the right picture ", "In both pictures ",
                                     "In exactly one of the pictures "};
  Split result;
  std::string lines;
  for (int64_t set = 0; 4 * set < count; ++set) {
    const auto claim = Claim(random.below(4));
    const Attribute attribute = any_attribute(random);
    const int value = int(random.below(int64_t(world.words(attribute).size())));
    const std::string sentence = concat(kClaims[size_t(claim)], clause(world, attribute, value), ".");
    std::vector<int> labels{0, 0, 1, 1};
    random.shuffle(labels);
    for (int64_t pair = 0; pair < 4 && 4 * set + pair < count; ++pair) {
      bool has[2];
      do {
        for (bool& side : has) side = random.below(2) == 0;
      } while (holds(claim, has[0], has[1]) != (labels[size_t(pair)] == 1));
      for (int side = 0; side < 2; ++side) {
        Picture picture =
            draw_picture(world, concat(split, "-", set, "-", pair, "-img", side, ".png"), random);
        picture.labels[attribute] = has[side] ? value : other_value(world, attribute, value, random);
        result.pictures.push_back(std::move(picture));
      }
      lines += Json{{"identifier", concat(split, "-", set, "-", pair, "-0")},
                    {"sentence", sentence},
                    {"label", labels[size_t(pair)] == 1 ? "True" : "False"}}
                   .dump() +
               "\n";
    }
  }
  result.files = {{split + ".json", lines}};
  return result;
}

}  // namespace

uint64_t write_scene_set(const SceneWorld& world, SceneFormat format, const SceneDataConfig& config,
                         const std::filesystem::path& folder) {
  static constexpr const char* kSplits[] = {"train", "val", "test"};
  static constexpr const char* kNames[] = {"captions", "vqa", "pairs"};
  constexpr decltype(&plan_captions) kPlans[] = {plan_captions, plan_vqa, plan_pairs};
  const int64_t counts[] = {config.train, config.val, config.test};
  StagedFolder made(folder);
  std::vector<uint64_t> hashes;
  int64_t first = 1;
  for (uint64_t split = 0; split < 3; ++split) {
    require<ConfigError>(counts[split] >= 1 && counts[split] <= 1'000'000, kNames[size_t(format)],
                         ": wanted 1 to 1000000 samples for ", kSplits[split], ", found ", counts[split]);
    Random random(random_key({config.seed, split, world.has_pictures(), uint64_t(format) + 1}));
    const Split plan = kPlans[size_t(format)](world, kSplits[split], counts[split], first, random);
    first += counts[split];
    const auto place = made.path() / "images" / kSplits[split];
    std::vector<uint64_t> pixels(plan.pictures.size());
    parallel_for(int64_t(pixels.size()), [&](int64_t i) {
      const Picture& picture = plan.pictures[size_t(i)];
      const SpriteShare share = split == 2 ? SpriteShare::test : SpriteShare::train;
      pixels[size_t(i)] =
          write_scene_picture(place / picture.name, world.draw(picture.labels, picture.keys, share));
    });
    hashes.insert(hashes.end(), pixels.begin(), pixels.end());
    for (const auto& [name, text] : plan.files) write_scene_text(made.path() / name, text, hashes);
  }
  const uint64_t hash = write_scene_manifest(made.path(), world, config, kNames[size_t(format)], hashes);
  made.finish();
  return hash;
}

}  // namespace dehvf
