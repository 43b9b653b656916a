#include "data/picture_set.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/png.h"
#include "images/fixtures.h"
#include "support/message.h"
#include "support/temporary_folder.h"

namespace dehvf::test {
namespace {

const std::filesystem::path kFolder = DEHVF_SOURCE_DIR "/data/pictures";

struct Listed {
  size_t train = 0, held_out = 0;
};

// The numbers of pictures that NOTICE lists.
std::map<std::string, Listed> listed() {
  std::map<std::string, Listed> classes;
  std::ifstream notice(kFolder / "NOTICE");
  std::string line, name;
  for (bool held_out = false; std::getline(notice, line);) {
    if (line == "  (held out)") {
      held_out = true;
    } else if (line.starts_with("  ") && line.ends_with(".png")) {
      ++(held_out ? classes[name].held_out : classes[name].train);
    } else if (line.ends_with(":")) {
      name = line.substr(0, line.size() - 1);
      held_out = false;
    }
  }
  return classes;
}

TEST(PictureSet, ShippedPicturesAreThoseOfTheNotice) {
  const auto classes = read_picture_set(kFolder);
  const auto wanted = listed();
  ASSERT_EQ(classes.size(), 12u);
  ASSERT_EQ(wanted.size(), classes.size());
  uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) bytes += entry.file_size();
  EXPECT_LT(bytes, 1100u << 10);
  for (const auto& one : classes) {
    EXPECT_EQ(one.train.size(), wanted.at(one.name).train) << one.name;
    EXPECT_EQ(one.held_out.size(), wanted.at(one.name).held_out) << one.name;
    EXPECT_GE(one.train.size() + one.held_out.size(), 30u) << one.name;
  }
}

TEST(PictureSet, EveryPictureShowsSomethingOnceAndLeavesRoomForABackground) {
  std::set<std::string> seen;
  for (const auto& one : read_picture_set(kFolder))
    for (const auto* part : {&one.train, &one.held_out})
      for (const RgbaImage& sprite : *part) {
        ASSERT_EQ(sprite.width, kSpriteEdge);
        ASSERT_EQ(sprite.rgba.size(), size_t(4 * kSpriteEdge * kSpriteEdge));
        int visible = 0;
        for (size_t i = 3; i < sprite.rgba.size(); i += 4) visible += sprite.rgba[i] > 16;
        EXPECT_GT(visible, kSpriteEdge * 2) << one.name;
        if (one.name != "flag") EXPECT_LT(visible, kSpriteEdge * kSpriteEdge) << one.name;
        EXPECT_TRUE(seen.emplace(sprite.rgba.begin(), sprite.rgba.end()).second)
            << one.name << " shows a picture twice";
      }
}

TEST(PictureSet, BadFoldersAreRefusedInOneLine) {
  const TemporaryFolder folder;
  const auto says = [&](const std::filesystem::path& path) {
    return message_of<IoError>([&] { read_picture_set(path); });
  };
  EXPECT_THAT(says(folder / "absent"), testing::HasSubstr("absent: cannot list the folder: No such file"));
  EXPECT_THAT(says(folder.path()), testing::HasSubstr("holds no picture classes (*.png)"));
  write_png(folder / "narrow.png", noise_image(47, 480, 1));
  EXPECT_THAT(says(folder.path()), testing::HasSubstr("narrow.png: is 47 x 480 pixels, wanted a column"));
  write_png(folder / "narrow.png", noise_image(48, 481, 1));
  EXPECT_THAT(says(folder.path()), testing::HasSubstr("is 48 x 481 pixels"));
  write_png(folder / "narrow.png", noise_image(48, 192, 1));
  EXPECT_THAT(says(folder.path()), testing::HasSubstr("is 48 x 192 pixels"));
  spill(folder / "narrow.png", "text");
  EXPECT_THAT(says(folder.path()), testing::HasSubstr("narrow.png: wanted a PNG picture"));
}

TEST(PictureSet, TheLastFifthIsHeldOutInOrder) {
  const TemporaryFolder folder;
  const Image column = noise_image(48, 48 * 11, 5);
  write_png(folder / "thing.png", column);
  const auto classes = read_picture_set(folder.path());
  ASSERT_EQ(classes.size(), 1u);
  EXPECT_EQ(classes[0].name, "thing");
  ASSERT_EQ(classes[0].train.size(), 9u);
  ASSERT_EQ(classes[0].held_out.size(), 2u);
  EXPECT_TRUE(std::equal(column.row(48 * 9), column.row(48 * 9) + 3, classes[0].held_out[0].row(0)));
  EXPECT_EQ(classes[0].train[0].rgba[3], 255);
}

}  // namespace
}  // namespace dehvf::test
