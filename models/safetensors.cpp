#include "models/safetensors.h"

#include <algorithm>
#include <bit>

#include "core/io/file.h"
#include "core/io/json.h"

namespace dehvf {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

std::string read_header(const RandomFile& file) {
  const std::string where = file.path().string();
  require<IoError>(file.size() >= 8, where, ": wanted at least 8 bytes of safetensors, found ", file.size());
  uint64_t length = 0;
  file.read_at(0, &length, 8);
  require<IoError>(length <= kSafetensorsHeaderLimit, where, ": claims a header of ", length,
                   " bytes, wanted at most ", kSafetensorsHeaderLimit);
  require<IoError>(length <= file.size() - 8, where, ": claims a header of ", length, " bytes in a file of ",
                   file.size());
  std::string text(size_t(length), '\0');
  file.read_at(8, text.data(), text.size());
  return text;
}

std::string quoted(const std::string& text, const std::filesystem::path& path) {
  try {
    return Json(text).dump();
  } catch (const Json::exception&) {
    fail<IoError>(path.string(), ": '", printable(text), "' is not UTF-8");
  }
}

// The tensors in the order of their data.
NamedTensors sorted(NamedTensors tensors, const std::filesystem::path& path) {
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto& [name, tensor] = tensors[i];
    require<IoError>(tensor.defined(), path.string(), ": tensor '", printable(name), "' is empty");
    require<IoError>(name != "__metadata__", path.string(), ": no tensor may be named __metadata__");
    require<IoError>(i == 0 || tensors[i - 1].first != name, path.string(), ": tensor '", printable(name),
                     "' is given twice");
  }
  std::stable_sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    return safetensors_rank_of(a.second.dtype()) < safetensors_rank_of(b.second.dtype());
  });
  return tensors;
}

std::string header_text(const NamedTensors& tensors, const std::map<std::string, std::string>& metadata,
                        const std::filesystem::path& path) {
  std::string text = "{";
  if (!metadata.empty()) {
    for (const auto& [key, value] : metadata)
      text +=
          concat(text.size() == 1 ? "\"__metadata__\":{" : ",", quoted(key, path), ":", quoted(value, path));
    text += "}";
  }
  uint64_t begin = 0;
  for (const auto& [name, tensor] : tensors) {
    text += concat(text.size() == 1 ? "" : ",", quoted(name, path), ":{\"dtype\":\"",
                   safetensors_name_of(tensor.dtype()), "\",\"shape\":[");
    for (int axis = 0; axis < tensor.shape().rank(); ++axis)
      text += concat(axis ? "," : "", tensor.size(axis));
    text += concat("],\"data_offsets\":[", begin, ",", begin + tensor.bytes(), "]}");
    begin += tensor.bytes();
  }
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(path) {
  const std::string text = read_header(file_);
  data_start_ = 8 + text.size();
  header_ = parse_safetensors_header(text, file_.size() - data_start_, path.string());
  for (size_t i = 0; i < header_.tensors.size(); ++i) index_.emplace(header_.tensors[i].name, i);
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& info : header_.tensors) names.push_back(info.name);
  return names;
}

bool SafetensorsFile::contains(std::string_view name) const { return index_.contains(name); }

const SafetensorsInfo& SafetensorsFile::info(std::string_view name) const {
  const auto found = index_.find(name);
  require<IoError>(found != index_.end(), path().string(), ": has no tensor '", printable(name), "'");
  return header_.tensors[found->second];
}

std::string SafetensorsFile::where(const SafetensorsInfo& info) const {
  return concat(path().string(), ": tensor '", printable(info.name), "'");
}

Shape SafetensorsFile::shape(std::string_view name) const {
  const auto& entry = info(name);
  if (entry.shape.size() > size_t(Shape::kMaxRank))
    fail<IoError>(where(entry), ": has ", entry.shape.size(), " axes, at most ", Shape::kMaxRank,
                  " can be loaded");
  return Shape(std::span(entry.shape));
}

DType SafetensorsFile::dtype(std::string_view name) const {
  const auto& entry = info(name);
  const auto dtype = dtype_of_safetensors(entry.dtype);
  if (!dtype)
    fail<IoError>(where(entry), ": elements of ", printable(entry.dtype),
                  " cannot be loaded, only F64 F32 BF16 F16 F8_E4M3 I64 I32 U8 BOOL");
  return *dtype;
}

Tensor SafetensorsFile::load(std::string_view name) const {
  Tensor tensor(shape(name), dtype(name));
  read_bytes(info(name), 0, {static_cast<std::byte*>(tensor.raw()), tensor.bytes()});
  return tensor;
}

void SafetensorsFile::read_bytes(const SafetensorsInfo& info, uint64_t offset,
                                 std::span<std::byte> out) const {
  require<IoError>(offset <= info.end - info.begin && out.size() <= info.end - info.begin - offset,
                   where(info), ": has ", info.end - info.begin, " bytes, wanted ", out.size(), " at ",
                   offset);
  file_.read_at(data_start_ + info.begin + offset, out.data(), out.size());
}

void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const NamedTensors ordered = sorted(tensors, path);
  const std::string text = header_text(ordered, metadata, path);
  require<IoError>(text.size() <= kSafetensorsHeaderLimit, path.string(), ": needs a header of ", text.size(),
                   " bytes, the format allows ", kSafetensorsHeaderLimit);
  const uint64_t length = text.size();
  AtomicFile file(path);
  file.write(&length, sizeof length);
  file.write(text);
  for (const auto& [name, tensor] : ordered) {
    const Tensor local = tensor.to(kCpu);
    file.write(local.raw(), local.bytes());
  }
  file.commit();
}

std::map<std::string, Tensor> load_safetensors(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  std::map<std::string, Tensor> tensors;
  for (const auto& info : file.tensors()) tensors.emplace(info.name, file.load(info.name));
  return tensors;
}

}  // namespace dehvf
