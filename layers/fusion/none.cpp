// No fusion: the language model alone, the baseline of every comparison.
#include "layers/fusion/operator.h"

namespace dehvf {
namespace {

class None : public FusionOperator {
 public:
  Neutral neutral() const override { return {}; }  // equal to text-only whatever its (no) parameters are
};

const Provide<Fusion> none{"none", [](const FusionShapes&, FusionConfig&) -> std::unique_ptr<FusionOperator> {
                             return std::make_unique<None>();
                           }};

}  // namespace
}  // namespace dehvf
