#include "train/evaluate.h"

#include <algorithm>

#include "train/adapter_task.h"

namespace dehvf {
namespace {

bool single_tokens(const Question& question) {
  return std::ranges::all_of(question.choices, [](const auto& choice) { return choice.size() == 1; });
}

// Texts of one batch and what is asked of them.
struct Batch {
  std::vector<std::vector<int32_t>> tokens;
  std::vector<int32_t> images, rows;  // rows of the packed batch whose next token counts
  std::vector<int64_t> ids;
  int32_t length = 0;

  void add(const std::vector<int32_t>& text, int32_t image, int64_t id) {
    tokens.push_back(text);
    images.push_back(image);
    ids.push_back(id);
    length += int32_t(text.size());
  }
};

// Log-probabilities [rows, vocab] at the rows asked for.
Tensor log_probabilities(const FusedModel& model, const Batch& batch, const PictureSource* pictures) {
  const PackedExamples packed = pack_with_pictures(batch.tokens, batch.images, batch.ids);
  const Vision vision = model.see(pictures ? pictures->levels(packed.pictures) : TowerLevels{});
  const Variable found =
      model.llama().logits(model.hidden(model.plan(packed.batch, tensor_of(batch.rows)), vision, {}));
  const Tensor logits = cast(found.value().to(kCpu), DType::f64);
  const int64_t vocab = logits.size(1);
  for (int64_t row = 0; row < logits.size(0); ++row) {
    const auto line = logits[row].span<double>();
    const double top = *std::ranges::max_element(line);
    double sum = 0;
    for (double value : line) sum += std::exp(value - top);
    for (int64_t v = 0; v < vocab; ++v) line[size_t(v)] -= top + std::log(sum);
  }
  return logits;
}

// One text serves all choices of a question.
void rank_single(const FusedModel& model, std::span<const Question> questions, const PictureSource* pictures,
                 const PictureOf& picture_of, size_t first, std::span<Ranking> rankings) {
  Batch batch;
  for (size_t i = 0; i < questions.size(); ++i) {
    batch.add(questions[i].prompt, pictures ? picture_of(first + i) : -1, questions[i].id);
    batch.rows.push_back(batch.length - 1);
  }
  const Tensor scores = log_probabilities(model, batch, pictures);
  for (size_t i = 0; i < questions.size(); ++i)
    for (const auto& choice : questions[i].choices)
      rankings[i].log_likelihood.push_back(scores[int64_t(i)].data<double>()[choice[0]]);
}

// Every choice is a text of its own.
void rank_long(const FusedModel& model, const Question& question, const PictureSource* pictures,
               int32_t picture, Ranking& ranking) {
  Batch batch;
  for (const auto& choice : question.choices) {
    std::vector<int32_t> text = question.prompt;
    text.insert(text.end(), choice.begin(), choice.end());
    const auto begin = batch.length + int32_t(question.prompt.size()) - 1;
    batch.add(text, pictures ? picture : -1, question.id);
    for (size_t t = 0; t < choice.size(); ++t) batch.rows.push_back(begin + int32_t(t));
  }
  const Tensor scores = log_probabilities(model, batch, pictures);
  int64_t row = 0;
  for (const auto& choice : question.choices) {
    double sum = 0;
    for (int32_t token : choice) sum += scores[row++].data<double>()[token];
    ranking.log_likelihood.push_back(sum / double(choice.size()));
  }
}

// How many samples of `length` tokens a cache of about 1 GiB holds.
int64_t samples_at_once(const LlamaConfig& config, int64_t length, DType dtype) {
  const int64_t bytes =
      2 * int64_t(config.layers) * config.kv_heads * config.head_dim * length * int64_t(size_of(dtype));
  return std::clamp((int64_t(1) << 30) / bytes, int64_t(1), int64_t(64));
}

}  // namespace

const char* title_of(Show show) {
  switch (show) {
    case Show::own:
      return "its own picture";
    case Show::blank:
      return "every picture blank";
    case Show::shuffled:
      return "every question with another's picture";
    case Show::none:
      return "no picture";
  }
  return "";
}

int32_t shown_picture(Show show, int32_t own, int64_t count, int64_t further) {
  if (own < 0 || show == Show::none) return -1;
  if (show == Show::blank) return PictureSource::kBlank;
  if (show == Show::own || count < 2) return own;
  const int64_t places = 1 + (count / 2 - 1 + further) % (count - 1);
  return int32_t((own + places) % count);
}

std::vector<Ranking> rank_choices(const FusedModel& model, std::span<const Question> questions,
                                  const PictureSource* pictures, const PictureOf& picture_of, int64_t batch) {
  const NoGrad no_grad;
  std::vector<Ranking> rankings(questions.size());
  for (size_t first = 0; first < questions.size();) {
    if (!single_tokens(questions[first])) {
      rank_long(model, questions[first], pictures, picture_of(first), rankings[first]);
      ++first;
      continue;
    }
    size_t last = first;
    while (last < questions.size() && int64_t(last - first) < batch && single_tokens(questions[last])) ++last;
    rank_single(model, questions.subspan(first, last - first), pictures, picture_of, first,
                std::span(rankings).subspan(first, last - first));
    first = last;
  }
  for (Ranking& ranking : rankings)
    ranking.chosen = int(std::ranges::max_element(ranking.log_likelihood) - ranking.log_likelihood.begin());
  return rankings;
}

std::vector<Generated> write_answers(const FusedModel& model, std::span<const Question> questions,
                                     const PictureSource* pictures, const PictureOf& picture_of,
                                     const GenerateOptions& options) {
  const NoGrad no_grad;
  int64_t longest = 1;
  for (const Question& question : questions)
    longest = std::max(longest, int64_t(question.prompt.size() + question.lead_in.size()));
  if (pictures) longest += model.images() * model.fusion().cost().tokens_per_image;
  const Llama& llama = model.llama();
  const auto at_once = size_t(samples_at_once(llama.config(), longest + options.max_new, DType::f32));
  std::vector<Generated> answers;
  for (size_t first = 0; first < questions.size(); first += at_once) {
    Batch batch;
    for (size_t i = first; i < std::min(questions.size(), first + at_once); ++i) {
      std::vector<int32_t> text = questions[i].prompt;
      text.insert(text.end(), questions[i].lead_in.begin(), questions[i].lead_in.end());
      batch.add(text, pictures ? picture_of(i) : -1, questions[i].id);
    }
    const PackedExamples packed = pack_with_pictures(batch.tokens, batch.images, batch.ids);
    const Vision vision = model.see(pictures ? pictures->levels(packed.pictures) : TowerLevels{});
    std::ranges::move(generate(llama, vision, packed.batch, options), std::back_inserter(answers));
  }
  return answers;
}

}  // namespace dehvf
