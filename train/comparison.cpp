#include "train/comparison.h"

#include <chrono>

#include "core/io/file.h"
#include "data/scorers/interval.h"
#include "train/insight.h"
#include "train/open_model.h"

namespace dehvf {
namespace {

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

constexpr int64_t kExchanges = 8;

double share(int64_t right, int64_t of) { return of == 0 ? 0 : double(right) / double(of); }

// The mean loss of every ten steps: batches of text questions and of pictures alternate, and single losses
// jump.
class Curve {
 public:
  void add(const StepReport& report) {
    sum_ += report.loss;
    if (++count_ < 10) return;
    points_.push_back({report.step, sum_ / count_});
    sum_ = count_ = 0;
  }
  const Json& points() const { return points_; }

 private:
  Json points_ = Json::array();
  double sum_ = 0;
  int count_ = 0;
};

}  // namespace

Comparison::Comparison(std::filesystem::path llama, std::filesystem::path tower,
                       std::filesystem::path data_folder, const ComparisonOptions& options)
    : llama_(std::move(llama)),
      tower_(std::move(tower)),
      options_(options),
      tokenizer_(open_tokenizer(llama_)),
      recipe_(recipe_from_json(read_json(tower_ / "preprocessor_config.json"),
                               (tower_ / "preprocessor_config.json").string())) {
  const ScienceQa data(std::move(data_folder));
  Pictures pictures;
  for (const std::string& id : data.split("train")) {
    const Problem& problem = data.problem(id);
    train_.push_back(training_example(problem, *tokenizer_, toy::prompt()));
    train_.back().image = pictures.add(problem);
  }
  train_pixels_ = load_pixels(pictures.paths, recipe_);
  test_ = read_set(data, options_.split);
}

Comparison::Set Comparison::read_set(const ScienceQa& data, const std::string& split) const {
  Set set;
  Pictures pictures;
  for (const std::string& id : data.split(split)) {
    const Problem& problem = data.problem(id);
    set.problems.push_back(problem);
    set.questions.push_back(make_question(problem, *tokenizer_, toy::prompt()));
    set.questions.back().image = pictures.add(problem);
  }
  set.pixels = load_pixels(pictures.paths, recipe_);
  return set;
}

std::unique_ptr<FusedModel> Comparison::make_model(const RowSpec& spec) const {
  FrozenFolders folders(llama_, tower_);
  auto model = folders.make({.fusion = spec.fusion,
                             .config = FusionConfig(spec.options),
                             .tower_adapters = spec.tower_adapters,
                             .adapters = spec.adapters});
  require<ConfigError>(model->images() == 1, printable(spec.name), ": fusion.images=", model->images(),
                       ", and ScienceQA's problems have one picture");
  folders.load(*model, DType::f32);
  model->move_to(options_.device);
  return model;
}

Json Comparison::evaluate(const FusedModel& model, const PictureSource* pictures, Show show,
                          std::vector<Ranking>* rankings) const {
  const int64_t count = pictures ? pictures->count() : 0;
  // A single exchange hits some right pictures by chance, more or fewer: several are averaged.
  const int64_t exchanges = show == Show::shuffled ? kExchanges : 1;
  std::map<std::string, std::pair<int64_t, int64_t>> parts;  // right, of
  for (int64_t exchange = 0; exchange < exchanges; ++exchange) {
    const auto picture_of = [&](size_t i) {
      return shown_picture(show, test_.questions[i].image, count, exchange * count / exchanges);
    };
    const auto ranked = rank_choices(model, test_.questions, pictures, picture_of);
    for (size_t i = 0; i < ranked.size(); ++i) {
      const bool right = ranked[i].chosen == test_.questions[i].answer,
                 with_image = test_.questions[i].image >= 0;
      for (const std::string& part : {std::string(with_image ? "image" : "text"), std::string("all"),
                                      "topic " + test_.problems[i].topic}) {
        parts[part].first += right;
        ++parts[part].second;
      }
    }
    if (rankings) *rankings = ranked;
  }
  const auto [right, of] = parts["image"];
  const int64_t questions = of / exchanges;  // the same questions each time: they are what an interval counts
  const Interval interval = wilson_95(right / exchanges, questions);
  Json row{{"accuracy_image", share(right, of)},
           {"accuracy_text", share(parts["text"].first, parts["text"].second)},
           {"accuracy_all", share(parts["all"].first, parts["all"].second)},
           {"low95", interval.low},
           {"high95", interval.high},
           {"right_image", right / exchanges},
           {"of_image", questions},
           {"by_topic", Json::object()}};
  for (const auto& [part, counts] : parts)
    if (part.starts_with("topic ")) row["by_topic"][part.substr(6)] = share(counts.first, counts.second);
  return row;
}

Json Comparison::keep_examples(const std::vector<Ranking>& rankings) const {
  Json kept = Json::array();
  std::map<std::string, int> of_topic;
  for (size_t i = 0; i < rankings.size() && int(kept.size()) < options_.examples; ++i) {
    const Problem& problem = test_.problems[i];
    if (problem.image.empty() || ++of_topic[problem.topic] > 2) continue;
    kept.push_back({{"image", problem.image.string()},
                    {"question", problem.question},
                    {"choices", problem.choices},
                    {"answer", problem.answer},
                    {"log_likelihood", rankings[i].log_likelihood},
                    {"chosen", rankings[i].chosen}});
  }
  return kept;
}

std::vector<Json> Comparison::run(const RowSpec& spec, uint64_t seed, const Progress& progress) {
  const auto begin = std::chrono::steady_clock::now();
  const std::unique_ptr<FusedModel> made = make_model(spec);
  FusedModel& model = *made;
  const bool looks = !model.fusion().tower().levels.empty();
  Curve curve;
  std::unique_ptr<PictureSource> train_pictures, test_pictures;
  if (looks) {
    initialise(model, random_key({seed, 10}));
    model.move_to(options_.device);
    train_pictures = std::make_unique<PictureSource>(model, train_pixels_, !spec.tower_adapters);
    AdapterTask task(model, model, train_, train_pictures.get(),
                     {.batch = options_.batch,
                      .micro_batch = options_.batch,
                      .seed = random_key({seed, 11}),
                      .by_length = false});
    Trainer trainer(task,
                    {.steps = options_.steps,
                     .schedule = {.peak = spec.rate, .warmup = options_.steps / 10, .steps = options_.steps},
                     .adamw = {.beta2 = 0.95}});
    trainer.run([&](const StepReport& report) {
      curve.add(report);
      progress(spec, report);
      return true;
    });
    train_pictures.reset();
    test_pictures =
        std::make_unique<PictureSource>(model, test_.pixels, true);  // nothing is trained any more
  }
  std::vector<Ranking> rankings;
  std::vector<Json> rows{evaluate(model, test_pictures.get(), looks ? Show::own : Show::none, &rankings)};
  rows[0].update({{"name", spec.name},
                  {"title", spec.title},
                  {"group", spec.group},
                  {"steps", looks ? options_.steps : 0},
                  {"rate", looks ? spec.rate : 0},
                  {"loss", curve.points()},
                  {"options", model.options().config.resolved()},
                  {"tower_adapters", spec.tower_adapters},
                  {"parameters", model.cost().live},
                  {"frozen_parameters", count_elements(model.llama()) + count_elements(model.tower())}});
  if (looks) rows[0].update(insight(model, *test_pictures, test_.questions));
  if (spec.name == "dehvf") rows[0]["examples"] = keep_examples(rankings);
  rows[0]["seconds"] = seconds_since(begin);
  for (const auto& [name, show] : spec.controls) {
    const auto started = std::chrono::steady_clock::now();
    rows.push_back(evaluate(model, test_pictures.get(), show, nullptr));
    rows.back().update({{"name", name},
                        {"title", title_of(show)},
                        {"evaluation_of", spec.name},
                        {"seconds", seconds_since(started)}});
  }
  for (Json& row : rows) row["seed"] = seed;
  return rows;
}

}  // namespace dehvf
