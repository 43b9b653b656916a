#include "data/image.h"

#include "core/error.h"
#include "core/io/file.h"
#include "data/jpeg.h"
#include "data/png.h"

namespace dehvf {

Image decode_image(std::string_view bytes, std::string_view what) {
  require<IoError>(!bytes.empty(), what, ": is empty, wanted a PNG or JPEG picture");
  if (is_png(bytes)) return decode_png(bytes, what);
  if (is_jpeg(bytes)) return decode_jpeg(bytes, what);
  fail<IoError>(what, ": wanted a PNG or JPEG picture, found a file that starts with '",
                printable(bytes.substr(0, 8)), "'");
}

Image read_image(const std::filesystem::path& path) {
  return decode_image(read_file(path, kMaxImageBytes), printable(path.string(), 400));
}

void require_picture_size(int64_t width, int64_t height, std::string_view what) {
  require<IoError>(width > 0 && height > 0 && width <= kMaxPixels / height, what, ": is ", width, " x ",
                   height, " pixels, wanted at least one and at most ", kMaxPixels);
}

}  // namespace dehvf
