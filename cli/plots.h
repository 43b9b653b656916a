// Plots by scripts/plot.py, in a Python that has matplotlib.
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace dehvf::cli {

/// A python3 that imports matplotlib (the one in PATH, else the system's); empty when there is none.
std::string python_with_matplotlib();

struct Plots {
  std::map<std::string, std::string> svg;  // by name, as scripts/plot.py names them
  std::string missing;                     // why there are none, in one line; empty when they were drawn
};

/// Draws the plots of a results.json in a temporary folder. Never throws for lack of Python or matplotlib.
Plots draw_plots(const std::filesystem::path& results);

}  // namespace dehvf::cli
