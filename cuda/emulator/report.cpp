#include "cuda/emulator/report.h"

#include <string_view>

namespace dehvf {
inline namespace emulated {

std::ostream& operator<<(std::ostream& out, const uint3& at) {
  return out << '(' << at.x << ", " << at.y << ", " << at.z << ')';
}

std::ostream& operator<<(std::ostream& out, const dim3& size) { return out << uint3{size.x, size.y, size.z}; }

}  // namespace emulated

namespace simt {

std::string place(const std::source_location& where) {
  const std::string_view path = where.file_name();
  return concat(path.substr(path.find_last_of('/') + 1), ':', where.line());
}

std::ostream& operator<<(std::ostream& out, const Site& site) {
  return out << site.what << ", " << place(site.where);
}

}  // namespace simt
}  // namespace dehvf
