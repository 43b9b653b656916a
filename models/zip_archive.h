// Random access to the members of a zip archive whose members are stored, not compressed (as torch writes
// them).
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "core/io/random_file.h"

namespace dehvf {

class ZipArchive {
 public:
  /// Reads the central directory, zip64 included. Throws IoError when it is missing or damaged.
  explicit ZipArchive(const std::filesystem::path& path);

  struct Member {
    uint64_t header = 0, bytes = 0;  // where its local header starts; size of its content
    bool stored = true;              // neither compressed nor encrypted
  };
  const std::map<std::string, Member, std::less<>>& members() const { return members_; }
  const std::filesystem::path& path() const { return file_.path(); }

  /// Copies a part of a member's content; throws IoError for an absent or compressed member and beyond its
  /// end.
  void read_at(std::string_view member, uint64_t offset, void* out, size_t bytes) const;
  std::string read(std::string_view member, uint64_t max_bytes) const;  // all of it

 private:
  struct Directory {
    uint64_t offset, bytes, count;
  };
  Directory find_directory() const;
  void parse_directory(std::string_view text, uint64_t count);
  const Member& member(std::string_view name) const;

  RandomFile file_;
  std::map<std::string, Member, std::less<>> members_;
};

}  // namespace dehvf
