// A look inside a trained operator: which levels its fuser weights, how its rows are used, how large they
// are.
#pragma once

#include "core/io/json.h"
#include "train/examples.h"
#include "train/picture_source.h"

namespace dehvf {

/// Over the first questions with pictures, where there is a fuser: "fuser_weights" [layers][positions][levels
/// of the group], "fuser_first_level" [layers], "fuser_levels" (of the tower), "fuser_entropy" [layers] (in
/// nats); and "row_ratio" [layers] (norm of the row branch over that of the FFN) and "slot_use" [slots] (mean
/// absolute activation, all layers).
Json insight(const FusedModel& model, const PictureSource& pictures, std::span<const Question> questions);

}  // namespace dehvf
