#include "cli/html.h"

#include "cli/report_style.h"
#include "core/error.h"
#include "core/io/file.h"

namespace dehvf::cli {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : printable(text, 2000)) {  // no control characters, no invalid UTF-8
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = std::min<size_t>(3, bytes.size() - i);
    uint32_t word = 0;
    for (size_t k = 0; k < 3; ++k) word = word << 8 | (k < left ? uint8_t(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k) out += k <= left ? kDigits[word >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::string page_head(const std::string& title) {
  return concat(
      "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>\n<meta name='viewport' "
      "content='width=device-width, initial-scale=1'>\n<title>",
      title, "</title>\n<style>", kReportStyle, "</style></head><body>\n<h1>", title, "</h1>\n");
}

std::string figure(const std::string& title, const std::string& caption, const std::string& svg) {
  return concat("<figure><figcaption><b>", title, "</b>", caption, "</figcaption><img alt='", title,
                "' src='data:image/svg+xml;base64,", base64(svg), "'></figure>\n");
}

}  // namespace dehvf::cli
