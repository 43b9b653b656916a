#include "train/adapter_task.h"

#include <cstdio>

#include "autograd/ops/cross_entropy.h"
#include "autograd/ops/elementwise.h"
#include "core/random.h"

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

Tensor AdapterTask::next_pixels() {
  std::vector<Tensor> pictures;
  for (int64_t i : chosen_)
    if (examples_[size_t(i)].image != -1) pictures.push_back(*decoded_->next());
  if (pictures.empty()) return {};
  const Shape& one = pictures[0].shape();
  const Tensor all({int64_t(pictures.size()), one[0], one[1], one[2]}, pictures[0].dtype());
  for (size_t i = 0; i < pictures.size(); ++i) copy_into(pictures[i], all[int64_t(i)]);
  return all;
}

TowerLevels AdapterTask::levels(std::span<const int32_t> pictures, size_t first_sample,
                                const Tensor& state) const {
  if (pictures.empty()) return {};
  const std::vector<int64_t> ids(pictures.begin(), pictures.end());
  const TowerDropout dropout{.seed = options_.seed, .sample_ids = tensor_of(ids), .step_state = state};
  if (pictures_->cached()) return pictures_->levels(pictures, dropout);
  const auto begin = std::count_if(chosen_.begin(), chosen_.begin() + int64_t(first_sample),
                                   [&](int64_t i) { return examples_[size_t(i)].image != -1; });
  return pictures_->levels(pixels_.slice(begin, begin + int64_t(pictures.size())), dropout);
}

int AdapterTask::prepare(uint64_t step) {
  const bool decodes = pictures_ && !pictures_->cached();
  if (decodes && (!decoded_ || sequence_.cursor().batch == 0)) start_decoding();
  chosen_ = sequence_.next();
  tokens_ = labelled_ = 0;
  for (int64_t i : chosen_) {
    tokens_ += int64_t(examples_[size_t(i)].tokens.size());
    labelled_ += labelled_in(examples_[size_t(i)]);
  }
  require<ConfigError>(labelled_ > 0, "training: step ", step,
                       " has no labelled token; check the prompt format and its answers");
  if (decodes) pixels_ = next_pixels();
  return int((int64_t(chosen_.size()) + options_.micro_batch - 1) / options_.micro_batch);
}

Variable AdapterTask::loss(int micro_batch, const Tensor& state) {
  const size_t begin = size_t(micro_batch) * size_t(options_.micro_batch);
  const size_t end = std::min(chosen_.size(), begin + size_t(options_.micro_batch));
  std::vector<std::vector<int32_t>> tokens, labels;
  std::vector<int32_t> images;
  std::vector<int64_t> ids;
  for (size_t i = begin; i < end; ++i) {
    const Example& example = examples_[size_t(chosen_[i])];
    tokens.push_back(example.tokens);
    labels.push_back(example.labels);
    images.push_back(pictures_ ? example.image : -1);
    ids.push_back(example.id);
  }
  const PackedExamples packed = pack_with_pictures(tokens, images, ids);
  const ForwardOptions forward{
      .training = true, .seed = options_.seed, .step_state = state, .mode = options_.mode};
  const TowerLevels levels = this->levels(packed.pictures, begin, state);
  const Variable losses =
      model_.losses(packed.batch, supervised(packed.batch, labels), model_.see(levels), forward);
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

}  // namespace dehvf
