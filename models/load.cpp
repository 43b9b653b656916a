#include "models/load.h"

#include <cmath>

#include "core/io/file.h"
#include "core/ops/elementwise.h"
#include "models/position_grid.h"

namespace dehvf {
namespace {

constexpr std::string_view kEmbedding = "model.embed_tokens.weight", kTower = "vision_model.";

bool holds_all(DType to, DType from) {
  return to == from || to == DType::f64 || (to == DType::f32 && from != DType::f64);
}

// How many values of `narrow` differ from those of `wide`. Throws IoError where one became infinite.
int64_t count_rounded(const Tensor& wide, const Tensor& narrow, const std::string& what) {
  constexpr int64_t kChunk = 1 << 18;
  const Shape flat{wide.count()};
  int64_t rounded = 0;
  for (int64_t begin = 0; begin < wide.count(); begin += kChunk) {
    const int64_t end = std::min(wide.count(), begin + kChunk);
    const Tensor a = cast(wide.reshape(flat).slice(begin, end), DType::f64);
    const Tensor b = cast(narrow.reshape(flat).slice(begin, end), DType::f64);
    for (int64_t i = 0; i < end - begin; ++i) {
      const double before = a.data<double>()[i], after = b.data<double>()[i];
      require<IoError>(std::isfinite(after) || !std::isfinite(before), what, ": its value ", before,
                       " does not fit ", narrow.dtype(), "; wanted bf16 or f32");
      rounded += after != before && !std::isnan(before);
    }
  }
  return rounded;
}

class Converter {
 public:
  Converter(DType dtype, std::string where) : dtype_(dtype), where_(std::move(where)) {}

  Tensor operator()(const Tensor& tensor, const std::string& name) {
    const std::string what = concat(where_, ": tensor '", printable(name), "'");
    require<IoError>(is_float(tensor.dtype()) && tensor.dtype() != DType::f8e4m3, what, ": elements of ",
                     tensor.dtype(), " are no weights, wanted f32, bf16, f16 or f64");
    values_ += tensor.count();
    if (tensor.dtype() == dtype_) return tensor;
    const Tensor result = cast(tensor, dtype_);
    if (!holds_all(dtype_, tensor.dtype())) rounded_ += count_rounded(tensor, result, what);
    return result;
  }

  void report(std::vector<std::string>& notes) const {
    if (rounded_ == 0) return;
    notes.push_back(
        concat(where_, ": ", rounded_, " of ", values_, " weights were rounded when turned into ", dtype_));
  }

 private:
  DType dtype_;
  std::string where_;
  int64_t values_ = 0, rounded_ = 0;
};

// Everything as it is in the file.
const auto kAsStored = [](const std::string&, Tensor tensor, DType) { return tensor; };

// What `model` needs under the folder's names and in the folder's shapes.
std::vector<ExpectedTensor> expected_of(Module& model, const auto& name_in, const auto& shape_in) {
  std::vector<ExpectedTensor> expected;
  for (const auto& [path, parameter] : parameters_of(model))
    expected.push_back({name_in(path), shape_in(path, parameter->shape())});
  return expected;
}

void load_into(Module& model, const WeightFolder& weights, DType dtype, std::vector<std::string>& notes,
               const auto& name_in, const auto& shape_in, const auto& fitted) {
  const auto unused = check_tensors(weights, expected_of(model, name_in, shape_in));
  notes.insert(notes.end(), weights.notes().begin(), weights.notes().end());
  notes.insert(notes.end(), unused.begin(), unused.end());
  Converter convert(dtype, weights.path().string());
  const PurposeScope scope(Purpose::weights);
  load_parameters(
      model,
      [&](const std::string& path, const Shape& shape) {
        const std::string name = name_in(path);
        return convert(fitted(path, weights.load(name), dtype), name).reshape(shape);
      },
      /*trainable=*/false);
  convert.report(notes);
}

DType stored_dtype(const WeightFolder& weights, std::string_view name) {
  return weights.contains(name) ? weights.dtype(name) : DType::f32;
}

// Files hold the patch embedding as the convolution that it is, and DINOv2's single rows as pictures of one.
Shape shape_in_files(const VisionConfig& config, std::string_view path, const Shape& shape) {
  const TowerNames& names = tower_names(config.family);
  if (path == concat(names.patch, ".weight")) return {config.width, 3, config.patch, config.patch};
  if (config.family != VisionFamily::dinov2) return shape;
  if (path == names.class_token) return {1, 1, config.width};
  if (path == names.registers || path == names.positions) return {1, shape[0], shape[1]};
  return shape;
}

// The same of the files that the tower is read from, whose positions may be for other pictures.
VisionConfig as_stored(VisionConfig config) {
  config.image = config.stored_grid() * config.patch;
  return config;
}

// What folders put before the names of a tower's tensors, or leave out.
std::string prefixed(const WeightFolder& weights, VisionFamily family, const std::string& path) {
  const std::string known(tower_names(family).positions);
  if (weights.contains(known)) return path;
  if (known.starts_with(kTower)) return path.substr(kTower.size());
  for (const char* prefix : {"dinov2.", "dinov2_with_registers."})
    if (weights.contains(prefix + known)) return prefix + path;
  return path;
}

void save(const std::filesystem::path& folder, Module& model, DType dtype, const auto& shape_in) {
  require<ConfigError>(dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::f16, folder.string(),
                       ": weights are saved as f32, bf16 or f16, not as ", dtype);
  Converter convert(dtype, folder.string());
  NamedTensors tensors;
  for (const auto& [path, parameter] : parameters_of(model))
    tensors.emplace_back(
        path, convert(parameter->value().to(kCpu), path).reshape(shape_in(path, parameter->shape())));
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  require<IoError>(!error, folder.string(), ": cannot be made: ", error.message());
  write_safetensors(folder / "model.safetensors", tensors, {{"format", "pt"}});
}

}  // namespace

LlamaConfig llama_config_of(const WeightFolder& weights, std::vector<std::string>& notes) {
  LlamaConfig config = read_llama_config(weights.path(), notes);
  if (weights.contains(kEmbedding) && weights.shape(kEmbedding).rank() == 2)
    match_vocab(config, weights.shape(kEmbedding)[0], notes);
  return config;
}

void load_weights(Llama& model, const WeightFolder& weights, std::optional<DType> dtype,
                  std::vector<std::string>& notes) {
  load_into(
      model, weights, dtype.value_or(stored_dtype(weights, kEmbedding)), notes,
      [](const std::string& path) { return path; },
      [](const std::string&, const Shape& shape) { return shape; }, kAsStored);
}

void load_weights(VisionTower& model, const WeightFolder& weights, std::optional<DType> dtype,
                  std::vector<std::string>& notes) {
  const VisionConfig& config = model.config();
  const std::string_view positions = tower_names(config.family).positions;
  const VisionConfig stored = as_stored(config);
  const auto name_in = [&](const std::string& path) { return prefixed(weights, config.family, path); };
  load_into(
      model, weights, dtype.value_or(stored_dtype(weights, name_in(std::string(positions)))), notes, name_in,
      [&](const std::string& path, const Shape& shape) {
        return shape_in_files(config, path, path == positions ? Shape{stored.tokens(), config.width} : shape);
      },
      [&](const std::string& path, Tensor tensor, DType to) {
        if (path != positions || stored.grid() == config.grid()) return tensor;
        notes.push_back(concat(weights.path().string(), ": position embeddings of ", stored.grid(), " x ",
                               stored.grid(), " patches resampled to ", config.grid(), " x ", config.grid()));
        return cast(resample_positions(cast(tensor, DType::f64), config), to);
      });
}

bool holds_tower(const WeightFolder& weights) {
  for (const VisionFamily family : {VisionFamily::clip, VisionFamily::dinov2})
    if (weights.contains(prefixed(weights, family, std::string(tower_names(family).positions)))) return true;
  return false;
}

Loaded<Llama> load_llama(const std::filesystem::path& folder, std::optional<DType> dtype) {
  Loaded<Llama> loaded;
  const WeightFolder weights(folder);
  loaded.model = std::make_unique<Llama>(llama_config_of(weights, loaded.notes));
  load_weights(*loaded.model, weights, dtype, loaded.notes);
  return loaded;
}

Loaded<VisionTower> load_tower(const std::filesystem::path& folder, std::optional<DType> dtype) {
  Loaded<VisionTower> loaded;
  const WeightFolder weights(folder);
  loaded.model = std::make_unique<VisionTower>(read_vision_config(folder));
  load_weights(*loaded.model, weights, dtype, loaded.notes);
  return loaded;
}

void save_llama(const std::filesystem::path& folder, Llama& model, DType dtype) {
  save(folder, model, dtype, [](const std::string&, const Shape& shape) { return shape; });
  LlamaConfig config = model.config();
  config.dtype = name_of(dtype);
  write_llama_config(folder, config);
}

void save_tower(const std::filesystem::path& folder, VisionTower& model, DType dtype) {
  save(folder, model, dtype, [&](const std::string& path, const Shape& shape) {
    return shape_in_files(model.config(), path, shape);
  });
  write_vision_config(folder, model.config());
}

}  // namespace dehvf
