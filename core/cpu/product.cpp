// One product a term.
#include "core/ops/product.h"

namespace dehvf::cpu {
namespace {

const Provide<Product> provide_product{{DeviceKind::cpu}, product_by_terms};

}  // namespace
}  // namespace dehvf::cpu
