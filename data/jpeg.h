// JPEG through libjpeg-turbo, with the pixel values that Pillow gives.
#pragma once

#include <string_view>

#include "data/image.h"

namespace dehvf {

bool is_jpeg(std::string_view bytes);

/// Baseline and progressive; colour, grey and CMYK (stored inverted, as every such file is in practice).
/// Orientation tags are ignored. A file that ends too early is refused. Throws IoError "<what>: ...".
Image decode_jpeg(std::string_view bytes, std::string_view what);

}  // namespace dehvf
