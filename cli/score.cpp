// dehvf score: files of predictions by the rules of the public scorers, and against one another.
#include <algorithm>
#include <cstdio>

#include "cli/command.h"
#include "core/error.h"
#include "core/io/json.h"
#include "data/scorers/coco_captions.h"
#include "data/scorers/nlvr2_score.h"
#include "data/scorers/paired.h"
#include "data/scorers/scienceqa_score.h"
#include "data/scorers/vqa_score.h"

namespace dehvf::cli {
namespace {

struct Score {
  std::string format, rule, split;
  std::filesystem::path predictions, references;
  std::vector<std::filesystem::path> against;
  bool pretokenized = false, json = false;

  void run() const {
    only_for("--pretokenized", pretokenized, "coco-captions");
    only_for("--rule", !rule.empty(), "vqav2");
    only_for("--split", !split.empty(), "scienceqa");
    const SampleScores own = score(predictions);
    std::vector<SampleScores> others;
    for (const auto& path : against) others.push_back(score(path));
    json ? print_json(own, others) : print_table(own, others);
  }

 private:
  void only_for(const char* option, bool given, const char* wanted) const {
    require<ConfigError>(!given || format == wanted, option, ": is for ", wanted, " only, found ", format);
  }

  SampleScores score(const std::filesystem::path& file) const {
    if (format == "coco-captions")
      return score_coco_captions(file, references, pretokenized ? CaptionText::tokens : CaptionText::plain);
    if (format == "vqav2")
      return score_vqa(file, references, rule == "evalai" ? VqaRule::evalai : VqaRule::official);
    if (format == "nlvr2") return score_nlvr2(file, references);
    const ScienceQa data(references);
    return sample_scores(data, split.empty() ? "test" : split, read_predictions(file), file.string());
  }

  // As many rounds as take a few seconds, 10000 for sets of the usual size.
  static PairedBootstrap bootstrap(const SampleScores& first, const SampleScores& second) {
    const auto count = int64_t(std::max<size_t>(first.samples.size(), 1));
    return paired_bootstrap(first.samples, second.samples,
                            std::clamp<int64_t>(int64_t(200'000'000) / count, 1000, 10000));
  }

  static Json json_of(const SampleScores& scores) {
    Json figures = Json::object();
    for (const auto& [name, value] : scores.figures) figures[name] = value;
    return figures;
  }

  void print_json(const SampleScores& own, const std::vector<SampleScores>& others) const {
    Json comparisons = Json::array();
    for (size_t i = 0; i < others.size(); ++i) {
      const PairedBootstrap mean = bootstrap(own, others[i]);
      Json row{{"predictions", against[i].string()}, {"figures", json_of(others[i])},
               {"difference", mean.difference},      {"low95", mean.interval.low},
               {"high95", mean.interval.high},       {"p", mean.p}};
      if (own.right_or_wrong) {
        const McNemar test = mcnemar(own.samples, others[i].samples);
        row["mcnemar"] = {{"only_first", test.only_first}, {"only_second", test.only_second}, {"p", test.p}};
      }
      comparisons.push_back(std::move(row));
    }
    std::printf("%s\n", Json{{"format", format},
                             {"predictions", predictions.string()},
                             {"samples", own.samples.size()},
                             {"figures", json_of(own)},
                             {"against", comparisons}}
                            .dump()
                            .c_str());
  }

  void print_table(const SampleScores& own, const std::vector<SampleScores>& others) const {
    std::printf("%s, %zu samples, in hundredths\n", format.c_str(), own.samples.size());
    for (size_t i = 0; i < own.figures.size(); ++i) {
      std::printf("%-28s %7.2f", own.figures[i].first.c_str(), 100 * own.figures[i].second);
      for (const SampleScores& other : others) std::printf(" %7.2f", 100 * other.figures[i].second);
      std::printf("\n");
    }
    for (size_t i = 0; i < others.size(); ++i) {
      const PairedBootstrap mean = bootstrap(own, others[i]);
      std::printf("against %s: %+.2f [%+.2f, %+.2f], p %.2g\n", against[i].c_str(), 100 * mean.difference,
                  100 * mean.interval.low, 100 * mean.interval.high, mean.p);
      if (!own.right_or_wrong) continue;
      const McNemar test = mcnemar(own.samples, others[i].samples);
      std::printf("  right only here %lld, only there %lld, McNemar's p %.2g\n",
                  static_cast<long long>(test.only_first), static_cast<long long>(test.only_second), test.p);
    }
  }
};

}  // namespace

void add_score(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<Score>();
  auto* command = program.add_subcommand(
      "score",
      "scores predictions as the public scorers do\nexample: dehvf score vqav2 --predictions answers.json "
      "--references v2_mscoco_val2014_annotations.json");
  command->add_option("format", options->format, "coco-captions, vqav2, nlvr2 or scienceqa")
      ->required()
      ->check(CLI::IsMember({"coco-captions", "vqav2", "nlvr2", "scienceqa"}));
  command->add_option("--predictions", options->predictions, "file in the format's own layout")->required();
  command
      ->add_option("--references", options->references, "the format's annotations; for scienceqa its folder")
      ->required();
  command->add_option(
      "--against", options->against,
      "further predictions, each compared sample by sample: paired bootstrap, McNemar's test");
  command->add_flag("--pretokenized", options->pretokenized,
                    "coco-captions: the texts are tokens between spaces, for instance of the Java tool");
  command
      ->add_option("--rule", options->rule,
                   "vqav2: official (the data set's tool, the default) or evalai (as LLaVA and MMF evaluate)")
      ->check(CLI::IsMember({"official", "evalai"}));
  command->add_option("--split", options->split, "scienceqa: a list of pid_splits.json; test without it");
  command->add_flag("--json", options->json, "one JSON object on one line");
  command->callback([&chosen, options] { chosen = [options] { options->run(); }; });
}

}  // namespace dehvf::cli
