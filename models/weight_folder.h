// The weights of a model as one set of named tensors, whatever the files look like: safetensors or torch
// archives, single, sharded with an index, or Meta's consolidated parts. Names are Hugging Face's.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/tensor.h"
#include "models/safetensors.h"
#include "models/torch_file.h"

namespace dehvf {

class WeightFolder {
 public:
  /// `path` is a folder (the first of: model.safetensors, model.safetensors.index.json, pytorch_model.bin,
  /// pytorch_model.bin.index.json, consolidated.00.pth with params.json) or one weight file. Reads headers
  /// only. Throws IoError for missing or damaged files.
  explicit WeightFolder(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  std::vector<std::string> names() const;  // sorted
  bool contains(std::string_view name) const { return entries_.contains(name); }
  /// The next three throw IoError for an absent name, or a rank or element type that cannot be held here.
  Shape shape(std::string_view name) const;
  DType dtype(std::string_view name) const;
  Tensor load(std::string_view name) const;  // on the CPU, bytes of its own

  const std::vector<std::string>& notes() const { return notes_; }  // what was ignored or odd, for the user
  /// XXH3 of names, shapes, dtypes and bytes sampled from every tensor, in hex: equal for equal weights in
  /// the same kind of file however they are sharded.
  std::string fingerprint() const;

 private:
  using Source = std::variant<SafetensorsFile, TorchFile>;
  struct Part {
    size_t source;
    std::string name;
  };
  struct Entry {
    std::vector<Part> parts;  // joined along `axis`
    int axis = 0;
    int64_t rotary_heads = 0;  // of a Meta q or k, whose rows are to be permuted; else 0
  };

  size_t open(const std::filesystem::path& file);
  void open_folder();
  void open_index(const std::filesystem::path& index);
  void add_unlisted(const std::vector<size_t>& sources);
  uint64_t listed_bytes() const;
  void open_meta();
  void check_parts(const std::string& name, const Entry& entry) const;
  const Entry& entry(std::string_view name) const;
  Shape part_shape(const Part& part) const;
  Tensor join(const Entry& entry, const Shape& shape, DType dtype) const;

  std::filesystem::path path_;
  std::vector<Source> sources_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::vector<std::string> notes_;
};

struct ExpectedTensor {
  std::string name;
  Shape shape;
};

/// Compares a folder with what a model needs. Throws one IoError that lists every missing and every
/// mis-shaped tensor; otherwise returns notes on tensors that are present and not needed.
std::vector<std::string> check_tensors(const WeightFolder& weights, std::span<const ExpectedTensor> expected);

}  // namespace dehvf
