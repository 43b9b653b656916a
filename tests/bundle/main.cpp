// One program for a machine that has a GPU and no build tools: `tests` and every command of dehvf.
#include <string_view>

#include "cli/program.h"
#include "support/run_tests.h"

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "tests") return dehvf::run_tests(argc - 1, argv + 1);
  return dehvf::cli::run_program(argc, argv);
}
