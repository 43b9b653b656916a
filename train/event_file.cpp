#include "train/event_file.h"

#include <array>
#include <bit>

#include "core/error.h"

namespace dehvf {
namespace {

static_assert(std::endian::native == std::endian::little, "event files are little-endian");

constexpr std::array<uint32_t, 256> kCrcTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0u);
    table[i] = crc;
  }
  return table;
}();

template <class T>
std::string_view bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// Fields of a protocol buffer: key (number and wire type), then the value.
void put_varint(std::string& out, uint64_t value) {
  for (; value >= 128; value >>= 7) out += char(value | 128);
  out += char(value);
}

void put_text(std::string& out, uint64_t field, std::string_view text) {
  put_varint(out, field << 3 | 2);
  put_varint(out, text.size());
  out += text;
}

template <class T>
void put_fixed(std::string& out, uint64_t field, T value) {
  put_varint(out, field << 3 | (sizeof value == 8 ? 1 : 5));
  out += bytes_of(value);
}

// Event {1: wall_time, 2: step, 3: file_version, 5: summary {1: value {1: tag, 2: simple_value}}}
std::string event_at(double wall_time) {
  std::string event;
  put_fixed(event, 1, wall_time);
  return event;
}

std::filesystem::path unused_name(const std::filesystem::path& folder, double wall_time) {
  for (int number = 0;; ++number) {
    auto path = folder / concat("events.out.tfevents.", int64_t(wall_time), ".dehvf.", number);
    if (!std::filesystem::exists(path)) return path;
  }
}

}  // namespace

uint32_t masked_crc32c(std::string_view bytes) {
  uint32_t crc = 0xffffffffu;
  for (const char c : bytes) crc = (crc >> 8) ^ kCrcTable[(crc ^ uint8_t(c)) & 255];
  return std::rotr(~crc, 15) + 0xa282ead8u;
}

EventFile::EventFile(const std::filesystem::path& folder, double wall_time)
    : path_(unused_name(folder, wall_time)), out_(path_, std::ios::binary) {
  std::string event = event_at(wall_time);
  put_text(event, 3, "brain.Event:2");
  write_record(event);
}

void EventFile::add(int64_t step, double wall_time, const Scalars& scalars) {
  std::string event = event_at(wall_time), summary;
  put_varint(event, 2 << 3);
  put_varint(event, uint64_t(step));
  for (const auto& [tag, number] : scalars) {
    std::string value;
    put_text(value, 1, tag);
    put_fixed(value, 2, float(number));
    put_text(summary, 1, value);
  }
  put_text(event, 5, summary);
  write_record(event);
}

void EventFile::write_record(const std::string& bytes) {
  const uint64_t length = bytes.size();
  const uint32_t length_crc = masked_crc32c(bytes_of(length)), crc = masked_crc32c(bytes);
  out_ << bytes_of(length) << bytes_of(length_crc) << bytes << bytes_of(crc) << std::flush;
  require<IoError>(out_.good(), path_.string(), ": cannot write events");
}

}  // namespace dehvf
