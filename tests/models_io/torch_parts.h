// Builds small zip archives and pickles byte by byte, so that tests can write what torch never would.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"

namespace dehvf::test {

template <class T>
std::string bytes_of(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

using Members = std::vector<std::pair<std::string, std::string>>;  // name, content

struct ZipOptions {
  bool zip64 = false;   // every size and offset in the 64-bit fields
  uint16_t method = 0;  // stored
};

inline std::string make_zip(const Members& members, ZipOptions options = {}) {
  std::string file, directory;
  for (const auto& [name, content] : members) {
    const uint64_t size = content.size(), offset = file.size();
    const auto size32 = options.zip64 ? 0xffffffffu : uint32_t(size);
    const std::string extra = options.zip64 ? bytes_of<uint16_t>(1) + bytes_of<uint16_t>(24) +
                                                  bytes_of(size) + bytes_of(size) + bytes_of(offset)
                                            : "";
    const std::string common = bytes_of<uint16_t>(0) + bytes_of(options.method) + bytes_of<uint32_t>(0) +
                               bytes_of<uint32_t>(0) + bytes_of(size32) + bytes_of(size32) +
                               bytes_of(uint16_t(name.size()));
    file += "PK\x03\x04" + bytes_of<uint16_t>(20) + common + bytes_of<uint16_t>(5) + name + "extra" + content;
    directory += "PK\x01\x02" + bytes_of<uint16_t>(20) + bytes_of<uint16_t>(20) + common +
                 bytes_of(uint16_t(extra.size())) + std::string(10, '\0') +
                 bytes_of(options.zip64 ? 0xffffffffu : uint32_t(offset)) + name + extra;
  }
  const uint64_t start = file.size(), count = members.size();
  file += directory;
  if (options.zip64) {
    const uint64_t end = file.size();
    file += "PK\x06\x06" + bytes_of<uint64_t>(44) + bytes_of<uint32_t>(0) + bytes_of<uint64_t>(0) +
            bytes_of(count) + bytes_of(count) + bytes_of<uint64_t>(directory.size()) + bytes_of(start);
    file += "PK\x06\x07" + bytes_of<uint32_t>(0) + bytes_of(end) + bytes_of<uint32_t>(1);
  }
  const auto count16 = options.zip64 ? uint16_t(0xffff) : uint16_t(count);
  return file + "PK\x05\x06" + bytes_of<uint32_t>(0) + bytes_of(count16) + bytes_of(count16) +
         bytes_of(options.zip64 ? 0xffffffffu : uint32_t(directory.size())) +
         bytes_of(options.zip64 ? 0xffffffffu : uint32_t(start)) + bytes_of<uint16_t>(0);
}

inline std::string text(const std::string& value) {
  return concat("X", bytes_of(uint32_t(value.size())), value);
}
inline std::string integer(int32_t value) { return concat("J", bytes_of(value)); }
inline std::string global(const std::string& module, const std::string& name) {
  return concat("c", module, "\n", name, "\n");
}
inline std::string integers(const std::vector<int32_t>& values) {
  std::string items;
  for (int32_t value : values) items += integer(value);
  return concat("(", items, "t");
}

struct View {
  std::string storage_class = "FloatStorage", key = "0";
  int32_t count = 6, offset = 0;
  std::vector<int32_t> shape{2, 3}, stride{3, 1};
};

inline std::string tensor(const View& view) {
  return global("torch._utils", "_rebuild_tensor_v2") + "((" + text("storage") +
         global("torch", view.storage_class) + text(view.key) + text("cpu") + integer(view.count) + "tQ" +
         integer(view.offset) + integers(view.shape) + integers(view.stride) + "\x89" +
         global("collections", "OrderedDict") + ")RtR";
}

/// The pickle of a dictionary; `items` holds keys and values in turn.
inline std::string dictionary(const std::string& items) { return concat("\x80\x02}(", items, "u."); }

inline std::string make_torch_file(const std::string& pickle, const Members& storages,
                                   ZipOptions options = {}) {
  Members members{{"m/data.pkl", pickle}, {"m/byteorder", "little"}};
  for (const auto& [key, content] : storages) members.emplace_back("m/data/" + key, content);
  return make_zip(members, options);
}

}  // namespace dehvf::test
