#include "cli/command.h"

namespace dehvf::cli {

void add_report(CLI::App&, Action&) {}

}  // namespace dehvf::cli
