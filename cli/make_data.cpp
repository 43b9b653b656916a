// dehvf make-data: the demo's data as a folder in the layout of a benchmark.
#include <cstdio>

#include "cli/assets.h"
#include "cli/command.h"
#include "cli/worlds.h"
#include "core/io/json.h"
#include "data/scene_generator.h"
#include "data/scene_sets.h"

namespace dehvf::cli {
namespace {

struct MakeData {
  std::string kind = "scenes", format = "scienceqa", out;
  std::filesystem::path assets = default_assets();
  SceneDataConfig config;
  bool json = false;

  void run() const {
    const auto above = std::filesystem::path(out).lexically_normal().parent_path();
    std::error_code ignored;  // a folder that cannot be made is reported below
    if (!above.empty()) std::filesystem::create_directories(above, ignored);
    const uint64_t hash = write();
    if (json)
      std::printf("%s\n", Json{{"folder", out},
                               {"kind", kind},
                               {"format", format},
                               {"train", config.train},
                               {"val", config.val},
                               {"test", config.test},
                               {"hash", hash}}
                              .dump()
                              .c_str());
    else
      std::printf("%s: %lld train, %lld val, %lld test samples of kind %s, format %s, hash %016llx\n",
                  out.c_str(), static_cast<long long>(config.train), static_cast<long long>(config.val),
                  static_cast<long long>(config.test), kind.c_str(), format.c_str(),
                  static_cast<unsigned long long>(hash));
  }

 private:
  uint64_t write() const {
    const SceneWorld world = open_world(kind, assets);
    if (format == "scienceqa") return write_scene_data(world, config, out);
    const SceneFormat other = format == "captions" ? SceneFormat::captions
                              : format == "vqa"    ? SceneFormat::vqa
                                                   : SceneFormat::pairs;
    return write_scene_set(world, other, config, out);
  }
};

}  // namespace

void add_make_data(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<MakeData>();
  auto* command = program.add_subcommand(
      "make-data",
      "writes a small data set of drawn pictures\nexample: dehvf make-data --kind pictures --out my_data");
  command->add_option("--out", options->out, "folder to make; must not exist or be empty")->required();
  command->add_option("--kind", options->kind, "scenes or pictures")
      ->check(CLI::IsMember({"scenes", "pictures"}))
      ->capture_default_str();
  command->add_option("--format", options->format, "scienceqa, captions (COCO), vqa (VQAv2) or pairs (NLVR2)")
      ->check(CLI::IsMember({"scienceqa", "captions", "vqa", "pairs"}))
      ->capture_default_str();
  command->add_option("--seed", options->config.seed)->capture_default_str();
  command->add_option("--train", options->config.train)->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--val", options->config.val)->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--test", options->config.test)->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--assets", options->assets, "folder that holds data/pictures");
  command->add_flag("--json", options->json, "one JSON object on one line");
  command->callback([&chosen, options] { chosen = [options] { options->run(); }; });
}

}  // namespace dehvf::cli
