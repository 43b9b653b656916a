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

int AdapterTask::prepare(uint64_t step) {
  step_ = step;
  chosen_ = sequence_.next();
  tokens_ = labelled_ = 0;
  for (int64_t i : chosen_) {
    tokens_ += int64_t(examples_[size_t(i)].tokens.size());
    labelled_ += labelled_in(examples_[size_t(i)]);
  }
  require<ConfigError>(labelled_ > 0, "training: step ", step,
                       " has no labelled token; check the prompt format and its answers");
  return int((int64_t(chosen_.size()) + options_.micro_batch - 1) / options_.micro_batch);
}

Variable AdapterTask::loss(int micro_batch) {
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
  const ForwardOptions forward{.training = true, .seed = options_.seed, .step = step_, .mode = options_.mode};
  TowerLevels levels;
  if (pictures_ && !packed.pictures.empty()) {
    std::vector<int64_t> picture_ids(packed.pictures.begin(), packed.pictures.end());
    levels = pictures_->levels(packed.pictures, {options_.seed, step_, tensor_of(picture_ids)});
  }
  const Variable losses =
      model_.losses(packed.batch, supervised(packed.batch, labels), model_.see(levels), forward);
  return scale(sum_all(losses), 1.0 / double(labelled_));
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
  at.epoch = epoch, at.batch = batch, at.fingerprint = fingerprint;
  sequence_.seek(at);
}

}  // namespace dehvf
