// dehvf reproduce: what it lists and refuses, the arithmetic of its claims, a page that is nothing but text.
#include <gmock/gmock.h>

#include "cli/ablations.h"
#include "cli/commands.h"
#include "cli/published.h"
#include "cli/reproduce_page.h"
#include "core/error.h"
#include "core/io/file.h"
#include "support/message.h"
#include "support/temporary_folder.h"
#include "train/run_config.h"

namespace dehvf::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const ReproduceOptions kOptions{
    .assets = DEHVF_SOURCE_DIR, .rates = {.flops = 790e12, .bytes = 4.3e12}, .machine = "h200"};

Json row(const std::string& name, const std::string& group, int seed, double accuracy) {
  return {{"name", name},
          {"title", "title of " + name},
          {"group", group},
          {"data", "scenes"},
          {"seed", seed},
          {"steps", 40},
          {"accuracy_image", accuracy},
          {"accuracy_text", 1.0},
          {"accuracy_all", 0.75},
          {"low95", accuracy - 0.05},
          {"high95", accuracy + 0.05},
          {"seconds", 1.5},
          {"by_topic", Json::object()}};
}

Json toy_results() {
  Json results{{"mode", "test"}, {"seconds", 1.0}, {"rows", Json::array()}};
  for (const auto& [name, group, first, second] : {std::tuple{"text_only", "", 0.25, 0.25},
                                                   {"dehvf", "x", 0.5, 0.75},
                                                   {"static_mean", "x", 0.5, 0.5},
                                                   {"last_level", "<b>|", 0.375, 0.375}}) {
    results["rows"].push_back(row(name, group, 0, first));
    results["rows"].push_back(row(name, group, 1, second));
  }
  return results;
}

const Figure& figure_of(const Reproduction& result, const std::string& method, const std::string& what) {
  for (const Figure& figure : result.figures)
    if (figure.method.find(method) != std::string::npos && figure.what.find(what) != std::string::npos)
      return figure;
  fail<Error>("no figure of ", method, ": ", what);
}

TEST(Reproduce, ListsTablesAndNamesThemForAnUnknownOne) {
  const std::string said = run_command(add_reproduce, {"reproduce"});
  for (const char* name : {"scienceqa", "times", "ablations", "flops", "growth", "weights"})
    EXPECT_THAT(said, HasSubstr(name));
  EXPECT_THAT(message_of<ConfigError>([] {
                run_command(add_reproduce, {"reproduce", "table-9"});
              }),
              AllOf(HasSubstr("no table 'table-9'"), HasSubstr("scienceqa, times, ablations, flops")));
}

TEST(Reproduce, CountsTheShareOfFlopsAsByHand) {
  const Reproduction result = reproduce_table(published_table(kOptions.assets, "flops"), nullptr, kOptions);
  // A layer of LLaMA-7B on L tokens: 8 L d^2 + 2 L^2 d (half a square) + 6 L d f; 32 of text against 32 +
  // 576.
  const double d = 4096, f = 11008;
  const auto layer = [&](double tokens) {
    return 8 * tokens * d * d + 2 * tokens * tokens * d + 6 * tokens * d * f;
  };
  const double ideal = 100 * layer(32) / layer(32 + 576);
  EXPECT_NEAR(ideal, 5.2, 0.05);
  const Figure& figure = figure_of(result, "DEHVF", "without towers");
  EXPECT_EQ(figure.published, 6);
  EXPECT_GT(*figure.here, ideal);
  EXPECT_LT(*figure.here, 5.6);  // with rows and projections
  EXPECT_NEAR(*figure.difference(), *figure.here - 6, 1e-12);
}

TEST(Reproduce, CountsTheFlopsOfTheTableOfTimes) {
  const Reproduction result = reproduce_table(published_table(kOptions.assets, "times"), nullptr, kOptions);
  for (const char* method : {"LLaVA-LoRA, 7B", "MemVP, 7B", "LaVIN, 7B", "ADEM-VL, 7B"}) {
    const Figure& figure = figure_of(result, method, "TFLOP");
    EXPECT_NEAR(*figure.here / *figure.published, 1, 0.05) << method;
  }
  EXPECT_NEAR(*figure_of(result, "DEHVF", "training").published, 0.49 / 0.32, 1e-12);
}

TEST(Reproduce, RowsCostLinearly) {
  const Reproduction result = reproduce_table(published_table(kOptions.assets, "growth"), nullptr, kOptions);
  ASSERT_EQ(result.figures.size(), 2u);
  for (const Figure& figure : result.figures) EXPECT_NEAR(*figure.here, 1, 1e-9);
}

TEST(Reproduce, HoldsTheToyBesideTheAblations) {
  const Reproduction result =
      reproduce_table(published_table(kOptions.assets, "ablations"), toy_results(), kOptions);
  const Figure& mean = figure_of(result, "mean of the group", "toy, scenes");
  EXPECT_NEAR(*mean.published, 92.5 - 93.54, 1e-9);
  EXPECT_NEAR(*mean.here, -12.5, 1e-9);  // 0 with one seed, -25 with the other
  EXPECT_THAT(reproduction_markdown(result), AllOf(HasSubstr("-12.5 (-25.0 to +0.0)"), HasSubstr("<b>\\|")));
}

TEST(Reproduce, ThePageIsNothingButText) {
  Json table = published_table(kOptions.assets, "scienceqa");
  table["title"] = "<script>alert(1)</script>";
  table["differs"] = {"<img src=x>"};
  table["rows"] = Json::array({{{"method", "<u>x"},
                                {"source", "<i>"},
                                {"preset", "papers/dehvf-7b"},
                                {"values", Json::array({1, 2, 3, 4, 5, 6, 7, 8, 93.54})}}});
  const std::string page = reproduction_page(reproduce_table(table, toy_results(), kOptions), {});
  for (const char* markup : {"<script", "<img src=x", "<u>", "<i>", "<b>|"})
    EXPECT_THAT(page, Not(HasSubstr(markup)));
  EXPECT_THAT(page, AllOf(HasSubstr("&lt;script&gt;"), HasSubstr("93.54 %"), HasSubstr("not run")));
  for (const char* outside : {"http:", "https:", "url(", "@import", "<link"})
    EXPECT_THAT(page, Not(HasSubstr(outside)));
}

TEST(Reproduce, RefusesDamagedResultsOfTheToy) {
  Json toy = toy_results();
  toy["rows"][2]["fuser_weights"] = 7;
  EXPECT_THAT(message_of<IoError>(
                  [&] { reproduce_table(published_table(kOptions.assets, "weights"), toy, kOptions); }),
              HasSubstr("reproduce weights"));
}

TEST(Reproduce, WritesThePage) {
  const TemporaryFolder folder;
  const std::string said = run_command(add_reproduce, {"reproduce", "flops", "--out", folder / "out"});
  EXPECT_EQ(read_file(folder / "out/reproduce.md"), said);
  EXPECT_EQ(read_json(folder / "out/reproduce.json")["table"], "flops");
  EXPECT_THAT(read_file(folder / "out/reproduce.html"), HasSubstr("LLaVA-v1.5"));
}

TEST(Published, EveryPresetIsThereAndTheToyTakesItsKeys) {
  const auto configs = kOptions.assets / "configs";
  for (const Json& table : published_tables(kOptions.assets))
    for (const Json& row : table["rows"])
      if (row.contains("preset"))
        EXPECT_TRUE(std::filesystem::exists(configs / (row["preset"].get<std::string>() + ".yaml"))) << row;
  const auto options_of = [&](const std::string& name) {
    for (const ToyRow& row : toy_ablations(kOptions.assets))
      if (row.name == name) return read_run_config(row.preset, {}, configs / "toy.yaml").fusion_options;
    fail<Error>("no row ", name);
  };
  const auto toy = read_run_config(configs / "toy.yaml", {}).fusion_options;
  EXPECT_EQ(toy_ablations(kOptions.assets).front().name, "dehvf");
  auto wanted = toy;
  wanted["groups"] = "1";
  EXPECT_EQ(options_of("k1"), wanted);
  EXPECT_EQ(options_of("static_mean").count("width"), 0u);
  EXPECT_EQ(options_of("static_mean").at("slots"), toy.at("slots"));
  EXPECT_EQ(options_of("last_level").at("level"), "8");
}

}  // namespace
}  // namespace dehvf::cli
