// Reading whole files with a limit, and writing files so that a reader sees the old one or the new one, never
// half.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace dehvf {

/// The file's bytes. Throws IoError naming the path when it is missing, unreadable, no regular file, or
/// larger than `max_bytes`.
std::string read_file(const std::filesystem::path& path, uint64_t max_bytes = uint64_t(1) << 30);

/// A file that appears under its name only when commit() is called: bytes go to a temporary file beside it,
/// then fsync, rename, fsync of the folder. Destroyed without commit() it leaves nothing behind.
class AtomicFile {
 public:
  explicit AtomicFile(
      std::filesystem::path path);  // throws IoError, also from write and commit (disk full, ...)
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void commit();

 private:
  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
};

void write_file(const std::filesystem::path& path, std::string_view bytes);  // an AtomicFile in one call

/// `text` with control characters, DEL and invalid UTF-8 escaped, cut to `limit` bytes: safe to print.
std::string printable(std::string_view text, size_t limit = 120);

}  // namespace dehvf
