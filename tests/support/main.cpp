#include "support/run_tests.h"

int main(int argc, char** argv) { return dehvf::run_tests(argc, argv); }
