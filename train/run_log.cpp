#include "train/run_log.h"

#include <chrono>
#include <sstream>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/json.h"

namespace dehvf {
namespace {

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// The lines of `text` that are whole and not of a step behind `step`.
std::string kept_lines(const std::string& text, int64_t step) {
  std::string kept, line;
  std::istringstream lines(text);
  while (std::getline(lines, line)) {
    const Json json = Json::parse(line, nullptr, false);
    if (json.is_object() && json.contains("step") && json["step"].is_number_integer() && json["step"] <= step)
      kept += line + '\n';
  }
  return kept;
}

}  // namespace

RunLog::RunLog(std::filesystem::path folder) : folder_(std::move(folder)) {}

void RunLog::begin(int64_t step) {
  if (folder_.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  require<IoError>(!error, folder_.string(), ": cannot create the folder: ", error.message());
  const auto path = folder_ / "log.jsonl";
  if (std::filesystem::exists(path)) write_file(path, kept_lines(read_file(path), step));
  lines_.open(path, std::ios::app);
  require<IoError>(lines_.good(), path.string(), ": cannot open for writing");
  events_ = std::make_unique<EventFile>(folder_, wall_seconds());
}

void RunLog::scalars(int64_t step, const Scalars& scalars) {
  Json json{{"step", step}};
  for (const auto& [tag, value] : scalars) json[tag] = value;
  write_line(json.dump());
  if (events_) events_->add(step, wall_seconds(), scalars);
}

void RunLog::note(int64_t step, const std::string& text) {
  write_line(Json{{"step", step}, {"note", text}}.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void RunLog::write_line(const std::string& line) {
  if (!lines_.is_open()) return;
  lines_ << line << '\n' << std::flush;
  require<IoError>(lines_.good(), (folder_ / "log.jsonl").string(), ": cannot write");
}

}  // namespace dehvf
