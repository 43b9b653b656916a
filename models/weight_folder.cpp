#include "models/weight_folder.h"

#include <algorithm>
#include <array>
#include <set>

#include <xxhash.h>

#include "core/io/file.h"
#include "core/io/json.h"
#include "models/llama_config.h"
#include "models/meta_layout.h"

namespace dehvf {
namespace {

constexpr size_t kMaxShards = 4096;

uint64_t stored_bytes(const SafetensorsFile& file, const std::string& name) {
  const auto& info = file.info(name);
  return info.end - info.begin;
}

// What is left of the storage from the tensor's first element on, at most the tensor's size.
uint64_t stored_bytes(const TorchFile& file, const std::string& name) {
  const auto& info = file.info(name);
  uint64_t count = 1;
  for (int64_t size : info.shape) count *= uint64_t(size);
  if (count == 0) return 0;
  return std::min(count, info.storage_count - info.offset) * size_of(info.dtype);
}

std::string kind_of(const SafetensorsFile& file, const std::string& name) { return file.info(name).dtype; }
std::string kind_of(const TorchFile& file, const std::string& name) {
  return std::string(safetensors_name_of(file.dtype(name)));
}

// A shard's name as an index gives it must not lead out of the folder.
void check_shard_name(const std::string& name, const std::filesystem::path& index) {
  const bool plain = !name.empty() && name != "." && name != ".." &&
                     name.find_first_of(std::string_view("/\\\0", 3)) == name.npos;
  require<IoError>(plain, index.string(), ": shard '", printable(name),
                   "': wanted the plain name of a file beside it");
}

std::string joined(const std::vector<std::string>& names, size_t limit) {
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), limit); ++i) text += (i ? ", " : "") + printable(names[i]);
  return names.size() > limit ? concat(text, " and ", names.size() - limit, " more") : text;
}

bool is_there(const std::filesystem::path& path) {
  std::error_code ignored;  // what cannot be looked at is reported as absent
  return std::filesystem::exists(path, ignored);
}

bool is_torch(const std::filesystem::path& path) {
  const RandomFile file(path);
  std::array<char, 2> head{};
  if (file.size() >= head.size()) file.read_at(0, head.data(), head.size());
  return head == std::array{'P', 'K'} || head == std::array{'\x80', '\x02'};
}

}  // namespace

WeightFolder::WeightFolder(const std::filesystem::path& path) : path_(path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    open_folder();
  else
    add_unlisted({open(path)});
}

void WeightFolder::open_folder() {
  for (const std::string name : {"model.safetensors", "pytorch_model.bin"}) {
    const std::string index = name + ".index.json";
    if (is_there(path_ / name)) return add_unlisted({open(path_ / name)});
    if (is_there(path_ / index)) return open_index(path_ / index);
  }
  require<IoError>(is_there(path_ / "consolidated.00.pth"), path_.string(),
                   ": wanted model.safetensors, pytorch_model.bin (or the .index.json of either) or "
                   "consolidated.00.pth in this folder, found none");
  open_meta();
}

size_t WeightFolder::open(const std::filesystem::path& file) {
  if (is_torch(file))
    sources_.emplace_back(std::in_place_type<TorchFile>, file);
  else
    sources_.emplace_back(std::in_place_type<SafetensorsFile>, file);
  return sources_.size() - 1;
}

// Adds what no index has named yet.
void WeightFolder::add_unlisted(const std::vector<size_t>& sources) {
  for (size_t source : sources)
    for (auto& name : std::visit([](const auto& file) { return file.names(); }, sources_[source])) {
      Entry entry;
      entry.parts = {{source, name}};
      entries_.emplace(std::move(name), std::move(entry));
    }
}

void WeightFolder::open_index(const std::filesystem::path& index) {
  const Json json = read_json(index, kSafetensorsHeaderLimit);
  const std::string what = index.string();
  require<IoError>(json.is_object() && json.contains("weight_map") && json["weight_map"].is_object(), what,
                   ": wanted an object 'weight_map'");
  std::map<std::string, size_t> shards;
  std::vector<std::string> missing;
  for (const auto& item : json["weight_map"].items()) {
    const std::string& name = item.key();
    const Json& value = item.value();
    require<IoError>(value.is_string(), what, ": weight_map: wanted a file name for tensor '",
                     printable(name), "'");
    const auto shard = value.get<std::string>();
    if (!shards.contains(shard)) {
      check_shard_name(shard, index);
      require<IoError>(shards.size() < kMaxShards, what, ": names more than ", kMaxShards, " shards");
      shards.emplace(shard, open(path_ / shard));
    }
    const size_t source = shards[shard];
    const bool there = std::visit([&](const auto& file) { return file.contains(name); }, sources_[source]);
    if (!there) missing.push_back(name + " (in " + shard + ")");
    Entry entry;
    entry.parts = {{source, name}};
    entries_.emplace(name, std::move(entry));
  }
  require<IoError>(missing.empty(), what, ": its shards do not hold ", joined(missing, 50));
  if (json.contains("metadata") && json["metadata"].is_object() && json["metadata"].contains("total_size")) {
    const Json& claimed = json["metadata"]["total_size"];
    const uint64_t total = listed_bytes();
    if (!claimed.is_number() || claimed.get<double>() != double(total))
      notes_.push_back(concat(what, ": says total_size ", printable(claimed.dump(), 60),
                              ", its tensors have ", total, " bytes"));
  }
  const size_t listed = entries_.size();
  std::vector<size_t> sources;
  for (const auto& [shard, source] : shards) sources.push_back(source);
  add_unlisted(sources);
  if (entries_.size() > listed)
    notes_.push_back(
        concat(what, ": its shards hold ", entries_.size() - listed, " tensors that it does not list"));
}

uint64_t WeightFolder::listed_bytes() const {
  uint64_t total = 0;
  for (const auto& [name, entry] : entries_) {
    const Part& part = entry.parts[0];
    total +=
        std::visit([&](const auto& file) { return stored_bytes(file, part.name); }, sources_[part.source]);
  }
  return total;
}

void WeightFolder::open_meta() {
  require<IoError>(is_there(path_ / "params.json"), path_.string(),
                   ": consolidated.00.pth wants params.json beside it");
  const LlamaConfig config = read_llama_config(path_, notes_);
  std::vector<size_t> shards;
  for (int i = 0; i < 9; ++i)
    if (const auto file = path_ / concat("consolidated.0", i, ".pth"); is_there(file)) {
      require<IoError>(shards.size() == size_t(i), file.string(), ": the part before it is missing");
      shards.push_back(open(file));
    }
  require<IoError>(shards.size() <= 8, path_.string(), ": wanted at most 8 consolidated parts");
  std::vector<std::string> ignored;
  for (const auto& name : std::visit([](const auto& file) { return file.names(); }, sources_[shards[0]])) {
    const auto known = meta_tensor(name);
    if (!known) {
      ignored.push_back(name);
      continue;
    }
    Entry entry;
    entry.axis = known->axis.value_or(0);
    for (size_t i = 0; i < (known->axis ? shards.size() : 1); ++i) entry.parts.push_back({shards[i], name});
    if (known->rotary != MetaTensor::Rotary::none)
      entry.rotary_heads = known->rotary == MetaTensor::Rotary::query ? config.heads : config.kv_heads;
    // The third generation splits the embedding's rows: then each part is as wide as the model.
    if (name == "tok_embeddings.weight" && part_shape(entry.parts[0]).last() == config.width) entry.axis = 0;
    check_parts(name, entry);
    entries_.emplace(known->name, std::move(entry));
  }
  if (!ignored.empty()) notes_.push_back(concat(path_.string(), ": ignored ", joined(ignored, 8)));
}

// Parts of one tensor agree in dtype and in every axis but the joined one.
void WeightFolder::check_parts(const std::string& name, const Entry& entry) const {
  const Shape first = part_shape(entry.parts[0]);
  require<IoError>(first.rank() > entry.axis, path_.string(), ": tensor '", printable(name), "' has shape ",
                   first, ", wanted at least ", entry.axis + 1, " axes");
  int64_t rows = 0;
  for (const Part& part : entry.parts) {
    const auto dtype = [&](const Part& p) {
      return std::visit([&](const auto& file) { return file.dtype(p.name); }, sources_[p.source]);
    };
    const Shape shape = part_shape(part);
    require<IoError>(shape.rank() == first.rank() && shape.with(entry.axis, 0) == first.with(entry.axis, 0) &&
                         dtype(part) == dtype(entry.parts[0]),
                     path_.string(), ": tensor '", printable(name), "': its parts ", first, " and ", shape,
                     " do not fit together");
    rows += shape[0];
  }
  require<IoError>(entry.rotary_heads == 0 || rows % (2 * entry.rotary_heads) == 0, path_.string(),
                   ": tensor '", printable(name), "': ", rows, " rows do not hold ", entry.rotary_heads,
                   " heads of even size");
}

std::vector<std::string> WeightFolder::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

const WeightFolder::Entry& WeightFolder::entry(std::string_view name) const {
  const auto found = entries_.find(name);
  require<IoError>(found != entries_.end(), path_.string(), ": has no tensor '", printable(name), "'");
  return found->second;
}

Shape WeightFolder::part_shape(const Part& part) const {
  return std::visit([&](const auto& file) { return file.shape(part.name); }, sources_[part.source]);
}

Shape WeightFolder::shape(std::string_view name) const {
  const Entry& wanted = entry(name);
  const Shape first = part_shape(wanted.parts[0]);
  if (wanted.parts.size() == 1) return first;
  int64_t size = 0;
  for (const Part& part : wanted.parts) size += part_shape(part)[wanted.axis];
  return first.with(wanted.axis, size);
}

DType WeightFolder::dtype(std::string_view name) const {
  const Part& part = entry(name).parts[0];
  return std::visit([&](const auto& file) { return file.dtype(part.name); }, sources_[part.source]);
}

Tensor WeightFolder::load(std::string_view name) const {
  const Entry& wanted = entry(name);
  const Part& first = wanted.parts[0];
  const Tensor tensor =
      wanted.parts.size() == 1
          ? std::visit([&](const auto& file) { return file.load(first.name); }, sources_[first.source])
          : join(wanted, shape(name), dtype(name));
  return wanted.rotary_heads > 0 ? permute_rotary_rows(tensor, wanted.rotary_heads) : tensor;
}

// Along axis a, rows of the outer axes take turns from each part.
Tensor WeightFolder::join(const Entry& entry, const Shape& shape, DType dtype) const {
  Tensor whole(shape, dtype);
  int64_t outer = 1;
  for (int axis = 0; axis < entry.axis; ++axis) outer *= shape[axis];
  if (outer == 0) return whole;
  const size_t stride = whole.bytes() / size_t(outer);
  auto* to = static_cast<std::byte*>(whole.raw());
  for (const Part& part : entry.parts) {
    const Tensor piece =
        std::visit([&](const auto& file) { return file.load(part.name); }, sources_[part.source]);
    const size_t run = piece.bytes() / size_t(outer);
    const auto* from = static_cast<const std::byte*>(piece.raw());
    for (int64_t row = 0; row < outer; ++row)
      std::memcpy(to + size_t(row) * stride, from + size_t(row) * run, run);
    to += run;
  }
  return whole;
}

std::string WeightFolder::fingerprint() const {
  constexpr uint64_t kSample = 4096;
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), &XXH3_freeState);
  XXH3_64bits_reset(state.get());
  const auto add = [&](const void* data, size_t bytes) { XXH3_64bits_update(state.get(), data, bytes); };
  std::vector<std::byte> sample;
  for (const auto& named : entries_)
    for (const Part& part : named.second.parts)
      std::visit(
          [&](const auto& file) {
            const auto& info = file.info(part.name);
            std::string text = concat(named.first, '\0', kind_of(file, part.name));
            for (int64_t size : info.shape) text += concat(' ', size);
            add(text.data(), text.size() + 1);
            const uint64_t bytes = stored_bytes(file, part.name), length = std::min(bytes, kSample);
            sample.resize(size_t(length));
            for (uint64_t at : std::set<uint64_t>{0, (bytes - length) / 2, bytes - length}) {
              file.read_bytes(info, at, sample);
              add(sample.data(), sample.size());
            }
          },
          sources_[part.source]);
  constexpr std::string_view kHex = "0123456789abcdef";
  const uint64_t hash = XXH3_64bits_digest(state.get());
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) text += kHex[hash >> shift & 15];
  return text;
}

std::vector<std::string> check_tensors(const WeightFolder& weights,
                                       std::span<const ExpectedTensor> expected) {
  std::vector<std::string> missing, wrong, unused;
  std::set<std::string> needed;
  for (const auto& [name, shape] : expected) {
    needed.insert(name);
    if (!weights.contains(name))
      missing.push_back(name);
    else if (weights.shape(name) != shape)
      wrong.push_back(concat(name, " ", weights.shape(name), ", wanted ", shape));
  }
  for (auto& name : weights.names())
    if (!needed.contains(name)) unused.push_back(std::move(name));
  if (!missing.empty() || !wrong.empty())
    fail<IoError>(weights.path().string(), ": ", missing.size(), " tensors are missing",
                  missing.empty() ? "" : ": " + joined(missing, 1000), "; ", wrong.size(),
                  " have another shape", wrong.empty() ? "" : ": " + joined(wrong, 1000), "; ", unused.size(),
                  " are not known", unused.empty() ? "" : ": " + joined(unused, 50));
  if (unused.empty()) return {};
  return {concat(weights.path().string(), ": ", unused.size(), " tensors are not used: ", joined(unused, 8))};
}

}  // namespace dehvf
