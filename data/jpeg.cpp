#include "data/jpeg.h"

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>

#include <jerror.h>
#include <jpeglib.h>

#include "core/error.h"

namespace dehvf {
namespace {

// A progressive file has about ten; thousands of empty ones would keep us for hours.
constexpr int kMaxScans = 500;

// libjpeg reports errors by a call that must not return, so the steps below are functions without destructors
// of their own: everything that owns memory lives here or above.
struct JpegFile {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf jump{};
  std::array<char, JMSG_LENGTH_MAX> message{};
  std::vector<uint8_t> line;  // one row of the file's own channels
  Image image;

  JpegFile() = default;
  JpegFile(const JpegFile&) = delete;
  JpegFile& operator=(const JpegFile&) = delete;
  ~JpegFile() { jpeg_destroy_decompress(&info); }  // also sound before jpeg_create_decompress
};

[[noreturn]] void on_error(j_common_ptr info) {
  auto& file = *static_cast<JpegFile*>(info->client_data);
  info->err->format_message(info, file.message.data());
  std::longjmp(file.jump, 1);
}

// Damage inside the data is repaired by libjpeg and accepted; a missing end is not.
void on_message(j_common_ptr info, int level) {
  if (level < 0 && info->err->msg_code == JWRN_JPEG_EOF) on_error(info);
}

void on_progress(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans) return;
  auto& file = *static_cast<JpegFile*>(info->client_data);
  std::snprintf(file.message.data(), file.message.size(), "more than %d scans", kMaxScans);
  std::longjmp(file.jump, 1);
}

bool attempt(JpegFile& file, void (*step)(JpegFile&)) {
  if (setjmp(file.jump)) return false;
  step(file);
  return true;
}

void run(JpegFile& file, std::string_view what, void (*step)(JpegFile&)) {
  require<IoError>(attempt(file, step), what, ": damaged JPEG: ", file.message.data());
}

void read_header(JpegFile& file) { jpeg_read_header(&file.info, TRUE); }

uint8_t scale_255(int a, int b) {  // a * b / 255 rounded
  const int t = a * b + 128;
  return uint8_t(((t >> 8) + t) >> 8);
}

// One line of 1, 3 or 4 channels as RGB; stored CMYK is inverted, so that 255 - c is the ink.
void to_rgb(const uint8_t* line, int channels, int width, uint8_t* rgb) {
  for (int x = 0; x < width; ++x, line += channels, rgb += 3) {
    if (channels == 1)
      std::fill(rgb, rgb + 3, line[0]);
    else if (channels == 3)
      std::copy(line, line + 3, rgb);
    else
      for (int c = 0; c < 3; ++c) rgb[c] = uint8_t(line[3] - scale_255(255 - line[c], line[3]));
  }
}

void start(JpegFile& file) {
  const int channels = file.info.num_components;
  file.info.out_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_start_decompress(&file.info);
}

void read_lines(JpegFile& file) {
  while (file.info.output_scanline < file.info.output_height) {
    const int y = int(file.info.output_scanline);
    JSAMPROW line = file.line.data();
    jpeg_read_scanlines(&file.info, &line, 1);
    to_rgb(line, file.info.output_components, file.image.width, file.image.row(y));
  }
  jpeg_finish_decompress(&file.info);
}

}  // namespace

bool is_jpeg(std::string_view bytes) { return bytes.starts_with("\xff\xd8\xff"); }

Image decode_jpeg(std::string_view bytes, std::string_view what) {
  require<IoError>(is_jpeg(bytes), what, ": wanted a JPEG picture");
  JpegFile file;
  file.info.err = jpeg_std_error(&file.errors);
  file.errors.error_exit = on_error;
  file.errors.emit_message = on_message;
  file.info.client_data = &file;
  run(file, what, [](JpegFile& f) { jpeg_create_decompress(&f.info); });
  file.progress.progress_monitor = on_progress;
  file.info.progress = &file.progress;
  jpeg_mem_src(&file.info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  run(file, what, read_header);
  require_picture_size(file.info.image_width, file.info.image_height, what);
  const int channels = file.info.num_components;
  require<IoError>(channels == 1 || channels == 3 || channels == 4, what, ": JPEG of ", channels,
                   " channels, wanted 1, 3 or 4");
  run(file, what, start);
  file.image = Image(int(file.info.output_width), int(file.info.output_height));
  file.line.resize(size_t(file.info.output_width) * size_t(file.info.output_components));
  run(file, what, read_lines);
  return std::move(file.image);
}

}  // namespace dehvf
