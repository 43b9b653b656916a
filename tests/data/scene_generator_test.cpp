// The demo's data set: thirds, balance, what a reader without eyes can reach, files.
#include "data/scene_generator.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "core/parallel.h"
#include "data/png.h"
#include "scene_fixtures.h"
#include "support/message.h"
#include "support/temporary_folder.h"

namespace dehvf {
namespace {

using testing::HasSubstr;

TEST(BalancedChoices, OfferAndRightAreExactlyEven) {
  for (int values : {4, 6, 8, 12}) {
    Random random(static_cast<uint64_t>(values));
    const int64_t count = int64_t(values) * 40;
    std::vector<int64_t> right(static_cast<size_t>(values)), offered(static_cast<size_t>(values)), places(4);
    std::set<std::array<int, 4>> orders;
    for (const auto& choices : balanced_choices(values, count, random)) {
      EXPECT_EQ(std::set<int>(choices.values.begin(), choices.values.end()).size(), 4u);
      ++right[size_t(choices.right())];
      ++places[size_t(choices.answer)];
      for (int value : choices.values) ++offered[size_t(value)];
      orders.insert(choices.values);
    }
    EXPECT_THAT(right, testing::Each(40));
    EXPECT_THAT(offered, testing::Each(160));
    EXPECT_THAT(places, testing::Each(count / 4));
    EXPECT_GT(orders.size(), 20u);
  }
}

TEST(BalancedChoices, OddNumbersStayNearlyEven) {
  Random random(1);
  for (int64_t count : {0, 1, 5, 13, 103}) {
    std::vector<int64_t> right(6);
    const auto all = balanced_choices(6, count, random);
    EXPECT_EQ(int64_t(all.size()), count);
    for (const auto& choices : all) ++right[size_t(choices.right())];
    EXPECT_LE(std::ranges::max(right) - std::ranges::min(right), 1);
  }
  EXPECT_THROW(balanced_choices(3, 5, random), Error);
}

class ScenePlan : public testing::TestWithParam<bool> {
 protected:
  ScenePlan() : world_(GetParam() ? picture_world() : SceneWorld::shapes()) {}
  SceneWorld world_;
};

TEST_P(ScenePlan, IsATextThirdAShallowThirdADeepThird) {
  const auto plan = plan_scene_data(world_, {});
  ASSERT_EQ(plan.size(), 4096u + 512 + 1024);
  std::map<std::string, std::map<std::string, int64_t>> counts;
  for (size_t i = 0; i < plan.size(); ++i) {
    const Problem& p = plan[i].problem;
    EXPECT_EQ(p.id, std::to_string(i + 1));
    EXPECT_EQ(p.split, i < 4096 ? "train" : i < 4608 ? "val" : "test");
    ++counts[p.split][p.category];
    ++counts[p.split][p.topic + "/" + p.skill];
    const bool deep = p.skill == "class" || p.skill == "count", text = p.category == "text";
    EXPECT_EQ(p.image.empty(), text);
    EXPECT_EQ(p.hint.empty(), !text);
    EXPECT_EQ(p.subject, text ? "language science" : deep ? "natural science" : "social science");
    EXPECT_EQ(p.grade >= 7, deep);
    EXPECT_EQ(p.choices.size(), 4u);
    EXPECT_EQ(p.topic, text ? "text" : p.skill);
  }
  for (const auto& [split, total] : {std::pair{"train", 4096}, {"val", 512}, {"test", 1024}}) {
    for (const char* category : {"text", "shallow", "deep"})
      EXPECT_NEAR(double(counts[split][category]), total / 3.0, 2);
    for (const char* skill : {"colour", "texture", "class", "count"}) {
      EXPECT_NEAR(double(counts[split][std::string(skill) + "/" + skill]), total / 6.0, 2);
      EXPECT_NEAR(double(counts[split][std::string("text/") + skill]), total / 12.0, 2);
    }
  }
}

TEST_P(ScenePlan, RightChoiceIsTheLabelAndHintsTellIt) {
  for (const auto& entry : plan_scene_data(world_, {.seed = 3})) {
    const Problem& p = entry.problem;
    const auto asked =
        *std::ranges::find_if(kAttributes, [&](Attribute a) { return attribute_name(a) == p.skill; });
    EXPECT_EQ(p.choices[size_t(p.answer)], world_.words(asked)[size_t(entry.labels[asked])]);
    EXPECT_EQ(p.solution, fact(world_, asked, entry.labels[asked]));
    EXPECT_THAT(question_templates(world_, asked), testing::Contains(p.question));
    if (p.hint.empty()) continue;
    for (size_t i = 0; i < 4; ++i) {
      const bool told = (" " + p.hint).find(" " + p.choices[i] + ".") != std::string::npos;
      EXPECT_EQ(told, int(i) == p.answer) << p.hint << " / " << p.choices[i];
    }
  }
}

TEST_P(ScenePlan, AttributesAreIndependentOfEachOtherAndOfTheText) {
  const auto plan = plan_scene_data(world_, {.seed = 5, .train = 12000, .val = 12, .test = 12});
  for (Attribute a : kAttributes) {
    const size_t rows = world_.words(a).size();
    const auto check = [&](const char* what, size_t columns, auto column_of) {
      std::vector counts(rows, std::vector<double>(columns));
      double used = 0;
      for (const auto& entry : plan)
        if (const auto column = column_of(entry); column < columns)
          ++counts[size_t(entry.labels[a])][column], ++used;
      EXPECT_GT(used, 900) << what;
      EXPECT_LT(chi_square(counts), chi_square_bound(double((rows - 1) * (columns - 1))))
          << attribute_name(a) << " against " << what;
    };
    for (Attribute b : kAttributes)
      if (a != b)
        check("an attribute", world_.words(b).size(),
              [&](const SceneProblem& entry) { return size_t(entry.labels[b]); });
    check("the answer's place", 4, [](const SceneProblem& entry) { return size_t(entry.problem.answer); });
    const auto& templates = question_templates(world_, a);
    ASSERT_GE(templates.size(), 3u);
    check("the wording", templates.size(), [&](const SceneProblem& entry) {
      return size_t(std::ranges::find(templates, entry.problem.question) - templates.begin());
    });
    check("the grade", 12, [](const SceneProblem& entry) { return size_t(entry.problem.grade - 1); });
  }
}

// What a reader without eyes may go by: what stays the same about the problem, and what about a choice.
struct Blind {
  const char* name;
  std::string (*context)(const Problem&);
  std::string (*choice)(const Problem&, size_t);
};

std::string word_of(const Problem& p, size_t i) { return p.choices[i]; }

std::string offered_set(const Problem& p) {
  const std::set<std::string> sorted(p.choices.begin(), p.choices.end());
  std::string text;
  for (const auto& word : sorted) text += word + " ";
  return text;
}

const Blind kBlind[] = {
    {"words after each wording", [](const Problem& p) { return p.question; }, word_of},
    {"places after each wording", [](const Problem& p) { return p.question; },
     [](const Problem&, size_t i) { return std::to_string(i); }},
    {"words among those offered", offered_set, word_of},
    {"words beside the one before", [](const Problem& p) { return p.skill; },
     [](const Problem& p, size_t i) { return p.choices[i] + " " + p.choices[(i + 3) % 4]; }},
};

// Learns from train which choice is right most often, and guesses so in test.
double blind_accuracy(const std::vector<SceneProblem>& plan, const Blind& blind, int64_t& questions) {
  std::map<std::string, std::pair<double, double>> seen;  // right, offered
  const auto entry_of = [&](const Problem& p, size_t i) -> auto& {
    return seen[blind.context(p) + "/" + blind.choice(p, i)];
  };
  for (const auto& [p, labels, keys] : plan)
    for (size_t i = 0; i < 4 && p.split == "train" && !p.image.empty(); ++i) {
      auto& [right, offered] = entry_of(p, i);
      right += int(i) == p.answer;
      offered += 1;
    }
  int64_t right = 0;
  questions = 0;
  for (const auto& [p, labels, keys] : plan) {
    if (p.split != "test" || p.image.empty()) continue;
    size_t best = 0;
    const auto share = [&](size_t i) {
      const auto& [hits, offered] = entry_of(p, i);
      return offered == 0 ? 0.25 : hits / offered;
    };
    for (size_t i = 1; i < 4; ++i)
      if (share(i) > share(best)) best = i;
    right += int(best) == p.answer;
    ++questions;
  }
  return double(right) / double(questions);
}

TEST_P(ScenePlan, TextAloneStaysAtAQuarter) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    const auto plan = plan_scene_data(world_, {.seed = seed, .train = 12000, .val = 12, .test = 6000});
    for (const Blind& blind : kBlind) {
      int64_t questions = 0;
      const double accuracy = blind_accuracy(plan, blind, questions);
      EXPECT_EQ(questions, 4000);
      // Five standard deviations of the share of right guesses.
      EXPECT_NEAR(accuracy, 0.25, 5 * std::sqrt(0.25 * 0.75 / double(questions))) << blind.name;
    }
  }
}

TEST_P(ScenePlan, NoPictureStandsTwice) {
  std::set<std::string> images;
  size_t drawn = 0;
  for (const auto& entry : plan_scene_data(world_, {.seed = 1, .train = 900, .val = 120, .test = 240})) {
    if (entry.problem.image.empty()) continue;
    images.insert(bytes_of(draw_problem(world_, entry)));
    ++drawn;
  }
  EXPECT_EQ(images.size(), drawn);
  EXPECT_EQ(drawn, 840u);
}

INSTANTIATE_TEST_SUITE_P(Both, ScenePlan, testing::Values(false, true),
                         [](const auto& info) { return info.param ? "pictures" : "scenes"; });

const SceneDataConfig kSmall{.seed = 11, .train = 60, .val = 12, .test = 24};

std::map<std::string, std::string> files_below(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      files[entry.path().lexically_relative(folder).string()] = read_file(entry.path());
  return files;
}

TEST(SceneData, IsReadAsScienceQa) {
  const TemporaryFolder scratch;
  for (const SceneWorld& world : {SceneWorld::shapes(), picture_world(40)}) {
    const auto folder = scratch / (world.has_pictures() ? "pictures" : "scenes");
    const auto plan = plan_scene_data(world, kSmall);
    const uint64_t hash = write_scene_data(world, kSmall, folder);
    const ScienceQa data(folder);
    EXPECT_EQ(data.split("train").size(), 60u);
    EXPECT_EQ(data.split("trainval").size(), 72u);
    EXPECT_EQ(data.split("minitest").size(), 3u);
    data.require_images(data.split("trainval"));
    data.require_images(data.split("test"));
    for (const auto& entry : plan) {
      const Problem &wanted = entry.problem, &found = data.problem(wanted.id);
      EXPECT_EQ(found.question, wanted.question);
      EXPECT_EQ(found.choices, wanted.choices);
      EXPECT_EQ(found.answer, wanted.answer);
      EXPECT_EQ(found.hint, wanted.hint);
      EXPECT_EQ(found.topic, wanted.topic);
      EXPECT_EQ(found.grade, wanted.grade);
      ASSERT_EQ(found.image.empty(), wanted.image.empty());
      if (found.image.empty()) continue;
      const Image image = decode_png(read_file(found.image), found.image.string());
      EXPECT_EQ(image.width, world.side());
      EXPECT_EQ(image.rgb, draw_problem(world, entry).rgb);
    }
    const Json manifest = read_json(folder / "manifest.json");
    EXPECT_EQ(manifest["seed"], 11);
    EXPECT_EQ(manifest["side"], world.side());
    EXPECT_EQ(manifest["counts"]["test"], 24);
    EXPECT_EQ(std::stoull(manifest["hash"].get<std::string>(), nullptr, 16), hash);
  }
}

TEST(SceneData, HasTheSameBytesOnAnyNumberOfThreads) {
  const TemporaryFolder scratch;
  const auto world = SceneWorld::shapes();
  const int before = cpu_threads();
  std::map<std::string, std::string> first;
  for (int threads : {1, 2, 5}) {
    set_cpu_threads(threads);
    const auto folder = scratch / std::to_string(threads);
    write_scene_data(world, kSmall, folder);
    if (threads == 1) first = files_below(folder);
    EXPECT_EQ(files_below(folder), first);
  }
  set_cpu_threads(before);
  SceneDataConfig other = kSmall;
  other.seed = 12;
  EXPECT_NE(write_scene_data(world, other, scratch / "other"),
            std::stoull(parse_json(first["manifest.json"], "")["hash"].get<std::string>(), nullptr, 16));
}

TEST(SceneData, WritesWholeFoldersOrNone) {
  const TemporaryFolder scratch;
  const auto world = SceneWorld::shapes();
  std::filesystem::create_directories(scratch / "used");
  write_file(scratch / "used" / "notes", "mine");
  EXPECT_THAT(message_of<IoError>([&] { write_scene_data(world, kSmall, scratch / "used"); }),
              HasSubstr("wanted a new or empty folder"));
  EXPECT_THAT(message_of<IoError>([&] { write_scene_data(world, kSmall, scratch / "no" / "folder"); }),
              HasSubstr("does the folder above exist"));
  SceneDataConfig none = kSmall;
  none.val = 0;
  EXPECT_THAT(message_of<ConfigError>([&] { write_scene_data(world, none, scratch / "none"); }),
              HasSubstr("problems for val, found 0"));
  EXPECT_EQ(files_below(scratch.path()), (std::map<std::string, std::string>{{"used/notes", "mine"}}));
  std::filesystem::create_directories(scratch / "empty");
  write_scene_data(world, kSmall, scratch / "empty/");
  EXPECT_TRUE(std::filesystem::exists(scratch / "empty" / "manifest.json"));
  size_t entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(scratch.path()))
    entries += !entry.path().empty();
  EXPECT_EQ(entries, 2u);  // nothing temporary is left
}

}  // namespace
}  // namespace dehvf
