#include "core/io/staged_folder.h"

#include <cstdlib>

#include "core/error.h"

namespace dehvf {

StagedFolder::StagedFolder(const std::filesystem::path& wanted)
    : wanted_(wanted.has_filename() ? wanted : wanted.parent_path()) {
  std::error_code ignored;
  require<IoError>(!std::filesystem::exists(wanted_) || std::filesystem::is_empty(wanted_, ignored),
                   wanted_.string(),
                   ": wanted a new or empty folder, found something there; remove it or name another");
  std::string name = wanted_.string() + ".XXXXXX";
  require<IoError>(
      mkdtemp(name.data()) != nullptr, wanted_.string(),
      ": cannot create a folder beside it; does the folder above exist, and may you write there?");
  path_ = name;
  std::filesystem::permissions(path_, std::filesystem::perms(0755), ignored);
}

StagedFolder::~StagedFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

void StagedFolder::finish() {
  std::error_code error;
  std::filesystem::rename(path_, wanted_, error);  // replaces an empty folder
  require<IoError>(!error, wanted_.string(), ": cannot give the finished folder its name: ", error.message());
  path_.clear();
}

}  // namespace dehvf
