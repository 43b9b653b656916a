// A .pth or .bin checkpoint as torch.save writes it: a zip archive of a pickled dictionary and its storages.
#pragma once

#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/tensor.h"
#include "models/pickle.h"
#include "models/zip_archive.h"

namespace dehvf {

class TorchFile {
 public:
  /// Reads the dictionary and checks every tensor against its storage; nothing in the file is executed.
  /// Throws IoError, for files of torch before 1.6 (no zip archive) with advice.
  explicit TorchFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return archive_.path(); }
  const std::vector<TorchTensor>& tensors() const { return tensors_; }  // in the dictionary's order
  std::vector<std::string> names() const;  // "model.layers.0.weight": nested keys joined

  /// What parse_torch_arguments() finds in it.
  std::map<std::string, std::string> arguments() const;

  bool contains(std::string_view name) const;
  /// These throw IoError for an absent name, shape() and load() also above the rank that a Shape holds.
  const TorchTensor& info(std::string_view name) const;
  Shape shape(std::string_view name) const;
  DType dtype(std::string_view name) const { return info(name).dtype; }
  Tensor load(std::string_view name) const;  // a contiguous CPU copy, whatever the strides
  /// Copies bytes of the storage behind a tensor, from `offset` after the tensor's first element on, to
  /// `out`.
  void read_bytes(const TorchTensor& info, uint64_t offset, std::span<std::byte> out) const;

 private:
  ZipArchive archive_;
  std::string folder_;  // the archive's one top folder, with its slash
  std::vector<TorchTensor> tensors_;
  std::unordered_map<std::string_view, size_t> index_;  // views of the names in tensors_
};

}  // namespace dehvf
