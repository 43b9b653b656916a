#include "cli/program.h"

int main(int argc, char** argv) { return dehvf::cli::run_program(argc, argv); }
