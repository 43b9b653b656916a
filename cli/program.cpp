#include "cli/program.h"

#include <cstdio>

#include "cli/command.h"
#include "core/backend.h"
#include "core/error.h"

namespace {

// Exit codes: 2 for what the user can correct (a file, a key), 1 for a failure while running.
int run(int argc, char** argv) {
  CLI::App program{"dehvf: visual features as rows of a frozen LLaMA's FFNs"};
  program.require_subcommand(1);
  program.set_help_all_flag("--help-all", "help of all commands");
  int threads = 0;
  program.add_option("--threads", threads, "CPU threads; 0 takes all. Results never depend on it")
      ->check(CLI::NonNegativeNumber);
  dehvf::cli::Action chosen;
  for (auto add :
       {dehvf::cli::add_demo, dehvf::cli::add_make_data, dehvf::cli::add_train, dehvf::cli::add_eval,
        dehvf::cli::add_score, dehvf::cli::add_generate, dehvf::cli::add_chat, dehvf::cli::add_dump,
        dehvf::cli::add_inspect, dehvf::cli::add_convert, dehvf::cli::add_export, dehvf::cli::add_report,
        dehvf::cli::add_plan, dehvf::cli::add_compare, dehvf::cli::add_reproduce, dehvf::cli::add_bench,
        dehvf::cli::add_check_operator, dehvf::cli::add_doctor})
    add(program, chosen);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? 0 : 2;
  }
  const dehvf::Runtime runtime({.threads = threads});
  chosen();
  return 0;
}

}  // namespace

int dehvf::cli::run_program(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const dehvf::IoError& error) {
    std::fprintf(stderr, "dehvf: %s\n", error.what());
    return 2;
  } catch (const dehvf::ConfigError& error) {
    std::fprintf(stderr, "dehvf: %s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "dehvf: %s\n", error.what());
    return 1;
  }
}
