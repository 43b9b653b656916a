#include "train/adapter_task.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <map>

#include "autograd/ops/cross_entropy.h"
#include "autograd/ops/elementwise.h"
#include "core/ops/cross_entropy.h"
#include "core/ops/rows.h"
#include "core/plan.h"

namespace dehvf {
namespace {

std::vector<int64_t> lengths_of(const std::vector<Example>& examples, bool by_length) {
  std::vector<int64_t> lengths;
  for (const Example& example : examples) lengths.push_back(by_length ? int64_t(example.tokens.size()) : 1);
  return lengths;
}

int64_t labelled_in(const Example& example) {
  return std::count_if(example.labels.begin() + 1, example.labels.end(),
                       [](int32_t label) { return label != kIgnored; });
}

constexpr int64_t kTokenStep = 64, kLabelStep = 16;

// The size that `count` is filled up to: at most a step or an eighth more.
int64_t bucket_of(int64_t count, int64_t step) {
  step = std::max(step, int64_t(std::bit_floor(uint64_t(count))) / 8);
  return (count + step - 1) / step * step;
}

// Blank pictures that no text sees, rows of the last token that have no target. The tokens from `begin` on
// are of no text.
void fill_up(PackedExamples& packed, Supervised& wanted, int64_t begin) {
  const auto pictures = size_t(bucket_of(int64_t(packed.pictures.size()), 1));
  packed.pictures.resize(pictures, PictureSource::kBlank);
  const int64_t count = wanted.rows.count(), rows = bucket_of(count, kLabelStep);
  const auto filled = [&](const Tensor& given, int32_t value) {
    const Tensor all = full({rows}, 0, DType::i32);
    const auto to = all.span<int32_t>();
    std::ranges::fill(std::ranges::copy(given.span<int32_t>(), to.begin()).out, to.end(), value);
    return all;
  };
  wanted.rows = filled(wanted.rows, int32_t(packed.batch.count() - 1));
  wanted.targets = filled(wanted.targets, kNoTarget);
  std::ranges::fill(packed.batch.positions.span<int32_t>().subspan(size_t(begin)), 0);  // in any context
}

}  // namespace

PackedExamples pack_with_pictures(std::span<const std::vector<int32_t>> tokens,
                                  std::span<const int32_t> images, std::span<const int64_t> ids) {
  PackedExamples packed;
  std::vector<int32_t> image_of;
  for (int32_t image : images) {
    image_of.push_back(image == -1 ? -1 : int32_t(packed.pictures.size()));
    if (image != -1) packed.pictures.push_back(image);
  }
  packed.batch = pack(tokens, image_of, ids);
  return packed;
}

AdapterTask::AdapterTask(FusedModel& model, Module& trained, const std::vector<Example>& examples,
                         const PictureSource* pictures, const Options& options)
    : model_(model),
      trained_(trained),
      examples_(examples),
      pictures_(pictures),
      options_(options),
      sequence_(lengths_of(examples, options.by_length), options.batch, options.seed) {
  require<ConfigError>(!examples.empty(), "training: no examples");
  require<ConfigError>(options.micro_batch > 0 && options.micro_batch <= options.batch,
                       "training: micro-batch ", options.micro_batch, " of batch ", options.batch);
}

void AdapterTask::start_decoding() {
  std::vector<int32_t> order;
  BatchSequence future = sequence_;
  for (const int64_t epoch = future.cursor().epoch; future.cursor().epoch == epoch;)
    for (int64_t i : future.next())
      if (examples_[size_t(i)].image != -1) order.push_back(examples_[size_t(i)].image);
  decoded_ = std::make_unique<Prefetch<Tensor>>(
      int64_t(order.size()), options_.ahead, options_.decoders,
      [pictures = pictures_, order](int64_t i) { return pictures->pixels(order[size_t(i)]); });
}

Tensor AdapterTask::next_pixels(std::span<const int32_t> pictures) {
  std::vector<Tensor> each;
  for (int32_t picture : pictures)
    each.push_back(picture == PictureSource::kBlank ? pictures_->pixels(picture) : *decoded_->next());
  return concat_rows(each);
}

int AdapterTask::prepare(uint64_t step) {
  if (pictures_ && !pictures_->cached() && (!decoded_ || sequence_.cursor().batch == 0)) start_decoding();
  const std::vector<int64_t> chosen = sequence_.next();
  tokens_ = labelled_ = 0;
  for (int64_t i : chosen) {
    tokens_ += int64_t(examples_[size_t(i)].tokens.size());
    labelled_ += labelled_in(examples_[size_t(i)]);
  }
  require<ConfigError>(labelled_ > 0, "training: step ", step,
                       " has no labelled token; check the prompt format and its answers");
  parts_.clear();
  const auto size = size_t(options_.micro_batch);
  for (size_t begin = 0; begin < chosen.size(); begin += size)
    parts_.push_back(micro_batch(std::span(chosen).subspan(begin, std::min(size, chosen.size() - begin))));
  return int(parts_.size());
}

AdapterTask::MicroBatch AdapterTask::micro_batch(std::span<const int64_t> chosen) {
  std::vector<std::vector<int32_t>> tokens, labels;
  std::vector<int32_t> images;
  std::vector<int64_t> ids;
  int64_t count = 0;
  for (int64_t i : chosen) {
    const Example& example = examples_[size_t(i)];
    tokens.push_back(example.tokens);
    labels.push_back(example.labels);
    images.push_back(pictures_ ? example.image : -1);
    ids.push_back(example.id);
    count += int64_t(example.tokens.size());
  }
  // Where micro-batches may be recorded they are filled up to few sizes, so that a recorded one serves again:
  // by one more text, which has no label and sees no image.
  const bool fill = !as_on_cpu(model_.device()) && replays();
  if (const auto missing = size_t(bucket_of(count, kTokenStep) - count); fill && missing > 0) {
    tokens.emplace_back(missing, 0), labels.emplace_back(missing, kIgnored);
    images.push_back(-1), ids.push_back(-1);
  }
  PackedExamples packed = pack_with_pictures(tokens, images, ids);
  Supervised wanted = supervised(packed.batch, labels);
  if (fill) fill_up(packed, wanted, count);
  MicroBatch part{.text = model_.plan(packed.batch, wanted.rows), .targets = wanted.targets};
  if (packed.pictures.empty()) return part;
  if (pictures_->cached()) {
    part.cached = pictures_->places(packed.pictures);
  } else {
    part.pixels = next_pixels(packed.pictures);
    std::vector<int64_t> ids_of_pictures;
    for (const int64_t pictures : packed.pictures)
      for (int64_t i = 0; i < model_.images(); ++i) ids_of_pictures.push_back(pictures * model_.images() + i);
    part.picture_ids = tensor_of(ids_of_pictures);
  }
  return part;
}

std::vector<Tensor> AdapterTask::inputs(int micro_batch) {
  std::vector<Tensor> tensors;
  parts_[size_t(micro_batch)].visit([&](const Tensor& tensor) { tensors.push_back(tensor); });
  return tensors;
}

TowerLevels AdapterTask::levels(const MicroBatch& part, const Tensor& state) const {
  if (part.cached.defined()) return pictures_->cached_levels(part.cached);
  if (!part.pixels.defined()) return {};
  return model_.look(part.pixels,
                     {.seed = options_.seed, .sample_ids = part.picture_ids, .step_state = state});
}

Variable AdapterTask::loss(int micro_batch, std::span<const Tensor> inputs, const Tensor& state) {
  MicroBatch part = parts_[size_t(micro_batch)];
  auto next = inputs.begin();
  part.visit([&](Tensor& tensor) { tensor = *next++; });
  const ForwardOptions forward{
      .training = true, .seed = options_.seed, .step_state = state, .mode = options_.mode};
  const Variable losses = model_.losses(part.text, part.targets, model_.see(levels(part, state)), forward);
  return multiply(sum_all(losses), Variable(loss_scale_of(state)));
}

std::string AdapterTask::cursor() const {
  const BatchCursor& at = sequence_.cursor();
  return concat(at.epoch, ' ', at.batch, ' ', at.fingerprint);
}

void AdapterTask::seek(const std::string& cursor) {
  BatchCursor at;
  unsigned long long fingerprint = 0;
  long long epoch = 0, batch = 0;
  require<IoError>(std::sscanf(cursor.c_str(), "%lld %lld %llu", &epoch, &batch, &fingerprint) == 3,
                   "checkpoint: '", cursor, "' is not a place in the data");
  decoded_.reset();
  at.epoch = epoch, at.batch = batch, at.fingerprint = fingerprint;
  sequence_.seek(at);
}

std::vector<std::vector<Example>> largest_micro_batches(const std::vector<Example>& examples,
                                                        const AdapterTask::Options& options, int64_t steps) {
  struct Most {
    int64_t tokens = 0;
    std::vector<int64_t> chosen;
  };
  std::map<int64_t, Most, std::greater<>> by_pictures;
  BatchSequence sequence(lengths_of(examples, options.by_length), options.batch, options.seed);
  const auto size = size_t(options.micro_batch);
  for (int64_t step = 0; step < steps; ++step) {
    const std::span<const int64_t> batch = sequence.next();
    for (size_t begin = 0; begin < batch.size(); begin += size) {
      const auto part = batch.subspan(begin, std::min(size, batch.size() - begin));
      int64_t tokens = 0, pictures = 0;
      for (const int64_t i : part) {
        tokens += int64_t(examples[size_t(i)].tokens.size());
        pictures += examples[size_t(i)].image != -1;
      }
      Most& most = by_pictures[pictures];
      if (tokens > most.tokens) most = {tokens, {part.begin(), part.end()}};
    }
  }
  std::vector<std::vector<Example>> largest;
  int64_t beaten = 0;  // tokens of those with more pictures
  for (const auto& [pictures, most] : by_pictures) {
    if (most.tokens <= beaten) continue;
    beaten = most.tokens;
    largest.emplace_back();
    for (const int64_t i : most.chosen) largest.back().push_back(examples[size_t(i)]);
  }
  return largest;
}

}  // namespace dehvf
