// A LLaMA of three layers and a tower of four or five blocks, small enough for derivatives by differences,
// joined by any registered operator: what the checks of operators run on. No two frozen sizes are equal.
#pragma once

#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "models/fused_model.h"

namespace dehvf::tiny {

/// One way to configure a registered operator.
struct Case {
  std::string fusion;
  std::map<std::string, std::string> options;
  LlamaTuning tuning = {};
  TowerAdapterForm tower = TowerAdapterForm::beside_mlp;  // of its adapters
  std::string family = "clip";                            // or another of towers()
  AttentionForm attention = AttentionForm::fused;
  friend std::ostream& operator<<(std::ostream& out, const Case& c);
};
/// An operator with the options that are given, then with each known variant of its other keys.
std::vector<Case> cases_of(const std::string& fusion, const std::map<std::string, std::string>& given = {});
std::vector<Case> all_cases();  // every registered name, with the variants of its keys, and what may be tuned
/// The configuration keys of an operator, some of which may depend on `options`.
std::vector<std::string> keys_of(const std::string& fusion, std::map<std::string, std::string> options = {});

LlamaConfig llama();
VisionConfig tower();                          // a CLIP
std::map<std::string, VisionConfig> towers();  // and others for the same pictures: without class token, ...

/// Frozen weights and trainable parameters are random numbers (none is 0) that depend on their paths.
FusedModel make(const Case& c, DType dtype, double dropout = 0);

bool sees(const FusedModel& model);  // whether the operator looks at images

/// A batch and the pixels of its images.
struct Input {
  std::vector<std::vector<int32_t>> tokens, labels;
  std::vector<int32_t> image_of;
  std::vector<int64_t> ids;
  Tensor pixels;  // [images, 3, side, side]; further images of a sample are made of its first
  std::vector<int64_t> image_ids;  // of the dropout in the tower

  TextBatch batch() const { return pack(tokens, image_of, ids); }
  Supervised supervised() const { return dehvf::supervised(batch(), labels); }
  Input select(std::span<const int> samples) const;  // in this order; images stay
};
Input input(DType dtype);  // three samples: with an image, without, with another

/// One f64 or f32 number a labelled token.
Variable losses(const FusedModel& model, const Input& in, const ForwardOptions& options = {});
Variable mean_loss(const FusedModel& model, const Input& in, const ForwardOptions& options = {});
/// Logits of every text token, [tokens, vocab], with no block restricted to chosen rows.
Tensor logits(const FusedModel& model, const Input& in, const ForwardOptions& options = {});
Vision see(const FusedModel& model, const Input& in, const ForwardOptions& options = {});
Tensor text_only_logits(const FusedModel& model, const Input& in);

/// Path -> gradient of the mean loss; parameters that were not reached are left out.
std::map<std::string, Tensor> gradients(FusedModel& model, const Input& in,
                                        const ForwardOptions& options = {});

}  // namespace dehvf::tiny
