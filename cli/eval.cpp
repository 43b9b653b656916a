// dehvf eval: answers of a run's adapter to a split, and their score.
#include <cstdio>

#include "cli/command.h"
#include "cli/progress.h"
#include "cli/run_options.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "core/variants.h"
#include "data/scorers/interval.h"
#include "data/scorers/paired.h"
#include "train/run.h"

namespace dehvf::cli {
namespace {

// One evaluation of the split.
struct Row {
  Show show = Show::own;
  Score score;
  std::vector<double> seeing;  // the scores of the questions with a picture
};

std::vector<double> with_picture(const Exam& exam, const Score& score) {
  std::vector<double> seeing;
  for (size_t i = 0; i < score.samples.size(); ++i)
    if (exam.questions[i].image >= 0) seeing.push_back(score.samples[i]);
  return seeing;
}

// Against the questions' own pictures.
Json comparison(const Row& own, const Row& row) {
  if (row.score.right_or_wrong) {
    const McNemar test = mcnemar(own.seeing, row.seeing);
    return {{"only_own", test.only_first}, {"only_here", test.only_second}, {"mcnemar_p", test.p}};
  }
  const PairedBootstrap mean = paired_bootstrap(own.seeing, row.seeing);
  return {{"own_minus_here", mean.difference},
          {"low95", mean.interval.low},
          {"high95", mean.interval.high},
          {"p", mean.p}};
}

void print_comparison(const Row& own, const Row& row) {
  if (row.score.right_or_wrong) {
    const McNemar test = mcnemar(own.seeing, row.seeing);
    std::printf(
        "%s: of %zu questions with a picture %lld right with their own only, %lld here only, "
        "McNemar's p %.2g\n",
        title_of(row.show), row.seeing.size(), static_cast<long long>(test.only_first),
        static_cast<long long>(test.only_second), test.p);
    return;
  }
  const PairedBootstrap mean = paired_bootstrap(own.seeing, row.seeing);
  std::printf("%s: their own is better by %.2f [%.2f, %.2f] in the mean of %zu questions, p %.2g\n",
              title_of(row.show), 100 * mean.difference, 100 * mean.interval.low, 100 * mean.interval.high,
              row.seeing.size(), mean.p);
}

Json json_of(const Score& score) {
  Json columns = Json::object();
  for (const Figure& figure : score.figures) {
    const Interval interval = wilson_95(figure.right, figure.of);
    if (score.right_or_wrong)
      columns[figure.name] = {
          {"right", figure.right}, {"of", figure.of}, {"low95", interval.low}, {"high95", interval.high}};
    else
      columns[figure.name] = {{"value", figure.value}};
  }
  return columns;
}

struct Eval : RunOptions {
  std::filesystem::path adapter, predictions;
  std::string by;
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
    const Exam& exam = *data.exam;
    require<ConfigError>(!exam.questions.empty(), "eval.split: '", printable(split, 60),
                         "' has no problems in ", run.config().data.string());
    const bool ranks = by.empty() ? exam.may_rank : by == "likelihood";
    require<ConfigError>(ranks ? exam.may_rank : exam.may_write, "--by ", by, ": the questions of ",
                         run.config().data.string(), " are answered by ", ranks ? "generation" : "likelihood",
                         " only");
    std::vector<Row> rows;
    for (const Show show : shows(data)) {
      progress.phase(show == Show::own ? "eval" : title_of(show), int64_t(exam.questions.size()));
      const std::vector<Reply> replies = answer(run, data, show, ranks, progress);
      if (show == Show::own && !predictions.empty()) exam.write(predictions, replies);
      rows.push_back({.show = show, .score = exam.score(replies), .seeing = {}});
      rows.back().seeing = with_picture(exam, rows.back().score);
    }
    for (const std::string& note : take_kernel_notes()) progress.note("note: " + note);
    tell_memory(run.device(), progress);
    const char* const how = ranks ? "likelihood" : "generation";
    json ? print_json(split, how, rows) : print_table(split, how, rows);
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

  std::vector<Reply> answer(Run& run, const SplitData& data, Show show, bool ranks,
                            Progress& progress) const {
    const std::vector<Question>& questions = data.exam->questions;
    const int64_t pictures = data.pictures ? data.pictures->count() : 0;
    const GenerateOptions writing{.max_new = data.exam->most_tokens,
                                  .stop = stop_ids(run.model().llama().config(), run.tokenizer())};
    std::vector<Reply> replies;
    constexpr size_t kAtOnce = 64;
    for (size_t begin = 0; begin < questions.size(); begin += kAtOnce) {
      const auto part = std::span(questions).subspan(begin, std::min(kAtOnce, questions.size() - begin));
      const auto picture_of = [&](size_t i) { return shown_picture(show, part[i].image, pictures); };
      if (ranks) {
        for (const Ranking& ranking : rank_choices(run.model(), part, data.pictures.get(), picture_of))
          replies.push_back({.choice = ranking.chosen, .text = {}});
      } else {
        for (const auto& written : write_answers(run.model(), part, data.pictures.get(), picture_of, writing))
          replies.push_back({.choice = -1, .text = run.tokenizer().decode(written.tokens)});
      }
      progress.step(int64_t(begin + part.size()), "");
    }
    return replies;
  }

  void print_json(const std::string& split, const char* how, const std::vector<Row>& rows) const {
    Json list = Json::array();
    for (const Row& row : rows) {
      list.push_back({{"pictures", title_of(row.show)},
                      {"columns", json_of(row.score)},
                      {"not_understood", row.score.invalid}});
      if (row.show != Show::own) list.back()["against_own"] = comparison(rows[0], row);
    }
    std::printf("%s\n", Json{{"split", split}, {"by", how}, {"rows", list}}.dump().c_str());
  }

  static std::string cell(const Figure& figure, bool counts) {
    if (counts && figure.of == 0) return "-";
    char text[48];
    const Interval interval = wilson_95(figure.right, figure.of);
    if (counts)
      std::snprintf(text, sizeof text, "%6.2f [%.1f, %.1f]", 100 * figure.value, 100 * interval.low,
                    100 * interval.high);
    else
      std::snprintf(text, sizeof text, "%6.2f", 100 * figure.value);
    return text;
  }

  void print_table(const std::string& split, const char* how, const std::vector<Row>& rows) const {
    const Score& own = rows[0].score;
    size_t widest = 6;
    for (const Figure& figure : own.figures) widest = std::max(widest, figure.name.size());
    const int width = int(widest);
    std::printf("%s, %zu answers by %s: in hundredths%s\n%-*s %6s", split.c_str(), own.samples.size(), how,
                own.right_or_wrong ? " [95% interval]" : "", width, "", own.right_or_wrong ? "of" : "");
    constexpr const char* kHeads[] = {"own picture", "blank picture", "another's picture"};
    for (const Row& row : rows) std::printf("  %-21s", kHeads[size_t(row.show)]);
    std::printf("\n");
    for (size_t i = 0; i < own.figures.size(); ++i) {
      const std::string of = own.right_or_wrong ? concat(own.figures[i].of) : "";
      std::printf("%-*s %6s", width, own.figures[i].name.c_str(), of.c_str());
      for (const Row& row : rows)
        std::printf("  %-21s", cell(row.score.figures[i], own.right_or_wrong).c_str());
      std::printf("\n");
    }
    for (const Row& row : std::span(rows).subspan(1)) print_comparison(rows[0], row);
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
      "answers a split and scores it as the data set's own scorer does\nexample: dehvf eval --config "
      "runs/toy/config.yaml --image-need");
  options->add_to(command);
  command->add_option("--adapter", options->adapter, "adapter folder; the run's own without it");
  command
      ->add_option(
          "--by", options->by,
          "likelihood: the most probable choice. generation: the model writes, and ScienceQA's choice is "
          "found in its text by the rule of the prompt's format. Without it what the data set allows, "
          "likelihood first")
      ->check(CLI::IsMember({"likelihood", "generation"}));
  command->add_flag("--image-need", options->image_need,
                    "also with blank pictures and with each other's pictures");
  command->add_option("--predictions", options->predictions,
                      "file to write, in the layout of the data set's own scorer");
  command->callback([&chosen, options] { chosen = [options] { options->run(); }; });
}

}  // namespace dehvf::cli
