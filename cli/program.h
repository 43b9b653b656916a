// The command line of dehvf.
#pragma once

namespace dehvf::cli {

/// Runs the command that the arguments name; returns the exit code and prints errors in one line.
int run_program(int argc, char** argv);

}  // namespace dehvf::cli
