// safetensors files: a reader that believes nothing unchecked and hands out copies, and a writer whose files
// come out as other writers' do.
#pragma once

#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/io/random_file.h"
#include "core/tensor.h"
#include "models/safetensors_header.h"

namespace dehvf {

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

class SafetensorsFile {
 public:
  /// Reads and checks the header; throws IoError naming the path and the rule that is broken.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_.path(); }
  const std::vector<SafetensorsInfo>& tensors() const {
    return header_.tensors;
  }  // in the order of their data
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  std::vector<std::string> names() const;  // in the order of their data

  bool contains(std::string_view name) const;
  /// The next three throw IoError for an absent name; with shape() and dtype() also where rank or type do not
  /// exist here.
  const SafetensorsInfo& info(std::string_view name) const;
  Shape shape(std::string_view name) const;
  DType dtype(std::string_view name) const;
  /// A CPU tensor with bytes of its own; throws as shape(), dtype() and RandomFile::read_at() do.
  Tensor load(std::string_view name) const;
  /// Copies bytes of one tensor, from `offset` inside it on, to `out`.
  void read_bytes(const SafetensorsInfo& info, uint64_t offset, std::span<std::byte> out) const;

 private:
  std::string where(const SafetensorsInfo& info) const;

  RandomFile file_;
  uint64_t data_start_ = 0;
  SafetensorsHeader header_;
  std::unordered_map<std::string_view, size_t> index_;  // views of the names in header_
};

/// Writes `tensors` (any device) atomically: largest elements first, then by name, header padded to 8 bytes.
/// Throws IoError for a name given twice, "__metadata__", or one that is not UTF-8.
void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata = {});

/// All tensors of a file, by name.
std::map<std::string, Tensor> load_safetensors(const std::filesystem::path& path);

}  // namespace dehvf
