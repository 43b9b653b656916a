// A TensorBoard event file: records of length, masked CRC32C of the length, bytes, masked CRC32C of the
// bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>

namespace dehvf {

using Scalars = std::map<std::string, double>;  // tag -> value

uint32_t masked_crc32c(std::string_view bytes);  // Castagnoli, rotated right by 15, plus 0xa282ead8

class EventFile {
 public:
  /// Starts `folder`/events.out.tfevents.<seconds>.dehvf.<number>, a new file for every session of a run.
  EventFile(const std::filesystem::path& folder, double wall_time);
  /// Appends one event and flushes; throws IoError.
  void add(int64_t step, double wall_time, const Scalars& scalars);
  const std::filesystem::path& path() const { return path_; }

 private:
  void write_record(const std::string& bytes);
  std::filesystem::path path_;
  std::ofstream out_;
};

}  // namespace dehvf
