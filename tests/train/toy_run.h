// The shipped toy models and a small data set of scenes, as the files of a run.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/scene_generator.h"
#include "support/temporary_folder.h"
#include "train/run.h"

namespace dehvf {

class ToyFiles {
 public:
  ToyFiles() {
    namespace fs = std::filesystem;
    const fs::path toy = fs::path(DEHVF_SOURCE_DIR) / "examples" / "toy";
    fs::copy(toy / "tower", folder_ / "tower");
    llama_ = toy / "llama";
    fs::create_directory(data());
    write_scene_data(SceneWorld::shapes(), {.train = 24, .val = 4, .test = 8}, data());
  }
  std::filesystem::path llama() const { return llama_; }
  std::filesystem::path tower() const { return folder_ / "tower"; }  // a copy, to be changed
  std::filesystem::path data() const { return folder_ / "data"; }
  std::vector<std::filesystem::path> pictures() const {  // of the training samples, in their order
    std::vector<std::filesystem::path> found;
    const ScienceQa problems(data());
    for (const std::string& id : problems.split("train"))
      if (const auto& image = problems.problem(id).image; !image.empty()) found.push_back(image);
    return found;
  }
  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }

  RunConfig config(const std::vector<std::string>& changes = {}) const {
    std::vector<std::string> keys{"model=" + llama().string(),
                                  "tower=" + tower().string(),
                                  "data=" + data().string(),
                                  "out=" + (folder_ / "out").string(),
                                  "prompt.format=word",
                                  "prompt.max_tokens=128",
                                  "tower_adapters.enabled=false",
                                  "tower_adapters.rank=2",
                                  "train.batch=7",
                                  "train.micro_batch=3"};
    keys.insert(keys.end(), changes.begin(), changes.end());
    return read_run_config({}, keys);
  }
  Run run(const std::vector<std::string>& changes = {}) const {
    std::vector<std::string> keys{"fusion.slots=20", "fusion.rank=8",   "fusion.embedding=8",
                                  "fusion.hidden=8", "fusion.width=8",  "fusion.heads=2",
                                  "fusion.blocks=1", "fusion.dropout=0"};
    keys.insert(keys.end(), changes.begin(), changes.end());
    return Run(config(keys));
  }
  Run blind() const { return Run(config({"fusion.name=none"})); }

 private:
  TemporaryFolder folder_;
  std::filesystem::path llama_;
};

}  // namespace dehvf
