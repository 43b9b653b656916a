// The JSON header of a safetensors file, parsed in one pass of bounded memory and checked against every rule
// of the format before any of it is believed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/dtype.h"

namespace dehvf {

struct SafetensorsInfo {
  std::string name;
  std::string dtype;            // as the file spells it: "F32", "BF16", ...; may be one that cannot be loaded
  std::vector<int64_t> shape;   // rank at most 8
  uint64_t begin = 0, end = 0;  // bytes, counted from the start of the data
};

struct SafetensorsHeader {
  std::vector<SafetensorsInfo> tensors;  // in the order of their data
  std::map<std::string, std::string> metadata;
};

constexpr uint64_t kSafetensorsHeaderLimit = 100'000'000;  // bytes, set by the format
constexpr size_t kSafetensorsEntryLimit = 1'000'000;

/// Parses `text` as the header in front of `data_bytes` bytes of data. Throws IoError "<what>: ..." unless:
/// it is an object of unique keys; offsets cover the data without hole or overlap; shape and dtype give the
/// size (not checked for dtypes unknown to the format); metadata maps strings to strings.
SafetensorsHeader parse_safetensors_header(std::string_view text, uint64_t data_bytes, std::string_view what);

/// Where `dtype` stands in the order in which writers lay tensors out: larger elements first.
size_t safetensors_rank_of(DType dtype);

/// Our dtype behind the file's, none where there is no such dtype here. BOOL is u8.
std::optional<DType> dtype_of_safetensors(std::string_view dtype);
std::string_view safetensors_name_of(DType dtype);

}  // namespace dehvf
