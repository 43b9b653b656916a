// Resizing as Pillow does it, to the bit.
#pragma once

#include "data/image.h"

namespace dehvf {

struct Window {
  int left = 0, top = 0, width = 0, height = 0;  // in pixels of the resized picture
};

/// `image` resized to width x height with Pillow's bicubic filter (a = -0.5, widened when shrinking), of
/// which only `window` is computed and returned. Both passes in 22-bit fixed point, rounded to 8 bits; the
/// horizontal one first, as in every Pillow up to 12, which made the pictures that the published models saw.
Image resize_bicubic(const Image& image, int width, int height, const Window& window);
Image resize_bicubic(const Image& image, int width, int height);

}  // namespace dehvf
