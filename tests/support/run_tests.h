#pragma once

namespace dehvf {

/// Runs the tests of the executable in poisoned, fenced memory, so that an op that forgets an element is
/// seen.
int run_tests(int argc, char** argv);

}  // namespace dehvf
