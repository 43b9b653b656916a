#include "models/torch_file.h"

#include <array>

#include "core/io/file.h"

namespace dehvf {
namespace {

ZipArchive open_archive(const std::filesystem::path& path) {
  const RandomFile file(path);
  std::array<char, 4> head{};
  if (file.size() >= head.size()) file.read_at(0, head.data(), head.size());
  const std::string_view start(head.data(), head.size());
  require<IoError>(start == "PK\x03\x04", path.string(), ": not a zip archive",
                   start[0] == '\x80'
                       ? ": it was saved by torch before 1.6 or with its legacy serialisation; load it "
                         "once with a newer torch and save it again, best as safetensors"
                       : ", as a file of torch.save would be");
  return ZipArchive(path);
}

std::string top_folder(const ZipArchive& archive) {
  for (const auto& [name, member] : archive.members()) {
    const size_t slash = name.find('/');
    if (slash != name.npos && std::string_view(name).substr(slash) == "/data.pkl")
      return name.substr(0, slash + 1);
  }
  fail<IoError>(archive.path().string(), ": a zip archive without data.pkl is no file of torch.save");
}

bool contiguous(const TorchTensor& tensor) {
  int64_t expected = 1;
  for (size_t i = tensor.shape.size(); i-- > 0;) {
    if (tensor.shape[i] != 1 && tensor.stride[i] != expected) return false;
    expected *= tensor.shape[i];
  }
  return true;
}

// Copies the elements of a strided view, whose first one stands at `from`, into row-major order.
void gather(const TorchTensor& view, const std::byte* from, size_t element, std::byte* to, int64_t count) {
  std::vector<int64_t> index(view.shape.size(), 0);
  int64_t at = 0;
  for (int64_t i = 0; i < count; ++i, to += element) {
    std::memcpy(to, from + size_t(at) * element, element);
    for (size_t axis = index.size(); axis-- > 0;) {
      at += view.stride[axis];
      if (++index[axis] < view.shape[axis]) break;
      at -= view.stride[axis] * view.shape[axis];
      index[axis] = 0;
    }
  }
}

}  // namespace

TorchFile::TorchFile(const std::filesystem::path& path)
    : archive_(open_archive(path)), folder_(top_folder(archive_)) {
  const auto& members = archive_.members();
  if (members.contains(folder_ + "byteorder"))
    require<IoError>(archive_.read(folder_ + "byteorder", 16) == "little", path.string(),
                     ": its numbers are big-endian, wanted little-endian");
  tensors_ = parse_torch_pickle(archive_.read(folder_ + "data.pkl", kPickleLimit), path.string());
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const auto& tensor = tensors_[i];
    const auto found = members.find(folder_ + "data/" + tensor.storage);
    const uint64_t wanted = tensor.storage_count * size_of(tensor.dtype);
    require<IoError>(found != members.end() && found->second.bytes >= wanted, path.string(), ": tensor '",
                     printable(tensor.name), "': wanted a storage of ", wanted, " bytes, found ",
                     found == members.end() ? 0 : found->second.bytes);
    index_.emplace(tensor.name, i);
  }
}

std::vector<std::string> TorchFile::names() const {
  std::vector<std::string> names;
  for (const auto& tensor : tensors_) names.push_back(tensor.name);
  return names;
}

std::map<std::string, std::string> TorchFile::arguments() const {
  return parse_torch_arguments(archive_.read(folder_ + "data.pkl", kPickleLimit), path().string());
}

bool TorchFile::contains(std::string_view name) const { return index_.contains(name); }

const TorchTensor& TorchFile::info(std::string_view name) const {
  const auto found = index_.find(name);
  require<IoError>(found != index_.end(), path().string(), ": has no tensor '", printable(name), "'");
  return tensors_[found->second];
}

Shape TorchFile::shape(std::string_view name) const {
  const auto& tensor = info(name);
  require<IoError>(tensor.shape.size() <= size_t(Shape::kMaxRank), path().string(), ": tensor '",
                   printable(name), "': has ", tensor.shape.size(), " axes, at most ", Shape::kMaxRank,
                   " can be loaded");
  return Shape(std::span(tensor.shape));
}

Tensor TorchFile::load(std::string_view name) const {
  const TorchTensor& view = info(name);
  Tensor tensor(shape(name), view.dtype);
  auto* const to = static_cast<std::byte*>(tensor.raw());
  if (tensor.count() == 0) return tensor;
  if (contiguous(view)) {
    read_bytes(view, 0, {to, tensor.bytes()});
    return tensor;
  }
  int64_t last = 0;
  for (size_t i = 0; i < view.shape.size(); ++i) last += (view.shape[i] - 1) * view.stride[i];
  const size_t element = size_of(view.dtype);
  std::vector<std::byte> spanned((size_t(last) + 1) * element);
  read_bytes(view, 0, spanned);
  gather(view, spanned.data(), element, to, tensor.count());
  return tensor;
}

void TorchFile::read_bytes(const TorchTensor& info, uint64_t offset, std::span<std::byte> out) const {
  archive_.read_at(folder_ + "data/" + info.storage, info.offset * size_of(info.dtype) + offset, out.data(),
                   out.size());
}

}  // namespace dehvf
