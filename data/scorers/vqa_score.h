// VQAv2: how answers are made comparable, and their accuracy against those of several people.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/scorers/sample_scores.h"

namespace dehvf {

/// official: the data set's own tool, which makes answers comparable only where the people's differ.
/// evalai: the server's processor, as the public evaluations of LLaVA and MMF have it: always, after commas
/// and question marks were dropped and 's was taken off its word.
enum class VqaRule : uint8_t { official, evalai };

/// Punctuation, articles, number words and contractions in one form. Both tools' slips are kept: a comma
/// between digits takes all punctuation away without leaving spaces, at most 32 periods go, and
/// "somebody'd" loses its apostrophe.
std::string comparable_answer(std::string_view answer, VqaRule rule);

/// Mean over the people left out one by one of min(1, others who gave this answer / 3).
double vqa_accuracy(std::string_view answer, std::span<const std::string> people, VqaRule rule);

/// What people answered to a question.
struct VqaTruth {
  std::string id, answer_type, question_type;
  std::vector<std::string> people;
};
/// {"annotations": [{question_id, answer_type, question_type, answers: [{answer}, ...]}]}; at least one.
/// Throws IoError naming file and record.
std::vector<VqaTruth> read_vqa(const std::filesystem::path& path, VqaRule rule);

/// One answer to each, in their order. Figures: all, by answer type and by question type.
SampleScores score_vqa(std::span<const std::string> answers, std::span<const VqaTruth> truth, VqaRule rule);

/// `references`: as read_vqa() reads it; `predictions`: [{question_id, answer}], one for every question and
/// no other. Throws IoError naming file and record.
SampleScores score_vqa(const std::filesystem::path& predictions, const std::filesystem::path& references,
                       VqaRule rule);

}  // namespace dehvf
