// A look inside a trained operator: which levels its fuser weights, how its rows are used, how large they
// are.
#pragma once

#include "core/io/json.h"
#include "train/examples.h"
#include "train/picture_source.h"

namespace dehvf {

/// Over the first questions with pictures: "fuser_weights" [layers][positions][levels of the group] and
/// "fuser_entropy" [layers] (in nats; where there is a fuser), "row_ratio" [layers] (norm of the row branch
/// over that of the FFN) and "slot_use" [slots] (mean absolute activation, all layers).
Json insight(const FusedModel& model, const PictureSource& pictures, std::span<const Question> questions);

}  // namespace dehvf
