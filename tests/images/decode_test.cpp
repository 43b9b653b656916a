#include <algorithm>
#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/file.h"
#include "data/jpeg.h"
#include "data/png.h"
#include "images/fixtures.h"
#include "support/message.h"
#include "support/temporary_folder.h"

namespace dehvf::test {
namespace {

TEST(Decode, EveryFixtureAsPillowDoes) {
  const auto expected = expected_images("rgb.");
  const auto names = image_fixture_names();
  ASSERT_EQ(names.size(), expected.size());
  for (const auto& name : names) expect_pixels(read_image(image_fixture(name)), expected.at(name), name);
}

TEST(Decode, TheNameOfAFileSaysNothing) {
  const TemporaryFolder folder;
  std::filesystem::copy(image_fixture("rgb_420.jpg"), folder / "picture.png");
  expect_pixels(read_image(folder / "picture.png"), expected_images("rgb.").at("rgb_420.jpg"), "renamed");
}

TEST(Decode, EveryCutOfEveryFixtureIsRefusedInOneLine) {
  for (const auto& name : image_fixture_names()) {
    const std::string bytes = read_file(image_fixture(name));
    for (size_t length = 0; length < bytes.size(); length += 16) {
      const std::string message =
          message_of<IoError>([&] { decode_image(std::string_view(bytes).substr(0, length), "cut"); });
      EXPECT_TRUE(message.starts_with("cut: ")) << name << " of " << length << " bytes: " << message;
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    }
  }
}

// Whatever stands in a byte: a picture or an IoError, nothing else.
TEST(Decode, AnyDamagedByteGivesAPictureOrAnIoError) {
  int refused = 0, decoded = 0;
  for (const auto& name : image_fixture_names()) {
    const std::string original = read_file(image_fixture(name));
    for (size_t at = 0; at < original.size(); at += 1 + original.size() / 97) {
      std::string bytes = original;
      bytes[at] = char(bytes[at] ^ (1 << (at % 8)));
      try {
        const Image image = decode_image(bytes, name);
        EXPECT_EQ(image.rgb.size(), size_t(3) * size_t(image.width) * size_t(image.height));
        ++decoded;
      } catch (const IoError&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 100);
  EXPECT_GT(decoded, 0);
}

std::string big_endian(uint32_t value) {
  return {char(value >> 24), char(value >> 16), char(value >> 8), char(value)};
}

// The PNG `bytes` with another width and height and the sum of its header put right.
std::string with_png_size(std::string bytes, uint32_t width, uint32_t height) {
  bytes.replace(16, 8, big_endian(width) + big_endian(height));
  uint32_t sum = ~0u;
  for (size_t i = 12; i < 29; ++i) {
    sum ^= uint8_t(bytes[i]);
    for (int bit = 0; bit < 8; ++bit) sum = sum & 1 ? (sum >> 1) ^ 0xedb88320u : sum >> 1;
  }
  return bytes.replace(29, 4, big_endian(~sum));
}

TEST(Decode, BombsAreRefusedByTheirHeader) {
  const std::string png = read_file(image_fixture("rgb.png"));
  EXPECT_NO_THROW(decode_image(with_png_size(png, 37, 23), "same"));
  for (auto [width, height] : {std::pair{0x7fffffffu, 0x7fffffffu}, {8193u, 8192u}, {0x7fffffffu, 1u}})
    EXPECT_THAT(
        message_of<IoError>([&, w = width, h = height] { decode_image(with_png_size(png, w, h), "bomb"); }),
        testing::HasSubstr(concat("bomb: is ", width, " x ", height, " pixels, wanted")));
  EXPECT_THAT(message_of<IoError>([&] { decode_image(with_png_size(png, 8192, 8192), "bomb"); }),
              testing::HasSubstr("bytes cannot hold 8192 x 8192 pixels"));
  EXPECT_THAT(message_of<IoError>([&] { decode_image(with_png_size(png, 0, 5), "bomb"); }),
              testing::StartsWith("bomb: "));

  std::string jpeg = read_file(image_fixture("rgb_420.jpg"));
  const size_t frame = jpeg.find("\xff\xc0");
  jpeg.replace(frame + 5, 4, "\xff\xdc\xff\xdc");
  EXPECT_THAT(message_of<IoError>([&] { decode_image(jpeg, "bomb"); }),
              testing::HasSubstr("is 65500 x 65500 pixels, wanted"));
}

TEST(Decode, OtherFilesAreRefusedInOneLine) {
  const TemporaryFolder folder;
  spill(folder / "empty.png", "");
  spill(folder / "text.png", "GIF89a\nno\x1b[1m");
  spill(folder / "magic.png", "\x89PNG\r\n\x1a\n");
  spill(folder / "magic.jpg", "\xff\xd8\xff");
  const auto says = [&](const char* name) { return message_of<IoError>([&] { read_image(folder / name); }); };
  EXPECT_THAT(says("empty.png"), testing::HasSubstr("empty.png: is empty"));
  EXPECT_THAT(says("text.png"), testing::HasSubstr("text.png: wanted a PNG or JPEG picture, found"));
  EXPECT_EQ(says("text.png").find('\x1b'), std::string::npos);
  EXPECT_THAT(says("magic.png"), testing::HasSubstr("magic.png: damaged PNG: the file ends too early"));
  EXPECT_THAT(says("magic.jpg"), testing::HasSubstr("magic.jpg: damaged JPEG: "));
  EXPECT_THAT(says("absent.png"), testing::HasSubstr("absent.png: cannot open"));
  EXPECT_THAT(message_of<IoError>([&] { read_image(folder.path()); }),
              testing::HasSubstr("wanted a regular file"));
  std::filesystem::resize_file(folder / "text.png", kMaxImageBytes + 1);  // sparse
  EXPECT_THAT(says("text.png"), testing::HasSubstr("wanted at most"));
}

TEST(Decode, AThousandScansAreRefused) {
  const std::string jpeg = read_file(image_fixture("rgb_progressive.jpg"));
  const size_t scan = jpeg.rfind("\xff\xda"), end = jpeg.size() - 2;
  std::string bytes = jpeg.substr(0, end);
  for (int i = 0; i < 1000; ++i) bytes += jpeg.substr(scan, end - scan);
  bytes += jpeg.substr(end);
  EXPECT_THAT(message_of<IoError>([&] { decode_image(bytes, "scans"); }),
              testing::HasSubstr("more than 500 scans"));
}

TEST(DecodeRgba, KeepsTransparency) {
  for (const char* name : {"rgba.png", "palette_trns.png", "rgb.png", "grey.png", "rgb_interlaced.png"}) {
    const std::string bytes = read_file(image_fixture(name));
    const RgbaImage rgba = decode_png_rgba(bytes, name);
    const Image rgb = decode_png(bytes, name);
    ASSERT_EQ(rgba.rgba.size() / 4, rgb.rgb.size() / 3) << name;
    int opaque = 0;
    for (size_t i = 0; i < rgb.rgb.size() / 3; ++i) {
      ASSERT_EQ(std::memcmp(&rgba.rgba[4 * i], &rgb.rgb[3 * i], 3), 0) << name << " pixel " << i;
      opaque += rgba.rgba[4 * i + 3] == 255;
    }
    const bool transparent = std::strcmp(name, "rgba.png") == 0 || std::strcmp(name, "palette_trns.png") == 0;
    EXPECT_EQ(opaque < int(rgb.rgb.size() / 3), transparent) << name;
  }
  const RgbaImage keyed = decode_png_rgba(read_file(image_fixture("rgb_trns.png")), "key");
  EXPECT_TRUE(std::any_of(keyed.rgba.begin(), keyed.rgba.end(), [](uint8_t v) { return v == 0; }));
}

TEST(EncodePng, RoundTripsOddSizesAndRepeats) {
  const TemporaryFolder folder;
  for (auto [width, height] : {std::pair{1, 1}, {1, 9}, {7, 1}, {33, 21}, {129, 65}}) {
    const Image image = noise_image(width, height, uint64_t(width));
    const std::string bytes = encode_png(image);
    EXPECT_EQ(bytes, encode_png(image));
    write_png(folder / "picture.png", image);
    const Image back = read_image(folder / "picture.png");
    EXPECT_EQ(back.width, width);
    EXPECT_EQ(back.rgb, image.rgb) << width << " x " << height;
  }
}

}  // namespace
}  // namespace dehvf::test
