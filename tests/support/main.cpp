// main() of every test executable: poisoned, fenced memory, so that an op that forgets an element is seen.
#include <gtest/gtest.h>

#include "core/backend.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  dehvf::Runtime runtime({.threads = 2, .poison = true});
  const int result = RUN_ALL_TESTS();
  return dehvf::damaged_fences() == 0 ? result : 1;
}
