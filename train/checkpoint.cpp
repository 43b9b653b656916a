#include "train/checkpoint.h"

#include <algorithm>

#include "core/io/file.h"
#include "core/io/json.h"
#include "train/named_tensors.h"

namespace dehvf {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormat = "dehvf checkpoint 1", kStem = "step_", kEnding = ".safetensors";
constexpr size_t kDigits = 9, kKept = 2;

NamedTensors tensors_of(const FlatParameters& flat) {
  NamedTensors tensors;
  const AdamWBuffers& buffers = flat.buffers();
  for (const auto& range : flat.ranges()) {
    tensors.emplace_back("value." + range.path, flat.view(buffers.value, range));
    tensors.emplace_back("moment1." + range.path, flat.view(buffers.first_moment, range));
    tensors.emplace_back("moment2." + range.path, flat.view(buffers.second_moment, range));
  }
  std::ranges::sort(tensors, {}, &NamedTensors::value_type::first);
  return tensors;
}

std::string text_of(const TrainState& state) {
  return Json{{"step", state.counters.steps},       {"cursor", state.cursor},
              {"seed", std::to_string(state.seed)},  // all 64 bits
              {"config_hash", state.config_hash},   {"updates", state.counters.updates},
              {"skipped", state.counters.skipped},  {"skipped_in_a_row", state.counters.skipped_in_a_row}}
      .dump();
}

TrainState state_of(const std::string& text, const std::string& what) {
  const Json json = parse_json(text, what);
  TrainState state;
  state.counters.steps = json_get<int64_t>(json, "step", what);
  state.cursor = json_get<std::string>(json, "cursor", what);
  state.seed = std::strtoull(json_get<std::string>(json, "seed", what).c_str(), nullptr, 10);
  state.config_hash = json_get<std::string>(json, "config_hash", what);
  state.counters.updates = json_get<int64_t>(json, "updates", what);
  state.counters.skipped = json_get<int64_t>(json, "skipped", what);
  state.counters.skipped_in_a_row = json_get<int64_t>(json, "skipped_in_a_row", what);
  return state;
}

std::string file_name(int64_t step) {
  const std::string number = std::to_string(step);
  return concat(kStem, std::string(kDigits - std::min(kDigits, number.size()), '0'), number, kEnding);
}

// Names of our files start with step_<digits>.safetensors; a temporary one goes on with .tmp..
struct Found {
  int64_t step;
  fs::path path;
  bool temporary;
};

std::vector<Found> files_in(const fs::path& folder) {
  std::vector<Found> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kStem)) continue;
    const size_t end = name.find_first_not_of("0123456789", kStem.size());
    if (end == name.npos || end < kStem.size() + kDigits || end > kStem.size() + 18) continue;
    if (name.compare(end, kEnding.size(), kEnding) != 0) continue;
    const std::string rest = name.substr(end + kEnding.size());
    const bool temporary = rest.starts_with(".tmp.");  // as AtomicFile names them
    if (!rest.empty() && !temporary) continue;
    found.push_back({std::stoll(name.substr(kStem.size(), end - kStem.size())), entry.path(), temporary});
  }
  require<IoError>(!error || !fs::exists(folder), folder.string(), ": cannot list: ", error.message());
  std::ranges::sort(found, std::greater(), &Found::step);
  return found;
}

}  // namespace

void save_checkpoint(const fs::path& folder, const FlatParameters& flat, const TrainState& state) {
  const NamedTensors tensors = tensors_of(flat);
  const std::string text = text_of(state);
  std::error_code error;
  fs::create_directories(folder, error);
  require<IoError>(!error, folder.string(), ": cannot create the folder: ", error.message());
  write_safetensors(
      folder / file_name(state.counters.steps), tensors,
      {{"format", std::string(kFormat)}, {"state", text}, {"checksum", checksum(text, tensors)}});
  size_t kept = 0;
  for (const Found& file : files_in(folder))
    if (file.temporary || file.step > state.counters.steps || ++kept > kKept) fs::remove(file.path, error);
}

TrainState load_checkpoint(const fs::path& path, const FlatParameters& flat) {
  const SafetensorsFile file(path);
  const auto entry = [&](const char* key) {
    const auto found = file.metadata().find(key);
    require<IoError>(found != file.metadata().end(), path.string(),
                     ": is no checkpoint: its metadata have no '", key, "'");
    return found->second;
  };
  require<IoError>(entry("format") == kFormat, path.string(), ": wanted format '", kFormat, "', found '",
                   printable(entry("format")), "'");
  const std::string text = entry("state");
  const NamedTensors loaded = load_all(file);
  require<IoError>(checksum(text, loaded) == entry("checksum"), path.string(),
                   ": is damaged: its checksum does not match its contents");
  const NamedTensors wanted = tensors_of(flat);
  NamedShapes shapes;
  for (const auto& [name, tensor] : wanted) shapes.emplace_back(name, tensor.shape());
  require_same_tensors(path.string(), loaded, shapes, flat.buffers().value.dtype());
  TrainState state = state_of(text, path.string());
  for (size_t i = 0; i < wanted.size(); ++i) copy_into(loaded[i].second, wanted[i].second);
  return state;
}

std::vector<fs::path> list_checkpoints(const fs::path& folder) {
  std::vector<fs::path> paths;
  for (const Found& file : files_in(folder))
    if (!file.temporary) paths.push_back(file.path);
  return paths;
}

std::optional<TrainState> load_latest_checkpoint(const fs::path& folder, const FlatParameters& flat,
                                                 std::vector<std::string>& notes) {
  const auto paths = list_checkpoints(folder);
  for (const fs::path& path : paths) {
    try {
      return load_checkpoint(path, flat);
    } catch (const IoError& error) {
      notes.emplace_back(error.what());
    }
  }
  require<IoError>(paths.empty(), folder.string(),
                   ": no checkpoint in it is whole; the newest: ", notes.empty() ? "" : notes.front());
  return std::nullopt;
}

}  // namespace dehvf
