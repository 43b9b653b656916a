#include "data/png.h"

#include <array>
#include <csetjmp>
#include <cstring>

#include <png.h>

#include "core/error.h"
#include "core/io/file.h"

namespace dehvf {
namespace {

constexpr size_t kSignatureBytes = 8;
constexpr int64_t kDeflateRatio = 1032;  // no deflate stream expands further

// What the callbacks and the steps of one file share. libpng reports errors by longjmp, so a step is a
// function without destructors of its own: everything that owns memory lives here or above.
struct PngFile {
  png_structp png = nullptr;
  png_infop info = nullptr;
  bool writing = false;
  std::string_view input;
  std::string output;
  std::array<char, 120> message{};
  std::vector<png_bytep> rows;
  std::vector<uint8_t> pixels;
  bool rgba = false;

  PngFile() = default;
  PngFile(const PngFile&) = delete;
  PngFile& operator=(const PngFile&) = delete;
  ~PngFile() {
    if (writing)
      png_destroy_write_struct(&png, &info);
    else
      png_destroy_read_struct(&png, &info, nullptr);
  }
};

[[noreturn]] void on_error(png_structp png, png_const_charp text) {
  auto& file = *static_cast<PngFile*>(png_get_error_ptr(png));
  std::strncpy(file.message.data(), text, file.message.size() - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep to, size_t bytes) {
  auto& file = *static_cast<PngFile*>(png_get_io_ptr(png));
  if (bytes > file.input.size()) png_error(png, "the file ends too early");
  std::memcpy(to, file.input.data(), bytes);
  file.input.remove_prefix(bytes);
}

void on_write(png_structp png, png_bytep from, size_t bytes) {
  static_cast<PngFile*>(png_get_io_ptr(png))->output.append(reinterpret_cast<const char*>(from), bytes);
}

void on_flush(png_structp) {}

// Runs a step; false when libpng gave up, with the reason in file.message.
bool attempt(PngFile& file, void (*step)(PngFile&)) {
  if (setjmp(png_jmpbuf(file.png))) return false;
  step(file);
  return true;
}

void run(PngFile& file, std::string_view what, void (*step)(PngFile&)) {
  require<IoError>(attempt(file, step), what, ": damaged PNG: ", file.message.data());
}

void read_header(PngFile& file) {
  png_set_user_limits(file.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // the caller looks at the size itself
  png_set_chunk_malloc_max(file.png, 8 << 20);
  // Text, profiles and the like have no bearing on the pixels.
  png_set_keep_unknown_chunks(file.png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_read_info(file.png, file.info);
}

// Asks for 8-bit samples of the file's own colour type; only 16-bit grey and palette indices stay as they
// are.
void ask_plain(PngFile& file) {
  const int type = png_get_color_type(file.png, file.info);
  const int depth = png_get_bit_depth(file.png, file.info);
  if (type == PNG_COLOR_TYPE_GRAY && depth < 8) png_set_expand_gray_1_2_4_to_8(file.png);
  if (type == PNG_COLOR_TYPE_PALETTE && depth < 8) png_set_packing(file.png);
  if (type & PNG_COLOR_MASK_ALPHA) png_set_strip_alpha(file.png);
  if (depth == 16 && type != PNG_COLOR_TYPE_GRAY) png_set_strip_16(file.png);
}

void ask_rgba(PngFile& file) {
  png_set_expand(file.png);
  png_set_strip_16(file.png);
  png_set_gray_to_rgb(file.png);
  png_set_add_alpha(file.png, 255, PNG_FILLER_AFTER);
}

void prepare_rows(PngFile& file) {
  if (file.rgba)
    ask_rgba(file);
  else
    ask_plain(file);
  png_set_interlace_handling(file.png);
  png_read_update_info(file.png, file.info);
}

void read_rows(PngFile& file) {
  png_read_image(file.png, file.rows.data());
  png_read_end(file.png, nullptr);
}

// Opens and checks the header, then decodes into file.pixels.
void read_pixels(PngFile& file, std::string_view bytes, std::string_view what) {
  require<IoError>(is_png(bytes), what, ": wanted a PNG picture");
  file.input = bytes;
  file.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &file, on_error, on_warning);
  file.info = file.png ? png_create_info_struct(file.png) : nullptr;
  require<Error>(file.info, what, ": libpng could not start");
  png_set_read_fn(file.png, &file, on_read);
  run(file, what, read_header);
  const int64_t width = png_get_image_width(file.png, file.info);
  const int64_t height = png_get_image_height(file.png, file.info);
  require_picture_size(width, height, what);
  const int64_t bits =
      int64_t(png_get_channels(file.png, file.info)) * png_get_bit_depth(file.png, file.info);
  require<IoError>((width * bits + 7) / 8 * height / kDeflateRatio <= int64_t(bytes.size()), what,
                   ": damaged PNG: ", bytes.size(), " bytes cannot hold ", width, " x ", height, " pixels");
  run(file, what, prepare_rows);
  const size_t stride = png_get_rowbytes(file.png, file.info);
  file.pixels.resize(stride * size_t(height));
  file.rows.resize(size_t(height));
  for (size_t y = 0; y < file.rows.size(); ++y) file.rows[y] = file.pixels.data() + y * stride;
  run(file, what, read_rows);
}

using Palette = std::array<std::array<uint8_t, 3>, 256>;

// Indices without an entry are grey, as in Pillow.
Palette palette_of(PngFile& file) {
  Palette palette;
  for (size_t i = 0; i < palette.size(); ++i) palette[i].fill(uint8_t(i));
  png_colorp entries = nullptr;
  int count = 0;
  png_get_PLTE(file.png, file.info, &entries, &count);
  for (size_t i = 0; i < size_t(count); ++i) palette[i] = {entries[i].red, entries[i].green, entries[i].blue};
  return palette;
}

std::vector<uint8_t> expand_palette(const std::vector<uint8_t>& indices, const Palette& palette) {
  std::vector<uint8_t> rgb(3 * indices.size());
  for (size_t i = 0; i < indices.size(); ++i) std::memcpy(&rgb[3 * i], palette[indices[i]].data(), 3);
  return rgb;
}

std::vector<uint8_t> expand_grey(const std::vector<uint8_t>& samples, size_t bytes_a_sample) {
  const size_t count = samples.size() / bytes_a_sample;
  std::vector<uint8_t> rgb(3 * count);
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* sample = &samples[bytes_a_sample * i];
    const uint8_t value = bytes_a_sample == 1 ? sample[0] : sample[0] ? 255 : sample[1];
    std::memset(&rgb[3 * i], value, 3);
  }
  return rgb;
}

void write_all(PngFile& file) {
  png_set_compression_level(file.png, 6);
  png_set_filter(file.png, PNG_FILTER_TYPE_BASE, PNG_FILTER_UP);
  png_write_info(file.png, file.info);
  png_write_image(file.png, file.rows.data());
  png_write_end(file.png, nullptr);
}

}  // namespace

bool is_png(std::string_view bytes) {
  return bytes.size() >= kSignatureBytes &&
         png_sig_cmp(reinterpret_cast<png_const_bytep>(bytes.data()), 0, kSignatureBytes) == 0;
}

Image decode_png(std::string_view bytes, std::string_view what) {
  PngFile file;
  read_pixels(file, bytes, what);
  Image image;
  image.width = int(png_get_image_width(file.png, file.info));
  image.height = int(png_get_image_height(file.png, file.info));
  const int type = png_get_color_type(file.png, file.info);
  if (type == PNG_COLOR_TYPE_PALETTE)
    image.rgb = expand_palette(file.pixels, palette_of(file));
  else if (type == PNG_COLOR_TYPE_GRAY)
    image.rgb = expand_grey(file.pixels, size_t(png_get_bit_depth(file.png, file.info)) / 8);
  else
    image.rgb = std::move(file.pixels);
  return image;
}

RgbaImage decode_png_rgba(std::string_view bytes, std::string_view what) {
  PngFile file;
  file.rgba = true;
  read_pixels(file, bytes, what);
  RgbaImage image;
  image.width = int(png_get_image_width(file.png, file.info));
  image.height = int(png_get_image_height(file.png, file.info));
  image.rgba = std::move(file.pixels);
  return image;
}

std::string encode_png(const Image& image) {
  require_picture_size(image.width, image.height, "encode_png");
  PngFile file;
  file.writing = true;
  file.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &file, on_error, on_warning);
  file.info = file.png ? png_create_info_struct(file.png) : nullptr;
  require<Error>(file.info, "encode_png: libpng could not start");
  png_set_write_fn(file.png, &file, on_write, on_flush);
  png_set_IHDR(file.png, file.info, png_uint_32(image.width), png_uint_32(image.height), 8,
               PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  for (int y = 0; y < image.height; ++y) file.rows.push_back(const_cast<png_bytep>(image.row(y)));
  require<Error>(attempt(file, write_all), "encode_png: ", file.message.data());
  return std::move(file.output);
}

void write_png(const std::filesystem::path& path, const Image& image) { write_file(path, encode_png(image)); }

}  // namespace dehvf
