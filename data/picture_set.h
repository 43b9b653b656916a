// The clip art of data/pictures: classes of small pictures with alpha, to be pasted on any background.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/image.h"

namespace dehvf {

inline constexpr int kSpriteEdge = 48;

struct PictureClass {
  std::string name;
  std::vector<RgbaImage> train, held_out;  // kSpriteEdge x kSpriteEdge, in the order of the file
};

/// Every <class>.png of `folder`, sorted by name: a column of pictures, of which the last fifth (rounded
/// down) is held out for testing. Throws IoError naming the file for another size, fewer than 5 pictures,
/// damage, and for a folder without any.
std::vector<PictureClass> read_picture_set(const std::filesystem::path& folder);

}  // namespace dehvf
