// Every registered operator: what it promises about samples, images, restriction, dropout and its neutral
// setting.
#include <numeric>

#include <gtest/gtest.h>

#include "core/ops/rows.h"
#include "operators/tiny.h"
#include "support/golden.h"

namespace dehvf {
namespace {

// The same sums in another order, f64: a few hundred terms, each rounded to 1.1e-16.
constexpr double kReordered = 1e-12;
const ForwardOptions kTraining{.training = true, .seed = 3, .step = 5};

class OperatorMeaning : public testing::TestWithParam<tiny::Case> {
 protected:
  FusedModel model_ = tiny::make(GetParam(), DType::f64);
  tiny::Input in_ = tiny::input(DType::f64);
  bool sees_ = GetParam().fusion != "none";

  // The rows of a sample of the packed batch.
  static Tensor sample(const Tensor& rows, const tiny::Input& in, size_t which) {
    int64_t begin = 0;
    for (size_t s = 0; s < which; ++s) begin += int64_t(in.tokens[s].size());
    return rows.slice(begin, begin + int64_t(in.tokens[which].size())).clone();
  }
};
INSTANTIATE_TEST_SUITE_P(All, OperatorMeaning, testing::ValuesIn(tiny::all_cases()));

void expect_same(const std::map<std::string, Tensor>& a, const std::map<std::string, Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [path, grad] : a) EXPECT_LT(relative_error(grad, b.at(path)), kReordered) << path;
}

TEST_P(OperatorMeaning, NeutralSettingIsTextOnly) {
  const Neutral neutral = model_.fusion().neutral();
  if (!neutral.reason.empty()) {
    EXPECT_TRUE(neutral.settings.empty());
    return;
  }
  const Tensor text = tiny::text_only_logits(model_, in_);
  EXPECT_EQ(relative_error(tiny::logits(model_, in_), text) < kReordered, !sees_);
  size_t found = 0;
  for (const auto& [path, parameter] : parameters_of(model_.fusion()))
    if (const auto setting = neutral.settings.find(path); setting != neutral.settings.end()) {
      fill(parameter->value(), setting->second);
      ++found;
    }
  EXPECT_EQ(found, neutral.settings.size());
  EXPECT_LT(relative_error(tiny::logits(model_, in_), text), kReordered);
}

TEST_P(OperatorMeaning, PixelsReachTheirSamplesOnly) {
  const Tensor before = tiny::logits(model_, in_);
  in_.pixels = scale(in_.pixels, -1.5);
  const Tensor after = tiny::logits(model_, in_);
  EXPECT_EQ(relative_error(sample(after, in_, 1), sample(before, in_, 1)), 0);
  for (size_t s : {0, 2})
    EXPECT_EQ(relative_error(sample(after, in_, s), sample(before, in_, s)) > 1e-6, sees_) << s;
}

TEST_P(OperatorMeaning, BatchWithoutImages) {
  const Tensor with_others = sample(tiny::logits(model_, in_), in_, 1);
  tiny::Input alone = in_.select(std::vector<int>{1});
  alone.pixels = Tensor({0, 3, tiny::tower().image, tiny::tower().image}, DType::f64);
  alone.image_ids.clear();
  EXPECT_LT(relative_error(tiny::logits(model_, alone), with_others), kReordered);
}

TEST_P(OperatorMeaning, SamplesMayShareAnImage) {
  tiny::Input shared = in_, twice = in_;
  shared.image_of = {0, -1, 0};
  twice.image_of = {0, -1, 1};
  copy_into(twice.pixels.slice(0, 1), twice.pixels.slice(1, 2));
  EXPECT_LT(relative_error(tiny::logits(model_, shared), tiny::logits(model_, twice)), kReordered);
  const auto one = tiny::gradients(model_, shared), two = tiny::gradients(model_, twice);
  expect_same(one, two);
}

TEST_P(OperatorMeaning, OrderOfSamplesDoesNotMatter) {
  const int order[] = {2, 0, 1};
  const tiny::Input turned = in_.select(order);
  const Tensor before = tiny::logits(model_, in_), after = tiny::logits(model_, turned);
  for (size_t s = 0; s < 3; ++s)
    EXPECT_LT(relative_error(sample(after, turned, s), sample(before, in_, size_t(order[s]))), kReordered);
  expect_same(tiny::gradients(model_, turned), tiny::gradients(model_, in_));
}

TEST_P(OperatorMeaning, LastBlockOnChosenRowsIsThatOnAll) {
  FusedModel model = tiny::make(GetParam(), DType::f64, 0.3);
  const Supervised chosen = in_.supervised();
  const NoGrad no_grad;
  for (const ForwardOptions& options : {ForwardOptions{}, kTraining}) {
    const Variable hidden =
        model.hidden(model.plan(in_.batch(), chosen.rows), tiny::see(model, in_, options), options);
    const Tensor all = tiny::logits(model, in_, options);
    EXPECT_LT(relative_error(model.llama().logits(hidden).value(), gather_rows(all, chosen.rows)),
              kReordered);
  }
}

TEST_P(OperatorMeaning, DropoutFollowsTheSample) {
  FusedModel model = tiny::make(GetParam(), DType::f64, 0.3);
  const Tensor all = tiny::losses(model, in_, kTraining).value();
  const auto labelled = in_.supervised().per_sample;
  tiny::Input turned = in_.select(std::vector<int>{2, 0});
  const Tensor images[] = {in_.pixels.slice(1, 2), in_.pixels.slice(0, 1)};
  turned.pixels = concat_rows(images);
  turned.image_of = {0, 1};
  turned.image_ids = {in_.image_ids[1], in_.image_ids[0]};
  const Tensor part = tiny::losses(model, turned, kTraining).value();
  const int64_t first = labelled[0], second = labelled[1], third = labelled[2];
  EXPECT_LT(relative_error(part.slice(0, third), all.slice(first + second, all.count())), kReordered);
  EXPECT_LT(relative_error(part.slice(third, third + first), all.slice(0, first)), kReordered);

  const bool text_drops =
                 model.options().config.resolved().contains("dropout") || GetParam().tuning.lora.rank > 0,
             drops = text_drops || model.adapters();
  for (const ForwardOptions& other :
       {ForwardOptions{.training = true, .seed = 4, .step = 5},
        ForwardOptions{.training = true, .seed = 3, .step = 6}, ForwardOptions{}})
    EXPECT_EQ(relative_error(tiny::losses(model, in_, other).value(), all) > 1e-6, drops);
  tiny::Input renamed = in_;
  renamed.ids[0] = 12;
  const Tensor other = tiny::losses(model, renamed, kTraining).value();
  EXPECT_EQ(relative_error(other.slice(0, first), all.slice(0, first)) > 1e-6, text_drops);
  EXPECT_EQ(relative_error(other.slice(first, all.count()), all.slice(first, all.count())), 0);
}

TEST_P(OperatorMeaning, ParametersComeBackFromAFile) {
  FusedModel other = tiny::make(GetParam(), DType::f64);
  std::map<std::string, Tensor> saved;
  for (const auto& [path, parameter] : parameters_of(model_)) saved[path] = parameter->value().clone();
  for (const auto& [path, parameter] : parameters_of(other)) fill(parameter->value(), 0.125);
  const Tensor wanted = tiny::logits(model_, in_);
  EXPECT_EQ(relative_error(tiny::logits(other, in_), wanted) > 1e-6, sees_ || GetParam().tuning.any());
  load_parameters(
      other, [&](const std::string& path, const Shape&) { return saved.at(path); }, true);
  EXPECT_EQ(relative_error(tiny::logits(other, in_), wanted), 0);
}

}  // namespace
}  // namespace dehvf
