// What an operator promises about the samples of a batch and their images.
#include "core/ops/elementwise.h"
#include "train/contract/lists.h"
#include "train/contract/stepped.h"

namespace dehvf::contract {
namespace {

// The rows of a sample of the packed batch.
Tensor sample(const Tensor& rows, const tiny::Input& in, size_t which) {
  int64_t begin = 0;
  for (size_t s = 0; s < which; ++s) begin += int64_t(in.tokens[s].size());
  return rows.slice(begin, begin + int64_t(in.tokens[which].size())).clone();
}

void expect_same_gradients(Verdict& verdict, FusedModel& model, const tiny::Input& found,
                           const tiny::Input& wanted) {
  const auto a = tiny::gradients(model, found), b = tiny::gradients(model, wanted);
  verdict.expect(a.size() == b.size(), "gradients of ", a.size(), " parameters, wanted ", b.size());
  for (const auto& [path, grad] : a)
    if (const auto other = b.find(path); other != b.end())
      expect_close(verdict, grad, other->second, kReordered, "gradient of " + path);
}

void own_pixels(const tiny::Case& c, Verdict& verdict) {
  const FusedModel model = tiny::make(c, DType::f64);
  tiny::Input in = tiny::input(DType::f64);
  const Tensor before = tiny::logits(model, in);
  in.pixels = scale(in.pixels, -1.5);
  const Tensor after = tiny::logits(model, in);
  verdict.expect(difference(sample(after, in, 1), sample(before, in, 1)) == 0,
                 "other pixels changed a sample that has no image");
  for (size_t s : {0, 2})
    verdict.expect((difference(sample(after, in, s), sample(before, in, s)) > 1e-6) == tiny::sees(model),
                   "other pixels changed nothing in sample ", s, ", which has an image");
}

void no_images(const tiny::Case& c, Verdict& verdict) {
  FusedModel model = tiny::make(c, DType::f64);
  const tiny::Input in = tiny::input(DType::f64);
  tiny::Input alone = in.select(std::vector<int>{1});
  alone.pixels = Tensor({0, 3, tiny::tower().image, tiny::tower().image}, DType::f64);
  alone.image_ids.clear();
  expect_close(verdict, tiny::logits(model, alone), sample(tiny::logits(model, in), in, 1), kReordered,
               "logits of a sample without an image, alone and beside others");
  const auto kept = tiny::gradients(model, alone);
  const auto again = tiny::gradients(model, alone, {.mode = SegmentMode::recompute});
  for (const auto& [path, grad] : kept)
    verdict.expect(again.contains(path) && same_bits(grad, again.at(path)), path,
                   ": other bits when recomputed");
  if (trainable_of(model).empty()) return;
  TinyTask task(model, alone, 3);
  Trainer(task, {.steps = 1, .schedule = {.peak = 1e-2, .steps = 1}}).step();
}

void shared_image(const tiny::Case& c, Verdict& verdict) {
  FusedModel model = tiny::make(c, DType::f64);
  tiny::Input shared = tiny::input(DType::f64), twice = tiny::input(DType::f64);
  shared.image_of = {0, -1, 0};
  twice.image_of = {0, -1, 1};
  copy_into(twice.pixels.slice(0, 1), twice.pixels.slice(1, 2));
  expect_close(verdict, tiny::logits(model, shared), tiny::logits(model, twice), kReordered,
               "logits of two samples with one image and with two equal ones");
  expect_same_gradients(verdict, model, shared, twice);
}

void order(const tiny::Case& c, Verdict& verdict) {
  FusedModel model = tiny::make(c, DType::f64);
  const tiny::Input in = tiny::input(DType::f64);
  const int places[] = {2, 0, 1};
  const tiny::Input turned = in.select(places);
  const Tensor before = tiny::logits(model, in), after = tiny::logits(model, turned);
  for (size_t s = 0; s < 3; ++s)
    expect_close(verdict, sample(after, turned, s), sample(before, in, size_t(places[s])), kReordered,
                 concat("logits of sample ", places[s], " at another place"));
  expect_same_gradients(verdict, model, turned, in);
}

}  // namespace

std::vector<Check> sample_checks() {
  return {{"own_pixels", "pixels reach the samples of their image, and no others", own_pixels},
          {"no_images", "a batch without any image gives what its samples give beside others", no_images},
          {"shared_image", "samples may share an image", shared_image},
          {"order", "the order of samples does not matter", order}};
}

}  // namespace dehvf::contract
