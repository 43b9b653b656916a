#include "support/run_tests.h"

#include <gtest/gtest.h>

#include "core/backend.h"

int dehvf::run_tests(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const Runtime runtime({.threads = 2, .poison = true});
  const int result = RUN_ALL_TESTS();
  return damaged_fences() == 0 ? result : 1;
}
