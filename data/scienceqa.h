// A folder in the layout of ScienceQA (Lu et al., NeurIPS 2022): problems.json, pid_splits.json, optionally
// captions.json, and pictures at images/{train|val|test}/{id}/image.png.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace dehvf {

struct Problem {
  std::string id, question, hint, lecture, solution;  // texts may be empty and may hold newlines
  std::vector<std::string> choices;                   // 2 to 26
  int answer = 0;                                     // index into choices
  std::filesystem::path image;                        // full path, empty for a text-only problem
  std::string task;
  int grade = 1;        // 1 to 12
  std::string subject;  // natural science, social science or language science
  std::string topic, category, skill;
  std::string split;    // train, val or test
  std::string caption;  // empty without captions.json or an entry in it
};

class ScienceQa {
 public:
  /// Reads and checks every field of every problem; pictures are not touched. Throws IoError naming path,
  /// problem id, wanted and found.
  explicit ScienceQa(std::filesystem::path folder);

  const std::filesystem::path& folder() const { return folder_; }
  bool has_captions() const { return has_captions_; }
  const std::vector<Problem>& problems() const { return problems_; }  // in the order of their ids
  const Problem& problem(std::string_view id) const;

  /// The ids of a list of pid_splits.json (train, val, test, trainval, minitest, ...) in the file's order.
  const std::vector<std::string>& split(const std::string& name) const;

  /// Of the given problems' pictures, those that are not there.
  std::vector<std::filesystem::path> missing_images(std::span<const std::string> ids) const;
  /// Throws IoError with the number of missing pictures and the first of them.
  void require_images(std::span<const std::string> ids) const;

 private:
  void read_problems();
  void read_splits();
  void read_captions();

  std::filesystem::path folder_;
  std::vector<Problem> problems_;
  std::unordered_map<std::string, size_t> place_;  // id -> index into problems_
  std::map<std::string, std::vector<std::string>> splits_;
  bool has_captions_ = false;
};

}  // namespace dehvf
