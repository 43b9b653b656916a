// Every preset of the papers side by side: planned at its published size, measured at toy size; what is
// refused.
#include "bench/compare.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/file.h"
#include "models/fused_model.h"
#include "support/message.h"
#include "support/temporary_folder.h"
#include "train/run_config.h"

namespace dehvf {
namespace {

using testing::HasSubstr;
using testing::Not;

std::filesystem::path papers() { return std::filesystem::path(DEHVF_SOURCE_DIR) / "configs" / "papers"; }

std::vector<std::filesystem::path> presets() {
  std::vector<std::filesystem::path> all;
  for (const auto& entry : std::filesystem::directory_iterator(papers())) all.push_back(entry.path());
  std::ranges::sort(all);
  return all;
}

CompareOptions options(const std::string& shape) {
  return {.presets = presets(),
          .shape = shape,
          .rates = {.flops = 790e12, .bytes = 4.3e12, .launch = 2.2e-6},
          .machine = "h200"};
}

const Json& row_of(const Json& result, const std::string& name) {
  for (const Json& row : result["rows"])
    if (row["name"] == name) return row;
  fail<Error>("no row ", name);
}

Json compared(const CompareOptions& options) {
  return compare_methods(options, [](const auto&) {});
}

TEST(Compare, PlansEveryPresetAtItsOwnSize) {
  CompareOptions given = options("");
  given.lengths = {64, 512};
  const Json result = compared(given);
  ASSERT_EQ(result["rows"].size(), given.presets.size());
  for (const Json& row : result["rows"]) {
    ASSERT_FALSE(row.contains("failed")) << row;
    for (const Json& at : row["lengths"]) {
      EXPECT_NEAR(at["flops_formula"].get<double>() /
                      (at["images"]["flops"].get<double>() + at["first_token"]["flops"].get<double>()),
                  1, 1e-12)
          << row["name"] << ", " << at["length"];
      for (const char* phase : {"train", "first_token", "next_token"}) {
        EXPECT_GT(at[phase]["flops"], 0) << row["name"];
        EXPECT_GT(at[phase]["floor_s"], 0) << row["name"];
        EXPECT_GT(at[phase]["forecast_s"], at[phase]["floor_s"]) << row["name"];
      }
    }
  }
  // A roofline of the 7B step by hand, at the same rates: 69.5 ms.
  const Json& dehvf = row_of(result, "dehvf-7b");
  EXPECT_NEAR(dehvf["lengths"][1]["train"]["floor_s"], 69.5e-3, 0.3e-3);
  EXPECT_NEAR(dehvf["trained"], 4068806, 0);
  EXPECT_DOUBLE_EQ(row_of(result, "llava-lora-7b")["lengths"][0]["train"]["ratio_floor"], 1);
  EXPECT_GT(dehvf["lengths"][0]["train"]["ratio_floor"], dehvf["lengths"][1]["train"]["ratio_floor"]);
  EXPECT_DOUBLE_EQ(row_of(result, "llava-lora-13b")["lengths"][0]["train"]["ratio_floor"], 1);
  EXPECT_GT(row_of(result, "dehvf-13b")["lengths"][0]["train"]["ratio_floor"], 1);
  EXPECT_THAT(compare_markdown(result), HasSubstr("Predicted for h200, not measured"));
}

// Every preset of an operator that takes two pictures a sample, with room for their rows.
TEST(Compare, CountsTwoPicturesASample) {
  const TemporaryFolder folder;
  CompareOptions given = options("");
  given.presets.clear();
  std::set<std::string> operators{"none"};
  for (const auto& path : presets()) {
    const RunConfig run = read_run_config(path, {});
    FusionConfig config(run.fusion_options);
    make_fusion(run.fusion, fusion_shapes(llama_7b(), clip_l14()), config);
    const auto keys = config.resolved();
    if (keys.contains("version") && keys.at("version") == "1") continue;
    if (!operators.insert(run.fusion).second) continue;
    given.presets.push_back(folder / (path.stem().string() + ".yaml"));
    write_file(given.presets.back(), concat("base: ", path.string(), "\nfusion:\n  images: 2\n",
                                            keys.contains("slots") ? "  slots: 640\n" : ""));
  }
  ASSERT_GE(given.presets.size(), 7u);
  given.lengths = {64};
  const Json result = compared(given);
  ASSERT_EQ(result["rows"].size(), given.presets.size());
  for (const Json& row : result["rows"]) {
    ASSERT_FALSE(row.contains("failed")) << row;
    const Json& at = row["lengths"][0];
    EXPECT_NEAR(at["flops_formula"].get<double>() /
                    (at["images"]["flops"].get<double>() + at["first_token"]["flops"].get<double>()),
                1, 1e-12)
        << row["name"];
  }
}

TEST(Compare, ExpectsOfADataSetTheMeanOfItsFifths) {
  CompareOptions given = options("");
  given.presets = {papers() / "dehvf-7b.yaml", papers() / "llava-lora-7b.yaml"};
  given.layers = 2;
  given.counts = LengthCounts{.tokenizer = "words", .counts = {{{40, 8, false}, 3}, {{64, 8, true}, 2}}};
  const Json result = compared(given);
  EXPECT_EQ(result["lengths"], Json({40, 64}));
  EXPECT_EQ(result["counted"]["texts"], 5);
  CompareOptions fixed = given;
  fixed.counts.reset();
  fixed.lengths = {40, 64};
  const Json all_seen = compared(fixed);
  for (size_t r = 0; r < 2; ++r) {
    const Json& row = result["rows"][r];
    const Json &text = row["lengths"][0]["train"], &seen = row["lengths"][1]["train"];
    EXPECT_EQ(seen, all_seen["rows"][r]["lengths"][1]["train"]) << row["name"];
    EXPECT_LT(text["flops"], all_seen["rows"][r]["lengths"][0]["train"]["flops"]) << "no pictures";
    const Json& expected = row["expected"]["train"];
    EXPECT_NEAR(expected["forecast_s"].get<double>(),
                0.6 * text["forecast_s"].get<double>() + 0.4 * seen["forecast_s"].get<double>(), 1e-9);
    EXPECT_EQ(expected["peak_bytes"], seen["peak_bytes"]);
  }
  const Json& own = result["rows"][0]["expected"]["train"];
  const Json& reference = result["rows"][1]["expected"]["train"];
  EXPECT_DOUBLE_EQ(own["ratio_forecast"].get<double>(),
                   reference["forecast_s"].get<double>() / own["forecast_s"].get<double>());
  EXPECT_THAT(compare_markdown(result), HasSubstr("| 40 tokens | 64 tokens | expected |"));
}

TEST(Compare, EagerAttentionKeepsTheSharesOfEveryHead) {
  CompareOptions given = options("");
  given.lengths = {128};
  std::erase_if(given.presets, [](const auto& preset) {
    return preset.stem() != "llava-lora-7b" && preset.stem() != "lavin-7b" && preset.stem() != "dehvf-7b";
  });
  const Json fused = compared(given);
  given.attention = AttentionForm::eager;
  const Json eager = compared(given);
  for (const char* name : {"llava-lora-7b", "lavin-7b", "dehvf-7b"}) {
    const Json &own = row_of(eager, name)["lengths"][0], &other = row_of(fused, name)["lengths"][0];
    EXPECT_NEAR(own["flops_formula"].get<double>() /
                    (own["images"]["flops"].get<double>() + own["first_token"]["flops"].get<double>()),
                1, 1e-12)
        << name;
    EXPECT_GT(own["train"]["forecast_s"], other["train"]["forecast_s"]) << name;
    EXPECT_EQ(own["next_token"], other["next_token"]) << name;
  }
  // Of all blocks but the first and the last one; the fused one keeps its output and statistics instead.
  const auto peak = [&](const Json& result) {
    return row_of(result, "llava-lora-7b")["lengths"][0]["train"]["peak_bytes"].get<double>();
  };
  const double tokens = 256 + 128;
  EXPECT_GT(peak(eager) - peak(fused), 30 * 4 * (32 * tokens * tokens * 2 - tokens * (4096 * 2 + 32 * 4)));
  EXPECT_THAT(compare_markdown(eager), HasSubstr("attention with its scores in memory"));
  EXPECT_THAT(compare_markdown(fused), Not(HasSubstr("scores in memory")));
}

TEST(Compare, MeasuresEveryPresetAtToySize) {
  CompareOptions given = options("toy");
  given.lengths = {24};
  given.layers = 2;
  given.device = kCpu;
  given.rounds = 1;
  const Json result = compared(given);
  EXPECT_EQ(result["measured_on"], "cpu");
  for (const Json& row : result["rows"]) {
    ASSERT_FALSE(row.contains("failed")) << row;
    for (const char* phase : {"train", "images", "first_token", "next_token"})
      EXPECT_GT(row["lengths"][0][phase]["measured_s"]["median"], 0) << row["name"];
    const Json& train = row["lengths"][0]["train"];
    EXPECT_NEAR(train["peak_more_percent"], 0, 3)
        << row["name"] << train["memory"] << train["measured_memory"];
    EXPECT_EQ(train["measured_memory"]["weights"], train["memory"]["weights"]) << row["name"];
    if (row["name"].get<std::string>().ends_with("7b"))
      EXPECT_TRUE(row["lengths"][0]["train"].contains("ratio_measured")) << row["name"];
  }
  const std::string csv = compare_csv(result);
  EXPECT_EQ(std::ranges::count(csv, '\n'), 1 + 4 * int64_t(given.presets.size()));
}

TEST(Compare, WhatDoesNotFitIsPlannedOnlyAndSaysByHowMuch) {
  CompareOptions given = options("13b");
  given.presets = {papers() / "llava-v1.5-7b.yaml"};
  given.lengths = {64};
  given.device = kCpu;
  given.layers = 40;
  given.samples = 1;
  const Json row = compared(given)["rows"][0];
  EXPECT_THAT(row["skipped"],
              testing::MatchesRegex("needs [0-9.]+ GB, [0-9.]+ GB are free: [0-9.]+ GB too much"));
  EXPECT_FALSE(row["lengths"][0]["train"].contains("measured_s"));
}

TEST(Compare, RefusesInOneLine) {
  const auto refused = [](const CompareOptions& given) {
    return message_of<ConfigError>([&] { compared(given); });
  };
  EXPECT_THAT(refused({}), HasSubstr("no presets"));
  EXPECT_THAT(refused(options("70b")), HasSubstr("wanted 7b, 13b or toy, found '70b'"));
  CompareOptions shorter = options("toy");
  shorter.lengths = {8};
  EXPECT_THAT(refused(shorter), HasSubstr("a text of 8 tokens cannot have 8 labelled ones"));
}

}  // namespace
}  // namespace dehvf
