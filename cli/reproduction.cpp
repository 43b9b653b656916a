#include "cli/reproduction.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "cli/ablations.h"
#include "cli/planned_run.h"
#include "core/error.h"
#include "core/io/file.h"
#include "data/scorers/interval.h"
#include "train/flops_formula.h"

namespace dehvf::cli {
namespace {

constexpr int64_t kSupervised = 8;  // labelled tokens of a text

std::string decimals(double value, int digits) {
  char text[40];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::optional<double> maybe(const Json& object, const char* key) {
  if (!object.contains(key) || object[key].is_null()) return {};
  return object[key].get<double>();
}

std::vector<std::string> texts(const Json& table, const char* key) {
  return table.value(key, std::vector<std::string>());
}

std::string name_of(const Json& row) { return row.value("method", row.value("title", std::string())); }

std::string source_of(const Json& row, const Json& table) {
  return row.value("source", table.value("source", std::string()));
}

RunConfig config_of(const Json& row, const ReproduceOptions& options) {
  return read_run_config(options.assets / "configs" / (row.at("preset").get<std::string>() + ".yaml"), {});
}

// What a command line trains and judges with weights and data at hand, and what that takes.
void add_training(Reproduction& result, const Json& table, const ReproduceOptions& options) {
  const auto examples = table.at("train_examples").get<double>();
  const auto length = table.at("length").get<int64_t>();
  result.commands = {
      "dehvf train --config configs/PRESET.yaml model=LLAMA tower=CLIP data=DATA out=runs/NAME",
      "dehvf eval --config configs/PRESET.yaml model=LLAMA tower=CLIP data=DATA out=runs/NAME --image-need"};
  result.needs = {
      "LLaMA-7B or 13B and CLIP ViT-L/14 (folders of Hugging Face or Meta), whichever the preset names",
      table.at("data")};
  TextTable cost{concat("Forecast for one ", options.machine, ", texts of ", length, " tokens"),
                 {"preset", "trained", "steps", "s a step", "hours", "GB"},
                 {}};
  for (const Json& row : table.at("rows")) {
    if (!row.contains("preset")) continue;
    const RunConfig config = config_of(row, options);
    PlannedModel planned = planned_model(config);
    const int64_t samples = config.batches.micro_batch;
    const PlannedWork work = planned.train_step(
        {.samples = samples, .length = length, .supervised = kSupervised, .mode = config.batches.mode});
    const double steps = std::ceil(config.epochs * examples / double(config.batches.batch));
    const double seconds = forecast_seconds(work.calls, options.rates) *
                           std::ceil(double(config.batches.batch) / double(samples));
    cost.rows.push_back({row.at("preset"), decimals(1e-6 * double(planned.model().cost().live), 2) + " M",
                         decimals(steps, 0), decimals(seconds, 3), decimals(steps * seconds / 3600, 1),
                         decimals(1e-9 * double(work.bytes()), 1)});
  }
  result.details.push_back(std::move(cost));
}

void accuracy(Reproduction& result, const Json& table, const ReproduceOptions& options) {
  const auto columns = texts(table, "columns");
  const bool categories = columns.size() > 2;  // then the last is their average
  TextTable by_category{"Published, by category", {"method"}, {}},
      range{"Range to expect", {"method", "published", "95% by chance of the test split alone"}, {}};
  by_category.head.insert(by_category.head.end(), columns.begin(), columns.end());
  for (const Json& row : table.at("rows")) {
    std::vector<std::string> cells{name_of(row)};
    for (size_t i = 0; i < columns.size(); ++i) {
      const Json& value = row.at("values").at(i);
      cells.push_back(value.is_null() ? "" : decimals(value, 2));
      if (categories && i + 1 < columns.size()) continue;
      Figure figure{.method = name_of(row),
                    .what = columns[i],
                    .unit = categories ? "%" : "",
                    .source = source_of(row, table)};
      if (!value.is_null()) figure.published = value.get<double>();
      result.figures.push_back(std::move(figure));
    }
    if (categories) by_category.rows.push_back(cells);
    if (!table.contains("test_examples") || row.at("values").back().is_null()) continue;
    const auto of = table.at("test_examples").get<int64_t>();
    const Interval interval =
        wilson_95(std::llround(1e-2 * row.at("values").back().get<double>() * double(of)), of);
    range.rows.push_back({name_of(row), cells.back(),
                          concat(decimals(100 * interval.low, 2), " to ", decimals(100 * interval.high, 2))});
  }
  for (TextTable* detail : {&range, &by_category})
    if (!detail->rows.empty()) result.details.push_back(std::move(*detail));
  if (table.contains("train_examples"))
    add_training(result, table, options);
  else
    result.needs = {table.at("data")};
}

// The middle of what is published.
std::optional<double> average_of(const Json& row) {
  if (!row.contains("average")) return {};
  const Json& value = row.at("average");
  return value.is_array() ? (value[0].get<double>() + value[1].get<double>()) / 2 : value.get<double>();
}

void ablations(Reproduction& result, const Json& table, const RunResults& toy,
               const ReproduceOptions& options) {
  const double base = average_of(table.at("rows")[0]).value();
  for (const Json& row : table.at("rows")) {
    const auto published = average_of(row);
    if (!published || &row == &table.at("rows")[0]) continue;
    for (const std::string& kind : toy.kinds()) {
      Figure figure{.method = name_of(row),
                    .what = concat("from DEHVF; here the toy, ", kind),
                    .unit = "points",
                    .published = *published - base,
                    .source = source_of(row, table)};
      if (const auto found = distance_of(toy, row.value("stands_in", row.value("toy", std::string())), kind))
        figure.here = found->mean;
      result.figures.push_back(std::move(figure));
    }
  }
  add_training(result, table, options);
}

// The toy beside it, those of its rows that the table wants: other models, other data.
void add_toy(Reproduction& result, const Json& table, RunResults toy) {
  const auto wanted = toy_rows_for(table).value_or(std::vector<std::string>());
  if (!wanted.empty())
    std::erase_if(toy.rows,
                  [&](const RunRow& row) { return std::ranges::find(wanted, row.name) == wanted.end(); });
  int64_t steps = 0;
  for (const RunRow& row : toy.rows) steps = std::max(steps, row.steps);
  TextTable rows = ablation_table(toy);
  rows.title = concat("The toy, ", steps, " steps");
  if (!rows.rows.empty()) result.details.insert(result.details.begin(), std::move(rows));
  for (const std::string& kind : toy.kinds())
    if (const auto own = accuracy_of(toy, "dehvf", kind); own && own->seeds > 1)
      result.differs.push_back(concat("Of the toy's DEHVF ", own->seeds, " seeds lie ",
                                      decimals(own->high - own->low, 1), " points apart on ", kind, "."));
}

struct Costs {
  ForwardFlops flops;  // of one text
  double train_s, infer_s, bytes;
};

Costs costs_of(const Json& row, const Json& table, const ReproduceOptions& options, int64_t samples) {
  RunConfig config = config_of(row, options);
  config.attention = AttentionForm::eager;  // as the papers measured it
  PlannedModel planned = planned_model(config);
  const auto length = table.at("length").get<int64_t>();
  const PlannedWork step =
      planned.train_step({.samples = samples, .length = length, .supervised = kSupervised});
  const PlannedModel::Inference inference = planned.inference(samples, length);
  return {forward_flops(planned.model(), 1, length), forecast_seconds(step.calls, options.rates),
          forecast_seconds(inference.images.calls, options.rates) +
              forecast_seconds(inference.first_token.calls, options.rates),
          double(step.bytes())};
}

constexpr int64_t kSamples = 4;  // of a step on each of the eight devices that the papers used

void times(Reproduction& result, const Json& table, const ReproduceOptions& options) {
  const Json& reference = table.at("rows")[0];
  const Costs slow = costs_of(reference, table, options, kSamples);
  const auto samples = table.at("flops_samples").get<double>();
  TextTable seconds{concat("Forecast for ", options.machine, ": ", kSamples, " texts of ",
                           table.at("length").get<int64_t>(), " tokens"),
                    {"method", "training step, ms", "pictures and first token, ms", "GB"},
                    {}};
  for (const Json& row : table.at("rows")) {
    const Costs own = costs_of(row, table, options, kSamples);
    const std::string method = name_of(row), source = source_of(row, table);
    const auto add = [&](const std::string& what, const char* unit, std::optional<double> published,
                         double here) {
      result.figures.push_back({method, what, unit, published, here, source});
    };
    add(concat("TFLOP of ", samples, " texts"), "TFLOP", maybe(row, "tflop"),
        1e-12 * samples * own.flops.sum());
    const bool same_model = config_of(row, options).model == config_of(reference, options).model;
    for (const auto& [key, what, before, now] : {std::tuple{"train_s", "training", slow.train_s, own.train_s},
                                                 {"infer_s", "inference", slow.infer_s, own.infer_s}}) {
      if (!same_model || &row == &reference) continue;
      std::optional<double> published;
      if (row.contains(key)) published = reference.at(key).get<double>() / row.at(key).get<double>();
      add(concat(what, ", times as fast as LLaVA-LoRA"), "x", published, before / now);
    }
    seconds.rows.push_back({method, decimals(1e3 * own.train_s, 1), decimals(1e3 * own.infer_s, 1),
                            decimals(1e-9 * own.bytes, 1)});
  }
  result.details.push_back(std::move(seconds));
  result.commands = {"dehvf compare --lengths 256 --device cuda:0 --out runs/compare"};
  result.needs = {"a GPU to measure; nothing to forecast", table.at("data")};
}

void flops(Reproduction& result, const Json& table, const ReproduceOptions& options) {
  std::vector<ForwardFlops> all;
  TextTable parts{
      "TFLOP of one text, by part", {"method", "tower", "operator", "linears", "attention", "head"}, {}};
  for (const Json& row : table.at("rows")) {
    PlannedModel planned = planned_model(config_of(row, options));
    const ForwardFlops& own =
        all.emplace_back(forward_flops(planned.model(), 1, table.at("length").get<int64_t>()));
    std::vector<std::string> cells{name_of(row)};
    for (const double part : {own.vision, own.operation, own.linears, own.attention, own.head})
      cells.push_back(decimals(1e-12 * part, 4));
    parts.rows.push_back(std::move(cells));
  }
  const ForwardFlops& whole = all.back();  // the table ends with what the others are a share of
  for (size_t i = 0; i + 1 < all.size(); ++i) {
    const Json& row = table.at("rows")[i];
    const std::string source = row.contains("percent") ? source_of(row, table) : "";
    result.figures.push_back({name_of(row), "of LLaVA-v1.5's FLOPs, without towers", "%",
                              maybe(row, "percent"),
                              100 * (all[i].sum() - all[i].vision) / (whole.sum() - whole.vision), source});
    result.figures.push_back(
        {name_of(row), "of LLaVA-v1.5's FLOPs, with towers", "%", {}, 100 * all[i].sum() / whole.sum(), ""});
  }
  result.details.push_back(std::move(parts));
  result.commands = {"dehvf plan --config configs/papers/dehvf-7b.yaml --length 32"};
  result.needs = {"neither weights nor data: counted from sizes"};
}

// Of a text of `length` tokens through the language model as it is.
double text_alone(RunConfig config, int64_t length) {
  config.fusion = "none";
  config.fusion_options.clear();
  config.tower_adapters = false;
  config.tuning = {};
  return forward_flops(planned_model(config).model(), 1, length).sum();
}

void growth(Reproduction& result, const Json& table, const ReproduceOptions& options) {
  const auto length = table.at("length").get<int64_t>();
  TextTable details{
      concat("One text of ", length, " tokens; a step of ", kSamples, " forecast for ", options.machine),
      {"beside or in the text", "GFLOP without tower", "more than the text alone", "for each row or token",
       "training step, ms", "GB"},
      {}};
  std::vector<std::pair<double, double>> rows;  // how many, FLOPs
  for (const Json& row : table.at("rows")) {
    const RunConfig config = config_of(row, options);
    const double alone = text_alone(config, length), units = row.at("units").get<double>();
    const Costs own = costs_of(row, table, options, kSamples);
    const double all = own.flops.sum() - own.flops.vision;
    details.rows.push_back({name_of(row), decimals(1e-9 * all, 1), decimals(1e-9 * (all - alone), 1),
                            decimals(1e-9 * (all - alone) / units, 3), decimals(1e3 * own.train_s, 1),
                            decimals(1e-9 * own.bytes, 1)});
    if (config.fusion != "dehvf") continue;
    rows.emplace_back(units, all);
    if (rows.size() < 3) continue;
    const auto slope = [&](size_t i) {
      return (rows[i].second - rows[i - 1].second) / (rows[i].first - rows[i - 1].first);
    };
    result.figures.push_back({name_of(row), "FLOPs of a further row, against the first further ones'", "x", 1,
                              slope(rows.size() - 1) / slope(1), source_of(row, table)});
  }
  result.details.push_back(std::move(details));
  result.commands = {"dehvf plan --config configs/ablations/rows-512.yaml --length 256"};
  result.needs = {"neither weights nor data: counted from sizes"};
}

std::string list_of(const Json& numbers) {
  std::string text;
  for (const Json& number : numbers) text += concat(text.empty() ? "" : ", ", decimals(number, 2));
  return text;
}

// What the toy's fuser weighs, of each data set and seed.
void weights(Reproduction& result, const Json& table, const Json& toy, const ReproduceOptions& options) {
  for (const Json& row : toy.at("rows")) {
    if (row.at("name") != "dehvf" || !row.contains("fuser_weights")) continue;
    TextTable details{concat("The toy's, ", row.at("data").get<std::string>(), ", seed ",
                             row.at("seed").get<int>(), ": mean over pictures"),
                      {"layer", "its levels", "keys", "values", "entropy, nats (even: ln of their number)"},
                      {}};
    for (size_t layer = 0; layer < row.at("fuser_weights").size(); ++layer) {
      const Json& sides = row.at("fuser_weights")[layer];
      const int first = 1 + row.at("fuser_first_level").at(layer).get<int>(), count = int(sides.at(0).size());
      details.rows.push_back({concat(layer + 1), concat(first, " to ", first + count - 1),
                              list_of(sides.front()), list_of(sides.back()),
                              decimals(row.at("fuser_entropy").at(layer), 3)});
    }
    result.details.push_back(std::move(details));
  }
  add_training(result, table, options);
  result.commands.emplace_back("dehvf report runs/demo  # draws them");
}

}  // namespace

std::optional<double> Figure::difference() const {
  if (!published || !here) return {};
  return unit == "%" || unit == "points" ? *here - *published : 100 * (*here / *published - 1);
}

std::optional<std::vector<std::string>> toy_rows_for(const Json& table) {
  if (table.at("kind") == "ablations") return std::vector<std::string>{};
  if (!table.contains("toy")) return {};
  return table.at("toy").get<std::vector<std::string>>();
}

Reproduction reproduce_table(const Json& table, const Json& toy, const ReproduceOptions& options) try {
  Reproduction result{.name = table.at("name"),
                      .title = table.at("title"),
                      .claim = table.at("claim"),
                      .differs = texts(table, "differs"),
                      .missing = texts(table, "missing")};
  const RunResults toy_results = toy.is_null() ? RunResults{} : read_results(toy, "results of the toy");
  const std::string kind = table.at("kind");
  if (kind == "accuracy")
    accuracy(result, table, options);
  else if (kind == "ablations")
    ablations(result, table, toy_results, options);
  else if (kind == "times")
    times(result, table, options);
  else if (kind == "flops")
    flops(result, table, options);
  else if (kind == "growth")
    growth(result, table, options);
  else if (kind == "weights")
    weights(result, table, toy, options);
  else
    fail<IoError>("published.json: kind '", printable(kind), "' is none that is known");
  if (!toy.is_null() && kind != "weights") add_toy(result, table, toy_results);
  return result;
} catch (const Json::exception& error) {
  fail<IoError>("reproduce ", table.value("name", std::string()),
                ": published.json or the toy's results: ", printable(error.what()));
}

}  // namespace dehvf::cli
