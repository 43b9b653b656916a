// A look inside an operator, trained or in training: which levels its fuser weights, how its rows are used,
// how large they are.
#pragma once

#include "core/io/json.h"
#include "train/examples.h"
#include "train/picture_source.h"
#include "train/session.h"

namespace dehvf {

/// Texts with pictures; members are parallel.
struct Prompts {
  std::vector<std::vector<int32_t>> tokens;
  std::vector<int32_t> images;
  std::vector<int64_t> ids;
};

struct Insight {
  Tensor fuser_weights;  // f32 [images, layers, positions, levels of the group], if it has a fuser
  std::vector<double> fuser_entropy;  // [layers] in nats, the mean over images and positions
  std::vector<double> row_ratio;      // [layers] norm of the row branch over that of the FFN, if it has rows
  std::vector<double> slot_use;       // [slots] mean absolute activation, all layers
};
Insight look_inside(const FusedModel& model, const PictureSource& pictures, const Prompts& prompts);

/// Over the first questions with pictures, where there is a fuser: "fuser_weights" [layers][positions][levels
/// of the group], "fuser_first_level" [layers], "fuser_levels" (of the tower), "fuser_entropy"; and
/// "row_ratio" and "slot_use".
Json insight(const FusedModel& model, const PictureSource& pictures, std::span<const Question> questions);

/// Below this share of log(levels) in every layer the weights count as collapsed: of 24 levels or fewer one
/// then holds more than 96%, and a softmax passes next to no gradient by which the others could come back.
inline constexpr double kCollapsedEntropy = 0.05;
/// Never where there is one level to choose from.
bool fuser_collapsed(const Insight& insight);

/// Watches an operator while it is trained, on a few fixed examples with pictures: "fuser_entropy/layer_00",
/// "row_ratio/layer_00", ... at the first line of the log and then when kLookEvery steps have passed; and one
/// note when the fuser has collapsed. Everything must outlive it.
class InsightWatch {
 public:
  InsightWatch(const FusedModel& model, const PictureSource* pictures, std::span<const Example> examples);
  Findings look(int64_t step);
  static constexpr int64_t kLookEvery = 10;  // a look costs about a quarter of a forward pass of 32 samples

 private:
  const FusedModel& model_;
  const PictureSource* pictures_;
  Prompts prompts_;
  int64_t next_ = 0;
  bool collapsed_ = false;
};

}  // namespace dehvf
