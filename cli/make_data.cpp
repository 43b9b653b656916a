// dehvf make-data: the demo's data as a folder in ScienceQA's layout.
#include <cstdio>

#include "cli/assets.h"
#include "cli/command.h"
#include "cli/worlds.h"
#include "core/io/json.h"
#include "data/scene_generator.h"

namespace dehvf::cli {
namespace {

struct MakeData {
  std::string kind = "scenes", out;
  std::filesystem::path assets = default_assets();
  SceneDataConfig config;
  bool json = false;

  void run() const {
    const auto above = std::filesystem::path(out).lexically_normal().parent_path();
    std::error_code ignored;  // a folder that cannot be made is reported below
    if (!above.empty()) std::filesystem::create_directories(above, ignored);
    const uint64_t hash = write_scene_data(open_world(kind, assets), config, out);
    if (json)
      std::printf("%s\n", Json{{"folder", out},
                               {"kind", kind},
                               {"train", config.train},
                               {"val", config.val},
                               {"test", config.test},
                               {"hash", hash}}
                              .dump()
                              .c_str());
    else
      std::printf("%s: %lld train, %lld val, %lld test problems of kind %s, hash %016llx\n", out.c_str(),
                  static_cast<long long>(config.train), static_cast<long long>(config.val),
                  static_cast<long long>(config.test), kind.c_str(), static_cast<unsigned long long>(hash));
  }
};

}  // namespace

void add_make_data(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<MakeData>();
  auto* command = program.add_subcommand(
      "make-data",
      "writes a small ScienceQA-format folder\nexample: dehvf make-data --kind pictures --out my_data");
  command->add_option("--out", options->out, "folder to make; must not exist or be empty")->required();
  command->add_option("--kind", options->kind, "scenes or pictures")
      ->check(CLI::IsMember({"scenes", "pictures"}))
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
