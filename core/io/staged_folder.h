// A folder that appears under its name when all of it is written, or not at all.
#pragma once

#include <filesystem>

namespace dehvf {

/// Files go to path(), a folder beside the wanted one; finish() gives it its name. Destroyed without that it
/// leaves nothing. Throws IoError where something is there already (an empty folder is replaced), or where
/// nothing can be made.
class StagedFolder {
 public:
  explicit StagedFolder(const std::filesystem::path& wanted);
  ~StagedFolder();
  StagedFolder(const StagedFolder&) = delete;
  StagedFolder& operator=(const StagedFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void finish();

 private:
  std::filesystem::path wanted_, path_;
};

}  // namespace dehvf
