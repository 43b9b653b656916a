// Answering multiple-choice questions by the likelihood of the choices.
#pragma once

#include <functional>

#include "train/examples.h"
#include "train/picture_source.h"

namespace dehvf {

struct Ranking {
  std::vector<double> log_likelihood;  // of each choice, the mean over its tokens
  int chosen = 0;                      // the largest; of equals the first
};

/// Ranks the choices of every question. `picture_of(i)` names the picture shown with question i (-1: none),
/// which is how pictures are left out, blanked or shuffled.
std::vector<Ranking> rank_choices(const FusedModel& model, std::span<const Question> questions,
                                  const PictureSource* pictures,
                                  const std::function<int32_t(size_t)>& picture_of, int64_t batch = 128);

}  // namespace dehvf
