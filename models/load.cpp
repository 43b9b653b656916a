#include "models/load.h"

#include <cmath>

#include "core/io/file.h"
#include "core/ops/elementwise.h"

namespace dehvf {
namespace {

constexpr std::string_view kEmbedding = "model.embed_tokens.weight", kTower = "vision_model.",
                           kClassToken = "embeddings.class_embedding",
                           kPatches = "vision_model.embeddings.patch_embedding.weight";

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

// What `model` needs under the folder's names and in the folder's shapes.
std::vector<ExpectedTensor> expected_of(Module& model, const auto& name_in, const auto& shape_in) {
  std::vector<ExpectedTensor> expected;
  for (const auto& [path, parameter] : parameters_of(model))
    expected.push_back({name_in(path), shape_in(path, parameter->shape())});
  return expected;
}

void load_into(Module& model, const WeightFolder& weights, DType dtype, std::vector<std::string>& notes,
               const auto& name_in, const auto& shape_in) {
  const auto unused = check_tensors(weights, expected_of(model, name_in, shape_in));
  notes.insert(notes.end(), weights.notes().begin(), weights.notes().end());
  notes.insert(notes.end(), unused.begin(), unused.end());
  Converter convert(dtype, weights.path().string());
  const PurposeScope scope(Purpose::weights);
  load_parameters(
      model,
      [&](const std::string& path, const Shape& shape) {
        const std::string name = name_in(path);
        return convert(weights.load(name), name).reshape(shape);
      },
      /*trainable=*/false);
  convert.report(notes);
}

DType stored_dtype(const WeightFolder& weights, std::string_view name) {
  return weights.contains(name) ? weights.dtype(name) : DType::f32;
}

// Files hold the patch embedding as the convolution that it is.
Shape shape_in_files(const ClipConfig& config, std::string_view path, const Shape& shape) {
  return path == kPatches ? Shape{config.width, 3, config.patch, config.patch} : shape;
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
      [](const std::string&, const Shape& shape) { return shape; });
}

void load_weights(ClipVit& model, const WeightFolder& weights, std::optional<DType> dtype,
                  std::vector<std::string>& notes) {
  const bool bare = weights.contains(kClassToken);  // some writers leave the prefix out
  const auto name_in = [&](const std::string& path) { return bare ? path.substr(kTower.size()) : path; };
  load_into(model, weights, dtype.value_or(stored_dtype(weights, name_in(concat(kTower, kClassToken)))),
            notes, name_in, [&](const std::string& path, const Shape& shape) {
              return shape_in_files(model.config(), path, shape);
            });
}

Loaded<Llama> load_llama(const std::filesystem::path& folder, std::optional<DType> dtype) {
  Loaded<Llama> loaded;
  const WeightFolder weights(folder);
  loaded.model = std::make_unique<Llama>(llama_config_of(weights, loaded.notes));
  load_weights(*loaded.model, weights, dtype, loaded.notes);
  return loaded;
}

Loaded<ClipVit> load_tower(const std::filesystem::path& folder, std::optional<DType> dtype) {
  Loaded<ClipVit> loaded;
  const WeightFolder weights(folder);
  loaded.model = std::make_unique<ClipVit>(read_clip_config(folder));
  load_weights(*loaded.model, weights, dtype, loaded.notes);
  return loaded;
}

void save_llama(const std::filesystem::path& folder, Llama& model, DType dtype) {
  save(folder, model, dtype, [](const std::string&, const Shape& shape) { return shape; });
  LlamaConfig config = model.config();
  config.dtype = name_of(dtype);
  write_llama_config(folder, config);
}

void save_tower(const std::filesystem::path& folder, ClipVit& model, DType dtype) {
  save(folder, model, dtype, [&](const std::string& path, const Shape& shape) {
    return shape_in_files(model.config(), path, shape);
  });
  write_clip_config(folder, model.config());
}

}  // namespace dehvf
