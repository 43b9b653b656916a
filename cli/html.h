// Pieces of the pages that dehvf writes.
#pragma once

#include <string>
#include <string_view>

namespace dehvf::cli {

std::string escaped(std::string_view text);  // for HTML; without control characters, valid UTF-8
std::string base64(std::string_view bytes);
/// Up to and with the first heading; ends with "</body></html>" by its caller.
std::string page_head(const std::string& title);
/// `title` and `caption` are HTML; the picture stands in the page.
std::string figure(const std::string& title, const std::string& caption, const std::string& svg);

}  // namespace dehvf::cli
