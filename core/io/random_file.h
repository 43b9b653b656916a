// A file opened once and read at any offset: never mapped, so that a file cut short while open is an error,
// not a bus error.
#pragma once

#include <cstdint>
#include <filesystem>

namespace dehvf {

class RandomFile {
 public:
  explicit RandomFile(
      std::filesystem::path path);  // follows links; throws IoError unless a readable regular file
  ~RandomFile();
  RandomFile(RandomFile&& other) noexcept;
  RandomFile& operator=(RandomFile&&) = delete;

  const std::filesystem::path& path() const { return path_; }
  uint64_t size() const { return size_; }  // in bytes, when it was opened
  /// Copies [offset, offset + bytes) to `out`; throws IoError when the file does not hold all of it. Safe to
  /// call from several threads.
  void read_at(uint64_t offset, void* out, size_t bytes) const;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

}  // namespace dehvf
