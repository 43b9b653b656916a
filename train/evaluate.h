// Answering multiple-choice questions: by the likelihood of the choices, or by writing.
#pragma once

#include <functional>

#include "models/generate.h"
#include "train/examples.h"
#include "train/picture_source.h"

namespace dehvf {

/// How pictures are shown: as they are, blanked, exchanged or left out, to see what an answer owes to them.
enum class Show : uint8_t { own, blank, shuffled, none };
const char* title_of(Show show);
/// What is shown in place of picture (or set of pictures) `own` of `count` (-1: the question has none).
/// `shuffled` turns all by half their number, and `further` places more for another exchange; with two or
/// more nobody keeps his own.
int32_t shown_picture(Show show, int32_t own, int64_t count, int64_t further = 0);

/// Names the picture shown with question i; -1: none.
using PictureOf = std::function<int32_t(size_t)>;

struct Ranking {
  std::vector<double> log_likelihood;  // of each choice, the mean over its tokens
  int chosen = 0;                      // the largest; of equals the first
};

/// Ranks the choices of every question.
std::vector<Ranking> rank_choices(const FusedModel& model, std::span<const Question> questions,
                                  const PictureSource* pictures, const PictureOf& picture_of,
                                  int64_t batch = 128);

/// Continues every prompt and its lead-in, as many questions at once as their cache fits into about 1 GiB.
std::vector<Generated> write_answers(const FusedModel& model, std::span<const Question> questions,
                                     const PictureSource* pictures, const PictureOf& picture_of,
                                     const GenerateOptions& options);

}  // namespace dehvf
