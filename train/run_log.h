// What a run leaves behind about its course: log.jsonl and TensorBoard events.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "train/event_file.h"

namespace dehvf {

class RunLog {
 public:
  explicit RunLog(std::filesystem::path folder = {});  // made if absent; empty: nothing is written

  /// Opens the files for a run that goes on behind `step`: lines of later steps, which a killed run left, and
  /// a line cut short are dropped from log.jsonl. To be called once, before the others. Throws IoError.
  void begin(int64_t step);
  /// One line of JSON with "step" and the scalars (null where not finite), and one event.
  void scalars(int64_t step, const Scalars& scalars);
  void note(int64_t step, const std::string& text);  // {"note": text, "step": step}

 private:
  void write_line(const std::string& line);
  std::filesystem::path folder_;
  std::ofstream lines_;
  std::unique_ptr<EventFile> events_;
};

}  // namespace dehvf
