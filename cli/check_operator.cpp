// dehvf check-operator: what a fusion operator promises, checked on tiny models.
#include <cstdio>

#include "cli/command.h"
#include "cli/tape_picture.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "train/contract/check.h"

namespace dehvf::cli {
namespace {

using contract::Check;

// fusion.key=value -> {key, value}
std::map<std::string, std::string> options_of(const std::vector<std::string>& words) {
  std::map<std::string, std::string> options;
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    require<ConfigError>(word.starts_with("fusion.") && equals != std::string::npos,
                         "check-operator: wanted fusion.KEY=VALUE, found '", word, "'");
    options[word.substr(7, equals - 7)] = word.substr(equals + 1);
  }
  return options;
}

// One check over the cases that it is for.
struct Row {
  const Check& check;
  int passed = 0, skipped = 0, failed = 0;
  std::string reason;  // why it was skipped
  std::vector<std::string> details;
};

Row run_over(const Check& check, const std::vector<tiny::Case>& cases) {
  Row row{.check = check};
  for (const tiny::Case& c : cases) {
    if (check.first_case_only && &c != cases.data()) break;
    const contract::Result result = run_check(check, c);
    if (!result.passed) {
      ++row.failed;
      row.details.push_back(concat(c, ": ", result.detail));
    } else if (!result.skipped.empty()) {
      ++row.skipped;
      row.reason = result.skipped;
    } else {
      ++row.passed;
    }
  }
  return row;
}

std::string indented(const std::string& text) {
  std::string result = "    ";
  for (char letter : text) result += letter == '\n' ? "\n      " : std::string(1, letter);
  return result;
}

void print(const Row& row) {
  const std::string name(row.check.name), promise(row.check.promise);
  const char* verdict = row.failed > 0 ? "FAILED" : row.passed > 0 ? "ok" : "-";
  std::printf("%-18s %-6s  %s\n", name.c_str(), verdict, promise.c_str());
  if (row.passed == 0 && row.failed == 0) std::printf("    not checked: %s\n", row.reason.c_str());
  for (const std::string& detail : row.details) std::printf("%s\n", indented(detail).c_str());
  std::fflush(stdout);
}

struct CheckOperator {
  std::string name;
  std::vector<std::string> words;
  std::filesystem::path graph;
  bool json = false;

  void run() const {
    const auto cases = tiny::cases_of(name, options_of(words));
    const FusedModel model = tiny::make(cases.front(), DType::f32);  // one that cannot be made is refused
    if (!graph.empty()) draw(model);
    if (!json)
      std::printf("%s: %zu checks, %zu settings of its keys\n\n", name.c_str(), contract::checks().size(),
                  cases.size());
    Json rows = Json::array();
    int failed = 0;
    for (const Check& check : contract::checks()) {
      const Row row = run_over(check, cases);
      failed += row.failed > 0;
      if (!json) print(row);
      rows.push_back({{"check", check.name},
                      {"promise", check.promise},
                      {"passed", row.passed},
                      {"failed", row.failed},
                      {"skipped", row.skipped},
                      {"details", row.details}});
    }
    if (json)
      std::printf("%s\n", Json{{"operator", name}, {"failed", failed}, {"checks", rows}}.dump().c_str());
    if (!graph.empty() && !json) std::printf("\ngraph: %s\n", graph.c_str());
    require<Error>(failed == 0, name, ": ", failed, " of ", contract::checks().size(), " checks failed");
  }

  void draw(const FusedModel& model) const {
    const TapeWatch watch;
    tiny::mean_loss(model, tiny::input(DType::f32), {.training = true});
    write_file(graph, tape_picture(watch, name + ": one step on the tiny models"));
  }
};

}  // namespace

void add_check_operator(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<CheckOperator>();
  auto* command = program.add_subcommand(
      "check-operator",
      "holds a fusion operator against what operators promise, on tiny models (docs/your_operator.md)\n"
      "example: dehvf check-operator memvp fusion.lambda=0.5");
  command->add_option("name", options->name, "a registered operator")->required();
  command->add_option("overrides", options->words, "fusion.key=value, for keys other than their defaults");
  command->add_option("--graph", options->graph, "SVG file: the graph of one step on the tiny models");
  command->add_flag("--json", options->json, "one JSON object on one line");
  command->callback([&chosen, options] { chosen = [options] { options->run(); }; });
}

}  // namespace dehvf::cli
