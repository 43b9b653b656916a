// dehvf eval: answers of a run's adapter to a split, and their score.
#include <cstdio>

#include "cli/command.h"
#include "cli/progress.h"
#include "cli/run_options.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "core/variants.h"
#include "data/scorers/answer_extraction.h"
#include "data/scorers/interval.h"
#include "data/scorers/paired.h"
#include "data/scorers/scienceqa_score.h"
#include "train/run.h"

namespace dehvf::cli {
namespace {

// One evaluation of the split.
struct Row {
  Show show = Show::own;
  ScienceQaScore score;
  std::vector<double> right;  // of each problem with a picture, 1 or 0
};

// Tokens that an answer may take; those of the published evaluations where there are such.
int64_t answer_tokens(PromptFormat format, std::span<const Question> questions) {
  size_t longest = 1;
  for (const Question& question : questions)
    for (const auto& choice : question.choices) longest = std::max(longest, choice.size());
  switch (format) {
    case PromptFormat::qcm_a:
      return 1;
    case PromptFormat::qcm_ale:
      return 64;
    case PromptFormat::qcm_lea:
      return 1024;
    default:
      return int64_t(longest) + 1;
  }
}

std::vector<double> right_with_picture(std::span<const Problem> problems, const Predictions& chosen) {
  std::vector<double> right;
  for (const Problem& problem : problems)
    if (!problem.image.empty()) right.push_back(chosen.at(problem.id) == problem.answer);
  return right;
}

Json json_of(const McNemar& test) {
  return {{"only_own", test.only_first}, {"only_here", test.only_second}, {"mcnemar_p", test.p}};
}

Json json_of(const ScoreRow& row) {
  const Interval interval = wilson_95(row.right, row.of);
  return {{"right", row.right}, {"of", row.of}, {"low95", interval.low}, {"high95", interval.high}};
}

std::string cell(const ScoreRow& row) {
  if (row.of == 0) return "-";
  const Interval interval = wilson_95(row.right, row.of);
  char text[48];
  std::snprintf(text, sizeof text, "%6.2f [%.1f, %.1f]", 100 * double(row.right) / double(row.of),
                100 * interval.low, 100 * interval.high);
  return text;
}

struct Eval : RunOptions {
  std::filesystem::path adapter, predictions;
  std::string by = "likelihood";
  bool image_need = false;

  void run() const {
    Progress progress(json);
    RunConfig named = read();
    const std::optional<AdapterDescription> description = describe(named);
    Run run(std::move(named));
    if (description) {
      run.check(*description);
      load_adapter(folder(run.config()), run.model(), false);
    }
    run.model().move_to(run.device());
    const std::string& split = run.config().eval_split;
    const SplitData data = run.load(split, Use::evaluation);
    require<ConfigError>(!data.questions.empty(), "eval.split: '", printable(split, 60),
                         "' has no problems in ", run.config().data.string());
    std::vector<Row> rows;
    for (const Show show : shows(data)) {
      progress.phase(show == Show::own ? "eval" : title_of(show), int64_t(data.questions.size()));
      const Predictions chosen = answer(run, data, show, progress);
      if (show == Show::own && !predictions.empty()) write_predictions(predictions, chosen);
      rows.push_back(
          {show, score_problems(data.problems, chosen), right_with_picture(data.problems, chosen)});
    }
    for (const std::string& note : take_kernel_notes()) progress.note("note: " + note);
    tell_memory(run.device(), progress);
    json ? print_json(split, rows) : print_table(split, rows);
  }

 private:
  std::filesystem::path folder(const RunConfig& run) const {
    return adapter.empty() ? run.out / "adapter" : adapter;
  }

  // Read before the models, which take their time.
  std::optional<AdapterDescription> describe(const RunConfig& run) const {
    if (run.fusion == "none" && !run.tuning.any() && run.lora_from.empty()) {
      require<ConfigError>(adapter.empty(), adapter.string(),
                           ": fusion.name is none and nothing is tuned: there is no adapter");
      return {};
    }
    require<ConfigError>(!adapter.empty() || !run.out.empty(),
                         "config: 'out' is missing; name the run's folder, or an adapter by --adapter");
    return read_adapter_config(folder(run));
  }

  std::vector<Show> shows(const SplitData& data) const {
    if (!image_need) return {Show::own};
    require<ConfigError>(data.pictures != nullptr,
                         "--image-need: the model looks at no pictures (fusion.name is none)");
    require<ConfigError>(data.pictures->count() > 1,
                         "--image-need: wanted two pictures or more to exchange, found ",
                         data.pictures->count());
    return {Show::own, Show::blank, Show::shuffled};
  }

  Predictions answer(Run& run, const SplitData& data, Show show, Progress& progress) const {
    const int64_t pictures = data.pictures ? data.pictures->count() : 0;
    const PromptFormat format = run.config().prompt.format;
    const GenerateOptions writing{.max_new = answer_tokens(format, data.questions),
                                  .stop = stop_ids(run.model().llama().config(), run.tokenizer())};
    Predictions chosen;
    constexpr size_t kAtOnce = 64;
    for (size_t begin = 0; begin < data.questions.size(); begin += kAtOnce) {
      const auto part =
          std::span(data.questions).subspan(begin, std::min(kAtOnce, data.questions.size() - begin));
      const auto picture_of = [&](size_t i) { return shown_picture(show, part[i].image, pictures); };
      if (by == "likelihood") {
        const auto ranked = rank_choices(run.model(), part, data.pictures.get(), picture_of);
        for (size_t i = 0; i < part.size(); ++i) chosen[data.problems[begin + i].id] = ranked[i].chosen;
      } else {
        const auto written = write_answers(run.model(), part, data.pictures.get(), picture_of, writing);
        for (size_t i = 0; i < part.size(); ++i) {
          const Problem& problem = data.problems[begin + i];
          const std::string text = run.tokenizer().decode(written[i].tokens);
          chosen[problem.id] = extract_answer(text, problem.choices, format).value_or(-1);
        }
      }
      progress.step(int64_t(begin + part.size()), "");
    }
    return chosen;
  }

  void print_json(const std::string& split, const std::vector<Row>& rows) const {
    Json list = Json::array();
    for (const Row& row : rows) {
      Json columns = Json::object();
      for (const ScoreRow& column : row.score.columns) columns[column.name] = json_of(column);
      list.push_back(
          {{"pictures", title_of(row.show)}, {"columns", columns}, {"not_understood", row.score.invalid}});
      if (row.show != Show::own) list.back()["against_own"] = json_of(mcnemar(rows[0].right, row.right));
    }
    std::printf("%s\n", Json{{"split", split}, {"by", by}, {"rows", list}}.dump().c_str());
  }

  void print_table(const std::string& split, const std::vector<Row>& rows) const {
    const ScienceQaScore& own = rows[0].score;
    std::printf("%s, answers by %s: %% right [95%% interval]\n%-6s %6s", split.c_str(), by.c_str(), "", "of");
    constexpr const char* kHeads[] = {"own picture", "blank picture", "another's picture"};
    for (const Row& row : rows) std::printf("  %-21s", kHeads[size_t(row.show)]);
    std::printf("\n");
    for (size_t i = 0; i < own.columns.size(); ++i) {
      std::printf("%-6s %6lld", own.columns[i].name.c_str(), static_cast<long long>(own.columns[i].of));
      for (const Row& row : rows) std::printf("  %-21s", cell(row.score.columns[i]).c_str());
      std::printf("\n");
    }
    for (const Row& row : std::span(rows).subspan(1)) {
      const McNemar test = mcnemar(rows[0].right, row.right);
      std::printf(
          "%s: of %zu problems with a picture %lld right with their own only, %lld here only, "
          "McNemar's p %.2g\n",
          title_of(row.show), row.right.size(), static_cast<long long>(test.only_first),
          static_cast<long long>(test.only_second), test.p);
    }
    for (const Row& row : rows)
      if (row.score.invalid > 0)
        std::printf("%s: %lld answers name no choice and count as wrong\n", title_of(row.show),
                    static_cast<long long>(row.score.invalid));
  }
};

}  // namespace

void add_eval(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<Eval>();
  auto* command = program.add_subcommand(
      "eval",
      "answers a split and scores it as ScienceQA's own scorer does\nexample: dehvf eval --config "
      "runs/toy/config.yaml --image-need");
  options->add_to(command);
  command->add_option("--adapter", options->adapter, "adapter folder; the run's own without it");
  command
      ->add_option("--by", options->by,
                   "likelihood: the most probable choice. generation: the model writes, and the rule of the "
                   "prompt's format finds the choice in its text")
      ->check(CLI::IsMember({"likelihood", "generation"}))
      ->capture_default_str();
  command->add_flag("--image-need", options->image_need,
                    "also with blank pictures and with each other's pictures");
  command->add_option("--predictions", options->predictions, "file to write, for the official scorer");
  command->callback([&chosen, options] { chosen = [options] { options->run(); }; });
}

}  // namespace dehvf::cli
