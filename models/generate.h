// Writing text: a batch of prompts of any lengths, continued token by token with a cache.
#pragma once

#include "models/llama.h"
#include "models/tokenizer.h"

namespace dehvf {

struct GenerateOptions {
  int64_t max_new = 128;      // tokens of each sample at most; the model's context ends it too
  std::vector<int32_t> stop;  // ids that end a sample, not part of its tokens
  double temperature = 0;     // 0: the most probable token
  double top_p = 1;           // of sampling: the fewest tokens that reach this probability together
  uint64_t seed = 0;          // a choice depends on (seed, sample id, position), never on the batch
};

struct Generated {
  std::vector<int32_t> tokens;
  bool stopped = false;  // by a stop id, not by length
};

/// Throws ConfigError for options out of range and for a prompt longer than the model's context.
std::vector<Generated> generate(const Llama& model, const Vision& vision, const TextBatch& prompts,
                                const GenerateOptions& options);

/// The ids that end a text: those of the model's config and the tokenizer's own.
std::vector<int32_t> stop_ids(const LlamaConfig& config, const Tokenizer& tokenizer);

/// One pass through the prompts, then one token at a time: what generate() is made of.
class Decoder {
 public:
  /// Runs the prompts; `room` is how many tokens may follow. The model and the operator must outlive it.
  Decoder(const Llama& model, Vision vision, const TextBatch& prompts, int64_t room);

  const std::vector<int64_t>& live() const { return live_; }  // samples that go on, ascending
  const Tensor& logits() const { return logits_; }            // of the next token, [live, vocab]
  int64_t length(int64_t sample) const { return cache_.lengths[size_t(sample)]; }

  /// next[i] is put behind sample live()[i]; kEnd ends that sample.
  void advance(std::span<const int32_t> next);
  static constexpr int32_t kEnd = -1;

 private:
  void run(const TextPlan& plan);

  const Llama& model_;
  Vision vision_;
  KvCache cache_;
  Tensor sample_ids_, image_of_;
  std::vector<int64_t> live_;
  Tensor logits_;
};

}  // namespace dehvf
