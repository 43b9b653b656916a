#include "core/registry.h"

namespace dehvf {

std::vector<std::pair<std::string, KernelKey>>& kernel_catalog() {
  static std::vector<std::pair<std::string, KernelKey>> catalog;
  return catalog;
}

}  // namespace dehvf
