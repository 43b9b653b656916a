#include "models/zip_archive.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "core/io/file.h"

namespace dehvf {
namespace {

constexpr uint32_t kLocalMark = 0x04034b50, kCentralMark = 0x02014b50, kEndMark = 0x06054b50,
                   kEnd64Mark = 0x06064b50, kLocator64Mark = 0x07064b50;
constexpr size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64Bytes = 56, kLocator64Bytes = 20;
constexpr uint64_t kMaxDirectory = 64 << 20, kMaxMembers = 1'000'000;
constexpr uint64_t kIn64 = 0xffffffff;  // "the value stands in the zip64 field"

template <class T>
T number_at(std::string_view text, size_t offset) {
  T value;
  std::memcpy(&value, text.data() + offset, sizeof value);
  return value;
}

std::string read_part(const RandomFile& file, uint64_t offset, size_t bytes) {
  std::string text(bytes, '\0');
  file.read_at(offset, text.data(), bytes);
  return text;
}

// Puts the 64-bit values that an extra field holds in place of those marked as too large for 32 bits.
void widen(std::string_view extra, std::initializer_list<uint64_t*> values, const std::string& what) {
  while (extra.size() >= 4) {
    const size_t bytes = number_at<uint16_t>(extra, 2);
    require<IoError>(bytes <= extra.size() - 4, what, ": damaged zip directory: an extra field is too long");
    std::string_view field = extra.substr(4, bytes);
    if (number_at<uint16_t>(extra, 0) == 1)
      for (uint64_t* value : values)
        if (*value == kIn64 && field.size() >= 8) {
          *value = number_at<uint64_t>(field, 0);
          field.remove_prefix(8);
        }
    extra.remove_prefix(4 + bytes);
  }
}

}  // namespace

ZipArchive::ZipArchive(const std::filesystem::path& path) : file_(path) {
  const Directory directory = find_directory();
  require<IoError>(directory.offset <= file_.size() && directory.bytes <= file_.size() - directory.offset,
                   path.string(), ": damaged zip directory: it lies outside of the file");
  require<IoError>(directory.bytes <= kMaxDirectory && directory.count <= kMaxMembers, path.string(),
                   ": zip directory of ", directory.count, " members in ", directory.bytes,
                   " bytes is too large");
  parse_directory(read_part(file_, directory.offset, size_t(directory.bytes)), directory.count);
}

ZipArchive::Directory ZipArchive::find_directory() const {
  const auto tail_bytes = size_t(std::min<uint64_t>(file_.size(), kEndBytes + 0xffff));
  const uint64_t tail_start = file_.size() - tail_bytes;
  const std::string tail = read_part(file_, tail_start, tail_bytes);
  for (size_t at = tail_bytes < kEndBytes ? 0 : tail_bytes - kEndBytes + 1; at-- > 0;) {
    if (number_at<uint32_t>(tail, at) != kEndMark) continue;
    if (at + kEndBytes + number_at<uint16_t>(tail, at + 20) != tail_bytes) continue;
    Directory found{number_at<uint32_t>(tail, at + 16), number_at<uint32_t>(tail, at + 12),
                    number_at<uint16_t>(tail, at + 10)};
    if (tail_start + at < kLocator64Bytes) return found;
    const std::string locator = read_part(file_, tail_start + at - kLocator64Bytes, kLocator64Bytes);
    if (number_at<uint32_t>(locator, 0) != kLocator64Mark) return found;
    const auto end64 = number_at<uint64_t>(locator, 8);
    require<IoError>(end64 <= file_.size(), path().string(), ": damaged zip64 directory");
    const std::string wide = read_part(file_, end64, kEnd64Bytes);
    require<IoError>(number_at<uint32_t>(wide, 0) == kEnd64Mark, path().string(),
                     ": damaged zip64 directory");
    return {number_at<uint64_t>(wide, 48), number_at<uint64_t>(wide, 40), number_at<uint64_t>(wide, 32)};
  }
  fail<IoError>(path().string(),
                ": no central directory at the end of the zip archive; is the file complete?");
}

void ZipArchive::parse_directory(std::string_view text, uint64_t count) {
  const std::string what = path().string();
  for (uint64_t i = 0; i < count; ++i) {
    require<IoError>(text.size() >= kCentralBytes && number_at<uint32_t>(text, 0) == kCentralMark, what,
                     ": damaged zip directory at member ", i, " of ", count);
    const size_t name = number_at<uint16_t>(text, 28), extra = number_at<uint16_t>(text, 30);
    const size_t all = kCentralBytes + name + extra + number_at<uint16_t>(text, 32);
    require<IoError>(all <= text.size(), what, ": damaged zip directory at member ", i, " of ", count);
    const bool plain = number_at<uint16_t>(text, 10) == 0 && (number_at<uint16_t>(text, 8) & 1) == 0;
    Member member{number_at<uint32_t>(text, 42), number_at<uint32_t>(text, 24), plain};
    uint64_t packed = number_at<uint32_t>(text, 20);
    widen(text.substr(kCentralBytes + name, extra), {&member.bytes, &packed, &member.header}, what);
    member.stored &= packed == member.bytes;
    require<IoError>(member.header <= file_.size() && member.bytes <= file_.size() - member.header, what,
                     ": damaged zip directory: member ", i, " of ", count, " passes the end of the file");
    const auto [place, fresh] = members_.emplace(std::string(text.substr(kCentralBytes, name)), member);
    require<IoError>(fresh, what, ": zip member '", printable(place->first), "' stands twice");
    text.remove_prefix(all);
  }
}

const ZipArchive::Member& ZipArchive::member(std::string_view name) const {
  const auto found = members_.find(name);
  require<IoError>(found != members_.end(), path().string(), ": zip member '", printable(name),
                   "' is missing");
  require<IoError>(found->second.stored, path().string(), ": zip member '", printable(name),
                   "' is compressed or encrypted, wanted stored");
  return found->second;
}

void ZipArchive::read_at(std::string_view name, uint64_t offset, void* out, size_t bytes) const {
  const Member& wanted = member(name);
  require<IoError>(offset <= wanted.bytes && bytes <= wanted.bytes - offset, path().string(),
                   ": zip member '", printable(name), "' has ", wanted.bytes, " bytes, wanted ", bytes,
                   " at ", offset);
  const std::string local = read_part(file_, wanted.header, kLocalBytes);
  require<IoError>(number_at<uint32_t>(local, 0) == kLocalMark, path().string(), ": zip member '",
                   printable(name), "' is not where the directory says");
  const uint64_t start =
      wanted.header + kLocalBytes + number_at<uint16_t>(local, 26) + number_at<uint16_t>(local, 28);
  require<IoError>(start <= file_.size() && wanted.bytes <= file_.size() - start, path().string(),
                   ": zip member '", printable(name), "' passes the end of the file");
  file_.read_at(start + offset, out, bytes);
}

std::string ZipArchive::read(std::string_view name, uint64_t max_bytes) const {
  const uint64_t bytes = member(name).bytes;
  require<IoError>(bytes <= max_bytes, path().string(), ": zip member '", printable(name), "' has ", bytes,
                   " bytes, wanted at most ", max_bytes);
  std::string text(size_t(bytes), '\0');
  read_at(name, 0, text.data(), text.size());
  return text;
}

}  // namespace dehvf
