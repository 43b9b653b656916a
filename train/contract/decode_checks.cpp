// Writing token by token with a cache is the full forward pass, and a batch is its samples.
#include "core/random.h"
#include "models/generate.h"
#include "train/contract/lists.h"

namespace dehvf::contract {
namespace {

// Logits after the last token of every sample, by the full forward pass.
Tensor last_logits(const FusedModel& model, const Vision& vision, const tiny::Input& in) {
  const NoGrad no_grad;
  const TextBatch batch = in.batch();
  std::vector<int32_t> last;
  for (int64_t s = 0; s < batch.samples(); ++s)
    last.push_back(batch.sample_offsets.data<int32_t>()[s + 1] - 1);
  return model.llama().logits(model.hidden(model.plan(batch, tensor_of(last)), vision, {})).value();
}

void cache(const tiny::Case& c, Verdict& verdict) {
  const FusedModel model = tiny::make(c, DType::f64);
  tiny::Input text = tiny::input(DType::f64);
  const Vision vision = tiny::see(model, text);
  Decoder decoder(model.llama(), vision, text.batch(), 6);
  std::vector<int64_t> live{0, 1, 2};
  Random random(5);
  for (int step = 0; step < 6; ++step) {
    require<Error>(decoder.live() == live, "the decoder lost a sample in step ", step);
    const Tensor full = last_logits(model, vision, text);
    for (size_t i = 0; i < live.size(); ++i)
      expect_close(verdict, decoder.logits()[int64_t(i)], full[live[i]], kReordered,
                   concat("logits of step ", step, ", sample ", live[i]));
    std::vector<int32_t> next;
    for (int64_t s : live) {
      const bool ends = (step == 2 && s == 1) || (step == 4 && s == 0);
      next.push_back(ends ? Decoder::kEnd : int32_t(random.below(tiny::llama().vocab)));
      if (!ends) text.tokens[size_t(s)].push_back(next.back());
    }
    decoder.advance(next);
    if (step == 2) live = {0, 2};
    if (step == 4) live = {2};
  }
}

void singles(const tiny::Case& c, Verdict& verdict) {
  const FusedModel model = tiny::make(c, DType::f64);
  const tiny::Input in = tiny::input(DType::f64);
  const Vision vision = tiny::see(model, in);
  for (double temperature : {0.0, 0.8}) {
    const GenerateOptions options{
        .max_new = 9, .stop = {3, 8}, .temperature = temperature, .top_p = 0.9, .seed = 21};
    const auto together = generate(model.llama(), vision, in.batch(), options);
    for (int s = 0; s < 3; ++s) {
      const auto alone = generate(model.llama(), vision, in.select(std::vector<int>{s}).batch(), options);
      verdict.expect(
          alone[0].tokens == together[size_t(s)].tokens && alone[0].stopped == together[size_t(s)].stopped,
          "sample ", s, " alone, at temperature ", temperature, ": another text");
    }
  }
}

}  // namespace

std::vector<Check> decode_checks() {
  return {{"cache", "decoding with a cache is the full forward pass", cache},
          {"singles", "a batch writes what its samples write alone", singles}};
}

}  // namespace dehvf::contract
