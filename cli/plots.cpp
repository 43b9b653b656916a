#include "cli/plots.h"

#include <cerrno>
#include <vector>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/assets.h"
#include "core/error.h"
#include "core/io/file.h"

namespace dehvf::cli {
namespace {

// Runs a program, found in PATH, with its output thrown away; its exit code, or -1 when it did not end by
// itself.
int run_quietly(std::vector<std::string> words) {
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO})
    posix_spawn_file_actions_addopen(&actions, stream, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int error = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return -1;
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// A new folder that is removed with everything in it.
struct ScratchFolder {
  std::filesystem::path path;

  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "dehvf_plots.XXXXXX").string();
    require<IoError>(mkdtemp(name.data()) != nullptr, name, ": cannot create a temporary folder");
    path = name;
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

}  // namespace

std::string python_with_matplotlib() {
  for (const char* python : {"python3", "/usr/bin/python3"})
    if (run_quietly({python, "-c", "import matplotlib"}) == 0) return python;
  return {};
}

Plots draw_plots(const std::filesystem::path& results) {
  const auto script = default_assets() / "scripts" / "plot.py";
  if (!std::filesystem::exists(script)) return {{}, "no plots: scripts/plot.py was not found"};
  const std::string python = python_with_matplotlib();
  if (python.empty())
    return {{}, "no plots: no python3 with matplotlib; install it: apt-get install python3-matplotlib"};
  const ScratchFolder folder;
  const int code = run_quietly({python, script, std::filesystem::absolute(results), folder.path});
  if (code != 0) return {{}, concat("no plots: scripts/plot.py ended with code ", code)};
  Plots plots;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path))
    if (entry.path().extension() == ".svg") plots.svg[entry.path().stem()] = read_file(entry.path());
  return plots;
}

}  // namespace dehvf::cli
