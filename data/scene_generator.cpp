#include "data/scene_generator.h"

#include "core/error.h"
#include "core/io/json.h"
#include "core/io/staged_folder.h"
#include "core/parallel.h"
#include "data/scene_files.h"

namespace dehvf {
namespace {

constexpr const char* kSplits[] = {"train", "val", "test"};

struct Question {
  Attribute attribute;
  bool text_only;
  Choices choices;
};

// A third each of text, shallow and deep, each attribute equally often, in random order.
std::vector<Question> draw_questions(const SceneWorld& world, int64_t total, Random& random) {
  struct Group {
    bool text_only;
    Attribute attribute;
    bool operator==(const Group&) const = default;
  };
  using enum Attribute;
  // Dealt in turn, so that any total is divided evenly.
  constexpr Group kDeal[] = {{true, colour},   {false, colour}, {false, object},  {true, object},
                             {false, texture}, {false, count},  {true, texture},  {false, colour},
                             {false, object},  {true, count},   {false, texture}, {false, count}};
  std::vector<Question> questions;
  for (bool text_only : {false, true})
    for (Attribute attribute : kAttributes) {
      int64_t size = 0;
      for (int64_t i = 0; i < total; ++i)
        size += kDeal[size_t(i) % std::size(kDeal)] == Group{text_only, attribute};
      for (const auto& choices : balanced_choices(int(world.words(attribute).size()), size, random))
        questions.push_back({attribute, text_only, choices});
    }
  random.shuffle(questions);
  return questions;
}

std::string hint_for(const SceneWorld& world, Attribute asked, const SceneLabels& labels, Random& random) {
  const Attribute other = kAttributes[(size_t(asked) + 1 + size_t(random.below(3))) % 4];
  std::string first = fact(world, asked, labels[asked]), second = fact(world, other, labels[other]);
  if (random.below(2) == 1) std::swap(first, second);
  return first + " " + second;
}

SceneProblem make_problem(const SceneWorld& world, const Question& question, const std::string& id,
                          const std::string& split, Random& random) {
  SceneProblem result;
  for (Attribute attribute : kAttributes)
    result.labels[attribute] = int(random.below(int64_t(world.words(attribute).size())));
  const Attribute asked = question.attribute;
  result.labels[asked] = question.choices.right();
  result.keys.layout = uint64_t(random.word()) << 32 | random.word();
  result.keys.surface = uint64_t(random.word()) << 32 | random.word();

  Problem& problem = result.problem;
  problem.id = id;
  const auto& templates = question_templates(world, asked);
  problem.question = templates[size_t(random.below(int64_t(templates.size())))];
  for (int value : question.choices.values) problem.choices.push_back(world.words(asked)[size_t(value)]);
  problem.answer = question.choices.answer;
  problem.solution = fact(world, asked, question.choices.right());
  problem.task = "closed choice";
  problem.grade = int(random.below(6)) + (is_deep(asked) ? 7 : 1);
  problem.skill = attribute_name(asked);
  problem.split = split;
  if (question.text_only) {
    problem.hint = hint_for(world, asked, result.labels, random);
    problem.subject = "language science";
    problem.topic = problem.category = "text";
  } else {
    problem.image = "image.png";
    problem.subject = is_deep(asked) ? "natural science" : "social science";
    problem.topic = attribute_name(asked);
    problem.category = is_deep(asked) ? "deep" : "shallow";
  }
  return result;
}

Json problem_json(const Problem& p) {
  return {{"question", p.question},
          {"choices", p.choices},
          {"answer", p.answer},
          {"hint", p.hint},
          {"image", p.image.empty() ? Json(nullptr) : Json(p.image.string())},
          {"task", p.task},
          {"grade", concat("grade", p.grade)},
          {"subject", p.subject},
          {"topic", p.topic},
          {"category", p.category},
          {"skill", p.skill},
          {"lecture", p.lecture},
          {"solution", p.solution},
          {"split", p.split}};
}

// train, val, test, trainval, and of each the first tenth as minitrain, minival, minitest.
Json split_lists(const std::vector<SceneProblem>& problems) {
  Json lists;
  for (const char* split : kSplits) {
    std::vector<std::string> ids;
    for (const auto& entry : problems)
      if (entry.problem.split == split) ids.push_back(entry.problem.id);
    lists[split] = ids;
    ids.resize((ids.size() + 9) / 10);
    lists[std::string("mini") + split] = ids;
  }
  lists["trainval"] = lists["train"];
  for (const auto& id : lists["val"]) lists["trainval"].push_back(id);
  return lists;
}

// Draws and writes every picture; returns one hash of pixels per problem, 0 for a problem without a picture.
std::vector<uint64_t> write_images(const SceneWorld& world, const std::vector<SceneProblem>& problems,
                                   const std::filesystem::path& folder) {
  std::vector<uint64_t> hashes(problems.size());
  parallel_for(int64_t(problems.size()), [&](int64_t i) {
    const SceneProblem& entry = problems[size_t(i)];
    if (entry.problem.image.empty()) return;
    const auto place = folder / "images" / entry.problem.split / entry.problem.id;
    hashes[size_t(i)] = write_scene_picture(place / entry.problem.image, draw_problem(world, entry));
  });
  return hashes;
}

}  // namespace

std::vector<SceneProblem> plan_scene_data(const SceneWorld& world, const SceneDataConfig& config) {
  std::vector<SceneProblem> problems;
  const int64_t counts[] = {config.train, config.val, config.test};
  for (uint64_t split = 0; split < 3; ++split) {
    require<ConfigError>(counts[split] >= 1 && counts[split] <= 1'000'000,
                         "scenes: wanted 1 to 1000000 problems for ", kSplits[split], ", found ",
                         counts[split]);
    Random random(random_key({config.seed, split, world.has_pictures()}));
    for (const auto& question : draw_questions(world, counts[split], random))
      problems.push_back(
          make_problem(world, question, std::to_string(problems.size() + 1), kSplits[split], random));
  }
  return problems;
}

Image draw_problem(const SceneWorld& world, const SceneProblem& problem) {
  require<Error>(!problem.problem.image.empty(), "scenes: problem '", problem.problem.id, "' has no picture");
  return world.draw(problem.labels, problem.keys,
                    problem.problem.split == "test" ? SpriteShare::test : SpriteShare::train);
}

uint64_t write_scene_data(const SceneWorld& world, const SceneDataConfig& config,
                          const std::filesystem::path& folder) {
  const auto problems = plan_scene_data(world, config);
  Json texts = Json::object();
  for (const auto& entry : problems) texts[entry.problem.id] = problem_json(entry.problem);
  const std::string problems_text = texts.dump(1) + "\n", splits_text = split_lists(problems).dump() + "\n";

  StagedFolder made(folder);
  auto hashes = write_images(world, problems, made.path());
  write_scene_text(made.path() / "problems.json", problems_text, hashes);
  write_scene_text(made.path() / "pid_splits.json", splits_text, hashes);
  const uint64_t hash = write_scene_manifest(made.path(), world, config, "scienceqa", hashes);
  made.finish();
  return hash;
}

}  // namespace dehvf
