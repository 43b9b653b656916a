#include "models/generate.h"

#include <algorithm>
#include <numeric>

#include "autograd/ops/rows.h"
#include "core/ops/cross_entropy.h"
#include "core/ops/elementwise.h"
#include "core/random.h"

namespace dehvf {
namespace {

KvCache cache_for(const Llama& model, const TextBatch& prompts, int64_t room) {
  const LlamaConfig& config = model.config();
  const int64_t longest = std::ranges::max(prompts.lengths);
  require<ConfigError>(longest <= config.context, "generate: a prompt of ", longest,
                       " tokens, visual ones included; the model's context is ", config.context);
  return {config, prompts.samples(), std::min(config.context, longest + room), model.dtype(), model.device()};
}

// The next token of every live sample; those that have ended keep a place of no tokens.
TextBatch one_token_each(std::span<const int64_t> live, std::span<const int32_t> next, const KvCache& cache) {
  TextBatch batch;
  batch.lengths.assign(cache.lengths.size(), 0);
  std::vector<int32_t> positions, offsets{0}, spans;
  for (int64_t sample : live) {
    batch.lengths[size_t(sample)] = 1;
    positions.push_back(int32_t(cache.lengths[size_t(sample)]));
  }
  for (int64_t length : batch.lengths) {
    const auto begin = offsets.back(), count = int32_t(length);
    spans.insert(spans.end(), {begin, count, begin, count});
    offsets.push_back(begin + count);
  }
  batch.tokens = tensor_of(next, Shape{int64_t(next.size())});
  batch.positions = tensor_of(positions);
  batch.sample_offsets = tensor_of(offsets);
  batch.spans = tensor_of(spans).reshape({batch.samples(), 4});
  return batch;
}

// Weighs the tokens by exp(logit / temperature) and picks where `uniform` falls among the most probable.
int32_t sample_token(std::span<const double> logits, double uniform, const GenerateOptions& options) {
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order,
                           [&](int32_t a, int32_t b) { return logits[size_t(a)] > logits[size_t(b)]; });
  std::vector<double> weights;
  double all = 0, kept = 0;
  for (int32_t token : order) {
    weights.push_back(std::exp((logits[size_t(token)] - logits[size_t(order[0])]) / options.temperature));
    all += weights.back();
  }
  size_t count = 0;
  while (count < weights.size() && (count == 0 || kept < options.top_p * all)) kept += weights[count++];
  double left = uniform * kept;
  for (size_t i = 0; i + 1 < count; ++i)
    if ((left -= weights[i]) < 0) return order[i];
  return order[count - 1];
}

std::vector<int32_t> choose(const Decoder& decoder, std::span<const int64_t> sample_ids,
                            const GenerateOptions& options) {
  if (options.temperature == 0) {
    const Tensor best = argmax_rows(decoder.logits()).to(kCpu);
    return {best.span<int32_t>().begin(), best.span<int32_t>().end()};
  }
  const Tensor logits = cast(decoder.logits().to(kCpu), DType::f64);
  std::vector<int32_t> chosen;
  for (size_t i = 0; i < decoder.live().size(); ++i) {
    const int64_t sample = decoder.live()[i];
    const auto id = uint64_t(sample_ids[size_t(sample)]);
    const auto words = philox({uint32_t(decoder.length(sample)), 0, uint32_t(id), uint32_t(id >> 32)},
                              random_key({options.seed, 0x73616d706c65}));
    chosen.push_back(sample_token(logits[int64_t(i)].span<double>(), unit_interval(words[0]), options));
  }
  return chosen;
}

}  // namespace

std::vector<int32_t> stop_ids(const LlamaConfig& config, const Tokenizer& tokenizer) {
  std::vector<int32_t> ids = config.eos;
  if (tokenizer.eos() >= 0) ids.push_back(tokenizer.eos());
  return ids;
}

Decoder::Decoder(const Llama& model, Vision vision, const TextBatch& prompts, int64_t room)
    : model_(model), vision_(std::move(vision)), cache_(model.config(), 0, 0, DType::f32, kCpu) {
  const TextPlan plan = plan_text(prompts, {}, vision_.fusion);
  cache_ = cache_for(model_, plan.batch, room);
  sample_ids_ = plan.batch.sample_ids;
  image_of_ = plan.batch.image_of;
  live_.resize(size_t(prompts.samples()));
  std::iota(live_.begin(), live_.end(), int64_t(0));
  run(plan);
}

void Decoder::run(const TextPlan& plan) {
  const NoGrad no_grad;
  const Variable hidden = model_.forward(plan, model_.embed(plan.tokens), vision_, {.cache = &cache_});
  std::vector<int32_t> last;
  for (int64_t sample : live_) last.push_back(plan.batch.sample_offsets.data<int32_t>()[sample + 1] - 1);
  logits_ = model_.logits(gather_rows(hidden, tensor_of(last, hidden.device()))).value();
}

void Decoder::advance(std::span<const int32_t> next) {
  require<Error>(next.size() == live_.size(), "decode: ", next.size(), " tokens for ", live_.size(),
                 " samples");
  std::vector<int64_t> live;
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < next.size(); ++i)
    if (next[i] != kEnd) live.push_back(live_[i]), tokens.push_back(next[i]);
  live_ = std::move(live);
  if (live_.empty()) return;
  TextBatch batch = one_token_each(live_, tokens, cache_);
  batch.sample_ids = sample_ids_;
  batch.image_of = image_of_;
  batch.set_images();
  run(batch);
}

std::vector<Generated> generate(const Llama& model, const Vision& vision, const TextBatch& prompts,
                                const GenerateOptions& options) {
  require<ConfigError>(options.max_new >= 0, "generate: max_new: wanted 0 or more, found ", options.max_new);
  require<ConfigError>(options.temperature >= 0 && std::isfinite(options.temperature),
                       "generate: temperature: wanted 0 or more, found ", options.temperature);
  require<ConfigError>(0 < options.top_p && options.top_p <= 1,
                       "generate: top_p: wanted 0 < top_p <= 1, found ", options.top_p);
  std::vector<Generated> result(size_t(prompts.samples()));
  if (options.max_new == 0) return result;
  Decoder decoder(model, vision, prompts, options.max_new);
  while (!decoder.live().empty()) {
    std::vector<int32_t> next = choose(decoder, prompts.sample_ids.span<int64_t>(), options);
    for (size_t i = 0; i < next.size(); ++i) {
      const int64_t sample = decoder.live()[i];
      Generated& text = result[size_t(sample)];
      text.stopped = std::ranges::find(options.stop, next[i]) != options.stop.end();
      if (!text.stopped) text.tokens.push_back(next[i]);
      if (text.stopped || int64_t(text.tokens.size()) == options.max_new ||
          decoder.length(sample) == model.config().context)
        next[i] = Decoder::kEnd;
    }
    decoder.advance(next);
  }
  return result;
}

}  // namespace dehvf
