// The report's page from small results: every row is there, nothing from a file becomes markup, bad results
// are refused in one line.
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/report_page.h"
#include "core/error.h"
#include "data/png.h"
#include "support/message.h"
#include "support/temporary_folder.h"

namespace dehvf::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Json row(const std::string& name, int seed = 0) {
  return {{"name", name},
          {"title", "title of " + name},
          {"data", "scenes"},
          {"seed", seed},
          {"accuracy_image", 0.5},
          {"accuracy_text", 1.0},
          {"accuracy_all", 0.75},
          {"low95", 0.45},
          {"high95", 0.55},
          {"seconds", 1.5},
          {"by_topic", {{"colour", 0.625}, {"text", 1.0}}}};
}

Json control(const std::string& name, const std::string& of, int seed = 0) {
  Json result = row(name, seed);
  result["evaluation_of"] = of;
  return result;
}

Json small_results() {
  Json trained = row("dehvf");
  trained.update({{"steps", 40}, {"parameters", 24114}, {"frozen_parameters", 1234567}});
  trained["examples"] = {{{"image", "picture.png"},
                          {"question", "<script>alert('q')</script> & \"which\"?\x1b[31m\xff"},
                          {"choices", {"</span><b>red", "green"}},
                          {"log_likelihood", {-2.0, -2.0 - std::log(3.0)}},
                          {"answer", 1},
                          {"chosen", 0}}};
  return {{"mode", "<i>fast"},
          {"seconds", 12.0},
          {"rows", {row("text_only"), control("zeroed", "dehvf"), trained, control("orphan", "nobody")}}};
}

std::string page_of(const Json& results, const std::filesystem::path& run = "/nowhere",
                    const Plots& plots = {}) {
  return report_page(read_results(results, "results.json"), run, plots);
}

TEST(Report, ShowsEveryRowAndEvaluationsBelowTheirs) {
  const std::string page = page_of(small_results());
  for (const char* name : {"text_only", "dehvf", "zeroed", "orphan"})
    EXPECT_THAT(page, HasSubstr("title of " + std::string(name))) << name;
  EXPECT_LT(page.find("title of dehvf"), page.find("title of zeroed"));
  EXPECT_THAT(page, HasSubstr("<b>50.0</b> [45.0, 55.0]"));
  EXPECT_THAT(page, HasSubstr("<td>62.5</td>"));
  EXPECT_THAT(page, HasSubstr("24&#8239;114"));
  EXPECT_THAT(page, HasSubstr("1&#8239;234&#8239;567"));
}

TEST(Report, EvaluationsStayWithTheirSeed) {
  Json results = small_results();
  results["rows"] = {row("a", 0), row("a", 1), control("b", "a", 1), control("c", "a", 0)};
  const std::string page = page_of(results);
  EXPECT_LT(page.find("title of c"), page.find("seed 1"));
  EXPECT_LT(page.find("seed 1"), page.find("title of b"));
}

TEST(Report, EscapesWhatComesFromFiles) {
  Json results = small_results();
  results["rows"][0]["title"] = "<script>alert(1)</script>";
  results["rows"][0]["data"] = "<img src=x>";
  results["rows"][0]["name"] = "n'><script>";
  results["rows"][0]["by_topic"]["<u>"] = 0.5;
  const std::string page = page_of(results, "/nowhere", {{}, "<script>missing"});
  for (const char* markup : {"<script", "<img src=x", "<u>", "<i>fast", "<b>red", "\x1b", "\xff"})
    EXPECT_THAT(page, Not(HasSubstr(markup)));
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;alert(&#39;q&#39;)&lt;/script&gt; &amp; &quot;which&quot;?"));
}

TEST(Report, NeedsNothingFromOutside) {
  const TemporaryFolder run;
  write_png(run.path() / "picture.png", Image(3, 2));
  const std::string page = page_of(small_results(), run.path(), {{{"loss_0", "<svg/>"}}, ""});
  EXPECT_THAT(page, HasSubstr("src='data:image/png;base64,iVBORw0KGgo"));
  EXPECT_THAT(page, HasSubstr("src='data:image/svg+xml;base64,PHN2Zy8+'"));
  for (const char* outside : {"http:", "https:", "url(", "@import", "<link", "<script"})
    EXPECT_THAT(page, Not(HasSubstr(outside)));
}

TEST(Report, LikelihoodsOfChoicesSumToOne) {
  const std::string page = page_of(small_results());
  EXPECT_THAT(page, HasSubstr("75.0 %"));
  EXPECT_THAT(page, HasSubstr("25.0 %"));
  EXPECT_THAT(page, HasSubstr("green <em>✓ right</em>"));
  EXPECT_THAT(page, HasSubstr("red <em class='no'>✗ chosen</em>"));
  EXPECT_THAT(page, HasSubstr("picture not found"));
}

TEST(Report, HoldsAblationsAgainstDehvf) {
  Json results = small_results();
  EXPECT_THAT(page_of(results), Not(HasSubstr("points from DEHVF")));  // no row of an ablation
  results["rows"] = {row("text_only"), row("dehvf"), row("dehvf", 1), row("k2"), row("k2", 1)};
  for (int i = 1; i < 5; ++i) results["rows"][i]["group"] = "<i>groups";
  results["rows"][3]["accuracy_image"] = 0.25;
  const std::string page = page_of(results, "/nowhere", {{{"ablations", "<svg/>"}}, ""});
  EXPECT_THAT(page, HasSubstr("37.5 (25.0 to 50.0)"));
  EXPECT_THAT(page, HasSubstr("-12.5 (-25.0 to +0.0)"));
  EXPECT_THAT(page, HasSubstr("src='data:image/svg+xml;base64,PHN2Zy8+'"));
  EXPECT_THAT(page, Not(HasSubstr("<i>groups")));
}

TEST(Report, SaysWhyThereAreNoPlots) {
  EXPECT_THAT(page_of(small_results(), "/nowhere", {{}, "no plots: because"}),
              HasSubstr("no plots: because"));
}

TEST(Report, RefusesDamagedResults) {
  const auto message = [](auto change) {
    Json results = small_results();
    change(results);
    return message_of<IoError>([&] { read_results(results, "r.json"); });
  };
  for (const char* key : {"name", "title", "data", "seed", "accuracy_image", "low95", "seconds", "by_topic"})
    EXPECT_THAT(message([&](Json& json) { json["rows"][1].erase(key); }),
                ::testing::AllOf(HasSubstr("r.json: rows[1]"), HasSubstr(key)));
  EXPECT_THAT(message([](Json& json) { json.erase("rows"); }), HasSubstr("'rows'"));
  EXPECT_THAT(message([](Json& json) { json["rows"] = Json::array(); }), HasSubstr("no rows"));
  EXPECT_THAT(message([](Json& json) { json["rows"][0] = 7; }), HasSubstr("rows[0]"));
  EXPECT_THAT(message([](Json& json) { json["rows"][0]["low95"] = 1.5; }), HasSubstr("wanted 0 to 1"));
  EXPECT_THAT(message([](Json& json) { json["rows"][2]["examples"][0]["chosen"] = 2; }),
              HasSubstr("none of the 2 choices"));
  EXPECT_THAT(message([](Json& json) { json["rows"][2]["examples"][0]["log_likelihood"] = {0.0}; }),
              HasSubstr("2 choices, but 1"));
  EXPECT_THAT(message([](Json& json) {
                json["rows"][2]["examples"][0]["choices"] = {"a", 2};
              }),
              HasSubstr("another type"));
}

}  // namespace
}  // namespace dehvf::cli
