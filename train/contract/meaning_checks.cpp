// What an operator promises about its neutral setting, chosen rows, dropout and saved parameters.
#include "core/ops/rows.h"
#include "train/contract/lists.h"

namespace dehvf::contract {
namespace {

void neutral(const tiny::Case& c, Verdict& verdict) {
  FusedModel model = tiny::make(c, DType::f64);
  const tiny::Input in = tiny::input(DType::f64);
  const Neutral neutral = model.fusion().neutral();
  if (!neutral.reason.empty()) {
    verdict.expect(neutral.settings.empty(), "neutral() gives settings and a reason why there are none");
    return verdict.skip("there is none: " + neutral.reason);
  }
  const bool sees = tiny::sees(model);
  verdict.expect(!sees || !neutral.settings.empty(), "neutral() gives neither settings nor a reason");
  const Tensor text = tiny::text_only_logits(model, in);
  verdict.expect((difference(tiny::logits(model, in), text) < kReordered) == !sees,
                 "logits with random parameters are already those of the language model alone");
  size_t found = 0;
  for (const auto& [path, parameter] : parameters_of(model.fusion()))
    if (const auto setting = neutral.settings.find(path); setting != neutral.settings.end()) {
      fill(parameter->value(), setting->second);
      ++found;
    }
  verdict.expect(found == neutral.settings.size(), neutral.settings.size() - found, " of the ",
                 neutral.settings.size(), " paths of neutral() are not those of parameters");
  expect_close(verdict, tiny::logits(model, in), text, kReordered, "logits in the neutral setting");
}

void chosen_rows(const tiny::Case& c, Verdict& verdict) {
  const FusedModel model = tiny::make(c, DType::f64, 0.3);
  const tiny::Input in = tiny::input(DType::f64);
  const Supervised chosen = in.supervised();
  const NoGrad no_grad;
  for (const ForwardOptions& options : {ForwardOptions{}, kTraining}) {
    const Variable hidden =
        model.hidden(model.plan(in.batch(), chosen.rows), tiny::see(model, in, options), options);
    expect_close(verdict, model.llama().logits(hidden).value(),
                 gather_rows(tiny::logits(model, in, options), chosen.rows), kReordered,
                 options.training ? "logits in training" : "logits");
  }
}

// Two samples of the three, turned round, and their images with them.
tiny::Input turned(const tiny::Input& in) {
  tiny::Input turned = in.select(std::vector<int>{2, 0});
  const Tensor images[] = {in.pixels.slice(1, 2), in.pixels.slice(0, 1)};
  turned.pixels = concat_rows(images);
  turned.image_of = {0, 1};
  turned.image_ids = {in.image_ids[1], in.image_ids[0]};
  return turned;
}

void dropout(const tiny::Case& c, Verdict& verdict) {
  FusedModel model = tiny::make(c, DType::f64, 0.3);
  const tiny::Input in = tiny::input(DType::f64);
  const Tensor all = tiny::losses(model, in, kTraining).value();
  const auto labelled = in.supervised().per_sample;
  const int64_t first = labelled[0], second = labelled[1], third = labelled[2];
  const Tensor part = tiny::losses(model, turned(in), kTraining).value();
  expect_close(verdict, part.slice(0, third), all.slice(first + second, all.count()), kReordered,
               "the last sample's loss, in another batch");
  expect_close(verdict, part.slice(third, third + first), all.slice(0, first), kReordered,
               "the first sample's loss, in another batch");

  const bool text_drops = model.options().config.resolved().contains("dropout") || c.tuning.lora.rank > 0,
             drops = text_drops || model.adapters();
  const auto expect_change = [&](const Tensor& other, const Tensor& before, bool wanted, const char* what) {
    verdict.expect((difference(other, before) > 1e-6) == wanted, what,
                   wanted ? " changed nothing" : " changed the loss",
                   drops ? "" : ", and there is no key `dropout`");
  };
  const std::pair<const char*, ForwardOptions> others[] = {
      {"another seed", {.training = true, .seed = 4, .step = 5}},
      {"another step", {.training = true, .seed = 3, .step = 6}},
      {"not training", {}}};
  for (const auto& [what, options] : others)
    expect_change(tiny::losses(model, in, options).value(), all, drops, what);
  tiny::Input renamed = in;
  renamed.ids[0] = 12;
  const Tensor other = tiny::losses(model, renamed, kTraining).value();
  expect_change(other.slice(0, first), all.slice(0, first), text_drops, "another id of the sample");
  verdict.expect(difference(other.slice(first, all.count()), all.slice(first, all.count())) == 0,
                 "another id of one sample changed the loss of others");
}

void saved(const tiny::Case& c, Verdict& verdict) {
  FusedModel model = tiny::make(c, DType::f64), other = tiny::make(c, DType::f64);
  const tiny::Input in = tiny::input(DType::f64);
  std::map<std::string, Tensor> kept;
  for (const auto& [path, parameter] : parameters_of(model)) kept[path] = parameter->value().clone();
  for (const auto& [path, parameter] : parameters_of(other)) fill(parameter->value(), 0.125);
  const Tensor wanted = tiny::logits(model, in);
  verdict.expect(
      (difference(tiny::logits(other, in), wanted) > 1e-6) == (tiny::sees(model) || c.tuning.any()),
      "other values of all parameters changed nothing");
  load_parameters(
      other, [&](const std::string& path, const Shape&) { return kept.at(path); }, true);
  verdict.expect(difference(tiny::logits(other, in), wanted) == 0,
                 "the logits of loaded parameters are others: describe() leaves one out");
}

}  // namespace

std::vector<Check> meaning_checks() {
  return {{"neutral", "the neutral setting gives the logits of the language model alone", neutral},
          {"chosen_rows", "the last block on labelled rows is the last block on all rows", chosen_rows},
          {"dropout", "random numbers follow seed, step and sample, nothing else", dropout},
          {"saved", "parameters come back from what was saved", saved}};
}

}  // namespace dehvf::contract
