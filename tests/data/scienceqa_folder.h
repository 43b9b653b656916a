// A ScienceQA folder made by hand: 20 problems, 14 of them in test, in which hints and pictures overlap.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "core/io/json.h"
#include "support/temporary_folder.h"

namespace dehvf {

inline Json hand_problem(int id, const char* split, const char* subject, int grade, const char* hint,
                         bool picture, const char* topic, int answer) {
  return {{"question", "Question " + std::to_string(id) + "?"},
          {"choices", {"one", "two", "three"}},
          {"answer", answer},
          {"hint", hint},
          {"image", picture ? Json("image.png") : Json(nullptr)},
          {"task", "closed choice"},
          {"grade", "grade" + std::to_string(grade)},
          {"subject", subject},
          {"topic", topic},
          {"category", "Category"},
          {"skill", "Skill"},
          {"lecture", "A lecture."},
          {"solution", "A solution."},
          {"split", split}};
}

class ScienceQaFolder {
 public:
  ScienceQaFolder() {
    constexpr const char *kNat = "natural science", *kSoc = "social science", *kLan = "language science";
    Json& p = problems;
    p["1"] = hand_problem(1, "test", kNat, 1, "h", true, "physics", 0);  // text and picture
    p["2"] = hand_problem(2, "test", kNat, 6, "h", false, "physics", 1);
    p["3"] = hand_problem(3, "test", kNat, 7, "", true, "biology", 2);
    p["4"] = hand_problem(4, "test", kNat, 12, "", false, "biology", 0);
    p["5"] = hand_problem(5, "test", kNat, 3, "h", true, "physics", 1);
    p["6"] = hand_problem(6, "test", kSoc, 2, "", true, "geography", 2);
    p["7"] = hand_problem(7, "test", kSoc, 8, "h", true, "geography", 0);
    p["8"] = hand_problem(8, "test", kSoc, 9, "", false, "history", 1);
    p["9"] = hand_problem(9, "test", kLan, 10, "h", false, "verbs", 2);
    p["10"] = hand_problem(10, "test", kLan, 4, "", false, "verbs", 0);
    p["11"] = hand_problem(11, "test", kLan, 5, "", false, "verbs", 1);
    p["12"] = hand_problem(12, "test", kLan, 11, "h", false, "verbs", 2);
    p["13"] = hand_problem(13, "test", kLan, 7, "", false, "grammar", 0);
    p["14"] = hand_problem(14, "test", kLan, 6, "", true, "grammar", 1);
    for (int id = 15; id <= 20; ++id)
      p[std::to_string(id)] =
          hand_problem(id, id < 18 ? "train" : "val", kNat, 1, "", id % 2 == 0, "physics", 0);
    splits = {{"train", {"17", "15", "16"}},
              {"val", {"18", "20", "19"}},
              {"test", {"14", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13"}},
              {"minitest", {"7", "3"}}};
  }

  /// Writes problems.json and pid_splits.json as they are now and returns the folder.
  const std::filesystem::path& write() const {
    write_json(folder_ / "problems.json", problems);
    write_json(folder_ / "pid_splits.json", splits);
    return folder_.path();
  }

  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }

  Json problems, splits;

 private:
  TemporaryFolder folder_;
};

}  // namespace dehvf
