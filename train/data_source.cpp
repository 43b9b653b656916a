#include "train/data_source.h"

#include "core/io/file.h"

namespace dehvf {
namespace fs = std::filesystem;
namespace {

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

bool surrounded(const std::string& name, std::string_view begin, std::string_view end) {
  return name.size() > begin.size() + end.size() && name.starts_with(begin) && name.ends_with(end);
}

struct Kind {
  const char* title;
  bool (*named)(const std::string& file);
  MakeSource* make;
};

constexpr Kind kKinds[] = {
    {"problems.json (ScienceQA)", [](const std::string& name) { return name == "problems.json"; },
     scienceqa_source},
    {"captions_SPLIT.json (COCO captions)",
     [](const std::string& name) { return surrounded(name, "captions_", ".json"); }, caption_source},
    {"questions_SPLIT.json (VQAv2)",
     [](const std::string& name) {
       return surrounded(name, "questions_", ".json") || surrounded(name, "v2_OpenEnded_", ".json");
     },
     vqa_source},
    {"SPLIT.json (NLVR2)",
     [](const std::string& name) {
       return name == "train.json" || name == "val.json" || name == "dev.json" || name == "test.json" ||
              name == "test1.json";
     },
     pair_source},
};

}  // namespace

std::unique_ptr<DataSource> open_data_source(const fs::path& path, const Tokenizer& tokenizer,
                                             const PromptOptions& prompt) {
  if (is_file(path)) return conversation_source(path, tokenizer, prompt);
  std::error_code ignored;
  require<IoError>(fs::is_directory(path, ignored), printable(path.string(), 200),
                   ": wanted a data set's folder or a file of conversations, found neither");
  std::vector<const Kind*> found;
  std::string wanted, both;
  for (const Kind& kind : kKinds) {
    bool there = false;
    for (const fs::path& folder : {path, path / "annotations", path / "data"})
      for (fs::directory_iterator entry(folder, ignored), end; entry != end; entry.increment(ignored))
        there |= kind.named(entry->path().filename().string());
    wanted += concat(wanted.empty() ? "" : ", ", kind.title);
    if (!there) continue;
    both += concat(found.empty() ? "" : " and ", kind.title);
    found.push_back(&kind);
  }
  require<IoError>(!found.empty(), path.string(), ": wanted one of ", wanted, ", found none");
  require<IoError>(found.size() == 1, path.string(), ": holds ", both,
                   "; wanted one kind, put the others into folders of their own");
  return found[0]->make(path, tokenizer, prompt);
}

fs::path annotation_file(const fs::path& folder, const std::vector<std::string>& names) {
  std::string wanted;
  for (const std::string& name : names) {
    for (const fs::path& place : {folder, folder / "annotations", folder / "data"})
      if (is_file(place / name)) return place / name;
    wanted += concat(wanted.empty() ? "" : " or ", printable(name, 100));
  }
  fail<IoError>(folder.string(), ": wanted ", wanted, ", found none; check train.split and eval.split");
}

fs::path picture_file(const fs::path& folder, const std::string& split,
                      const std::vector<std::string>& names) {
  const fs::path places[] = {folder / "images" / split, folder / split, folder / "images"};
  for (const fs::path& place : places)
    for (const std::string& name : names)
      if (is_file(place / name)) return place / name;
  return places[0] / names[0];
}

}  // namespace dehvf
