#include "models/clip_config.h"

namespace dehvf {

ClipConfig clip_l14() { return {}; }

}  // namespace dehvf
