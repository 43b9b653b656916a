// One sub-command a file: each adds itself to the program and stores what is to be done.
#pragma once

#include <functional>
#include <string>

#include <CLI/CLI.hpp>

namespace dehvf::cli {

using Action =
    std::function<void()>;  // throws what goes wrong; main() turns it into one line and an exit code

void add_demo(CLI::App& program, Action& chosen);
void add_make_data(CLI::App& program, Action& chosen);
void add_train(CLI::App& program, Action& chosen);
void add_eval(CLI::App& program, Action& chosen);
void add_export(CLI::App& program, Action& chosen);
void add_report(CLI::App& program, Action& chosen);
void add_doctor(CLI::App& program, Action& chosen);
void add_dump(CLI::App& program, Action& chosen);
void add_inspect(CLI::App& program, Action& chosen);
void add_generate(CLI::App& program, Action& chosen);
void add_chat(CLI::App& program, Action& chosen);
void add_convert(CLI::App& program, Action& chosen);
void add_score(CLI::App& program, Action& chosen);
void add_bench(CLI::App& program, Action& chosen);
void add_plan(CLI::App& program, Action& chosen);
void add_compare(CLI::App& program, Action& chosen);
void add_reproduce(CLI::App& program, Action& chosen);
void add_check_operator(CLI::App& program, Action& chosen);

}  // namespace dehvf::cli
