// PNG through libpng: decoded to the pixel values that Pillow gives, encoded to bytes that never change.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "data/image.h"

namespace dehvf {

bool is_png(std::string_view bytes);

/// Every colour type, depth and interlacing. Alpha and transparency are dropped; 16-bit colour keeps the high
/// byte; 16-bit grey is clipped at 255 (Pillow's rule). Throws IoError "<what>: ...".
Image decode_png(std::string_view bytes, std::string_view what);

/// The same with transparency as alpha; 16-bit samples keep the high byte, grey too.
RgbaImage decode_png_rgba(std::string_view bytes, std::string_view what);

/// The same picture gives the same bytes, for one version of zlib.
std::string encode_png(const Image& image);
void write_png(const std::filesystem::path& path, const Image& image);

}  // namespace dehvf
