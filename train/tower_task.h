// Pre-training of the demo's small tower on scenes, so that its levels differ as those of a large one do: the
// last level tells class and count and forgets colours, an early one still holds the pixels.
#pragma once

#include "data/recipes.h"
#include "data/scene_world.h"
#include "layers/linear.h"
#include "models/vision_tower.h"
#include "train/trainer.h"

namespace dehvf {

class TowerTask : public Task {
 public:
  struct Options {
    int64_t batch = 32;   // scenes; each is seen in two colourings
    int64_t steps = 400;  // over which the invariance is ramped in
    int pixel_level = 2;  // the level that has to reconstruct the picture
    uint64_t seed = 0;
    double invariance = 0.2, reconstruction = 4;  // weights of the two losses beside class and count
  };
  /// Worlds are taken in turn; their classes are told apart. Everything must outlive the task.
  TowerTask(VisionTower& tower, std::vector<const SceneWorld*> worlds, const ImageRecipe& recipe,
            const Options& options);

  Module& trained() override { return all_; }
  int prepare(uint64_t step) override;
  Variable loss(int micro_batch, std::span<const Tensor> inputs, const Tensor& state) override;
  int64_t tokens() const override { return pixels_.size(0) * tower_.config().tokens(); }
  std::string cursor() const override { return concat(next_); }
  void seek(const std::string& cursor) override { next_ = std::stoull(cursor); }

 private:
  struct All : Module {
    All(VisionTower& tower, int64_t width, int64_t classes, int64_t patch_values)
        : tower(tower),
          object(width, classes, Bias::none),
          count(width, 4, Bias::none),
          pixels(width, patch_values) {}
    void describe(Describer& describer) override {
      describer.child("tower", tower);
      describer.child("object", object);
      describer.child("count", count);
      describer.child("pixels", pixels);
    }
    VisionTower& tower;
    Linear object, count, pixels;
  };

  VisionTower& tower_;
  std::vector<const SceneWorld*> worlds_;
  ImageRecipe recipe_;
  Options options_;
  All all_;
  uint64_t next_ = 0, step_ = 0;
  Tensor pixels_;            // [2 batch, 3, side, side], the second half recoloured
  Tensor objects_, counts_;  // i32 [2 batch]
};

}  // namespace dehvf
