// 8-bit pictures in memory, and reading one from a file whatever its name says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

namespace dehvf {

inline constexpr int64_t kMaxPixels = int64_t(64) << 20;        // a picture larger than this is refused
inline constexpr uint64_t kMaxImageBytes = uint64_t(64) << 20;  // and so is a larger file

struct Image {
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;  // interleaved, rows top to bottom, 3 * width * height

  Image() = default;
  Image(int width, int height)
      : width(width), height(height), rgb(size_t(3) * size_t(width) * size_t(height)) {}
  const uint8_t* row(int y) const { return rgb.data() + size_t(3) * size_t(width) * size_t(y); }
  uint8_t* row(int y) { return rgb.data() + size_t(3) * size_t(width) * size_t(y); }
};

struct RgbaImage {
  int width = 0, height = 0;
  std::vector<uint8_t> rgba;  // interleaved, alpha not premultiplied, 4 * width * height

  RgbaImage() = default;
  RgbaImage(int width, int height)
      : width(width), height(height), rgba(size_t(4) * size_t(width) * size_t(height)) {}
  const uint8_t* row(int y) const { return rgba.data() + size_t(4) * size_t(width) * size_t(y); }
  uint8_t* row(int y) { return rgba.data() + size_t(4) * size_t(width) * size_t(y); }
};

/// A PNG or JPEG, recognised by its first bytes, as Pillow's convert("RGB") gives it: alpha is dropped and
/// not composited, orientation tags are ignored. Throws IoError "<what>: ..." for anything else, damage or
/// excess.
Image decode_image(std::string_view bytes, std::string_view what);
Image read_image(const std::filesystem::path& path);

/// Throws IoError unless 1 <= width, height and width * height <= kMaxPixels.
void require_picture_size(int64_t width, int64_t height, std::string_view what);

}  // namespace dehvf
