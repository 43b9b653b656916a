// The graph of one training step as a picture: what was computed, what was trained, where gradients flow.
#pragma once

#include <string>

#include "autograd/tape_watch.h"

namespace dehvf::cli {

/// SVG. Ops stand in a box for each phase of the step (tower, encode, each block, output); a run of boxes
/// that differ in nothing but names is drawn once.
std::string tape_picture(const TapeWatch& watch, const std::string& title);

}  // namespace dehvf::cli
