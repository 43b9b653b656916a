#include "data/picture_set.h"

#include <algorithm>

#include "core/error.h"
#include "core/io/file.h"
#include "data/png.h"

namespace dehvf {
namespace {

PictureClass read_class(const std::filesystem::path& path) {
  const std::string what = printable(path.string(), 400);
  const RgbaImage column = decode_png_rgba(read_file(path, kMaxImageBytes), what);
  const int count = column.height / kSpriteEdge;
  require<IoError>(column.width == kSpriteEdge && column.height % kSpriteEdge == 0 && count >= 5, what,
                   ": is ", column.width, " x ", column.height,
                   " pixels, wanted a column of at least 5 pictures of ", kSpriteEdge, " x ", kSpriteEdge);
  PictureClass result{path.stem().string(), {}, {}};
  for (int i = 0; i < count; ++i) {
    RgbaImage sprite(kSpriteEdge, kSpriteEdge);
    std::copy_n(column.row(i * kSpriteEdge), sprite.rgba.size(), sprite.rgba.begin());
    (i < count - count / 5 ? result.train : result.held_out).push_back(std::move(sprite));
  }
  return result;
}

}  // namespace

std::vector<PictureClass> read_picture_set(const std::filesystem::path& folder) {
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    if (entry.path().extension() == ".png") files.push_back(entry.path());
  require<IoError>(!error, printable(folder.string(), 400), ": cannot list the folder: ", error.message());
  require<IoError>(!files.empty(), printable(folder.string(), 400), ": holds no picture classes (*.png)");
  std::sort(files.begin(), files.end());
  std::vector<PictureClass> classes;
  classes.reserve(files.size());
  for (const auto& file : files) classes.push_back(read_class(file));
  return classes;
}

}  // namespace dehvf
