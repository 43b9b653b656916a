// The floor's FLOPs and bytes against numbers worked out by hand, and those of a roofline of the 7B step.
#include "bench/step_floor.h"

#include <limits>
#include <map>

#include <gtest/gtest.h>

namespace dehvf {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

using Found = std::map<std::string, double>;

Found flops(const StepShape& shape, const StepAdapter& adapter) {
  Found found;
  for (const FloorPart& part : step_floor(shape, adapter, {.flops = 1, .bytes = kInfinite})) {
    EXPECT_EQ(part.seconds, part.flops);
    found[concat(name_of(part.pass), ' ', part.part)] = part.flops;
  }
  return found;
}

Found bytes(const StepShape& shape, const StepAdapter& adapter) {
  Found found;
  for (const FloorPart& part : step_floor(shape, adapter, {.flops = kInfinite, .bytes = 1}))
    found[concat(name_of(part.pass), ' ', part.part)] = part.seconds;
  return found;
}

// Two samples of 4 tokens, one labelled each: 8 tokens, 2 labelled. Three blocks of width 4, two heads of 3,
// one of them for keys and values, FFN 5. A tower of two blocks of width 2 with 4 patches.
StepShape shape_by_hand() {
  StepShape shape{.tower = {.width = 2, .mlp = 3, .layers = 2, .heads = 1, .patch = 1, .image = 2},
                  .samples = 2,
                  .length = 4,
                  .supervised = 1};
  shape.llama.vocab = 10, shape.llama.width = 4, shape.llama.ffn = 5, shape.llama.layers = 3;
  shape.llama.heads = 2, shape.llama.kv_heads = 1, shape.llama.head_dim = 3;
  return shape;
}
StepAdapter adapter_by_hand() {
  return {.slots = 5, .rank = 2, .cost = {.flops_per_image = 100, .flops_per_token = 300}};
}

TEST(StepFloor, FlopsAreThoseOfTheHand) {
  const Found found = flops(shape_by_hand(), adapter_by_hand());
  // q|k|v 8 x 12 x 4, o 8 x 4 x 6, gate|up 8 x 10 x 4, down 8 x 4 x 5; the last: k|v 8 x 6 x 4, of two rows
  // q 2 x 6 x 4, o 2 x 4 x 6, gate|up 2 x 10 x 4, down 2 x 4 x 5.
  const double block = 2 * (384 + 192 + 320 + 160), last = 2 * (192 + 48 + 48 + 80 + 40);
  // 4 x 6 FLOPs a pair; half of 4 x 4 pairs in each of two samples; the labelled row sees 3 keys.
  const double pairs = 24 * 2 * 8, last_pairs = 24 * 2 * 3;
  // Maps of the tower on 10 tokens: 2 -> 6, 2 -> 2, 2 -> 3, 3 -> 2; each of 5 sees 5, twice.
  const double maps = 2 * 10 * (12 + 4 + 6 + 6), sees = 4 * 25 * 2 * 2;
  const Found wanted{{"forward linears", 2 * block + last},
                     {"backward linears", block + last},
                     {"forward attention", 2 * pairs + last_pairs},
                     {"backward attention", 2.5 * (pairs + last_pairs)},
                     {"forward visual rows", 100 * (8 + 8 + 2)},
                     {"backward visual rows", 100 * (1.5 * 8 + 2 * 8 + 2 * 2)},
                     {"forward operator", 200},
                     {"backward operator", 400},
                     {"forward lm head", 2 * 2 * 10 * 4},
                     {"backward lm head", 2 * 2 * 10 * 4},
                     {"forward vision", 2 * (maps + sees)},
                     {"backward vision", maps + 2.5 * sees}};
  EXPECT_EQ(found, wanted);
}

TEST(StepFloor, BytesAreThoseOfTheHand) {
  const Found found = bytes(shape_by_hand(), adapter_by_hand());
  // m k + n k + m n of the products above.
  const double block = (32 + 48 + 96) + (48 + 24 + 32) + (32 + 40 + 80) + (40 + 20 + 32),
               last = (32 + 24 + 48) + (8 + 24 + 12) + (12 + 24 + 8) + (8 + 40 + 20) + (10 + 20 + 8);
  const double qkv = 8 * (6 + 6 + 6), last_qkv = 2 * 12 + 8 * 6;  // q and result, k and v
  const double both_sides = 4 * (5 + 5 + 2), terms = 2 * (2 * 4 * 2);
  const double tower_maps = (20 + 12 + 60) + (20 + 4 + 20) + (20 + 6 + 30) + (30 + 6 + 20);
  const Found wanted{{"forward linears", 2 * (2 * block + last)},
                     {"backward linears", 2 * (block + last)},
                     {"forward attention", 2 * (2 * qkv + last_qkv)},
                     {"backward attention", 2 * 2 * (qkv + last_qkv)},
                     {"forward visual rows", 2 * ((64 + 64 + 16) + 3 * (both_sides + terms))},
                     {"backward visual rows", 2 * ((2 * 32 + 3 * 32 + 3 * 8) + 3 * 2 * (both_sides + terms))},
                     {"forward operator", 2 * (2 * 4 * 2 * 2 + 2 * 2 + 2 * 4 * 2 * 2)},
                     {"backward operator", 2 * 2 * (2 * 4 * 2 * 2 + 2 * 2 + 2 * 4 * 2 * 2)},
                     {"forward lm head", 2 * (8 + 40 + 20)},
                     {"backward lm head", 2 * (8 + 40 + 20)},
                     {"forward vision", 2 * (2 * tower_maps + 2 * 4 * 20)},
                     {"backward vision", 2 * (tower_maps + 8 * 20)}};
  EXPECT_EQ(found, wanted);
}

TEST(StepFloor, AFrozenTowerHasNoBackward) {
  StepAdapter adapter = adapter_by_hand();
  adapter.tower_trained = false;
  const Found found = flops(shape_by_hand(), adapter);
  EXPECT_FALSE(found.contains("backward vision"));
  EXPECT_EQ(found.at("backward operator"), 200);
}

TEST(StepFloor, OfOneBlockIsThatOfTheLastWithoutBackward) {
  StepShape shape = shape_by_hand();
  shape.llama.layers = 1;
  const Found found = flops(shape, adapter_by_hand());
  EXPECT_EQ(found.at("forward linears"), 2 * (192 + 48 + 48 + 80 + 40));
  EXPECT_EQ(found.at("backward linears"), 0);
  EXPECT_EQ(found.at("backward attention"), 0);
  EXPECT_EQ(found.at("forward visual rows"), 300 * 2);
  EXPECT_EQ(found.at("backward visual rows"), 300 * 2 * 1.5);
}

// Independent numbers: 6.476e9 weights in the frozen maps of 7B, 2 x 2048 FLOPs each forward, less what the
// last block saves; 790 TFLOP/s and 4.3 TB/s.
TEST(StepFloor, Of7BIsThatOfTheRoofline) {
  FusedModel model(llama_7b(), clip_l14(), {.fusion = "dehvf", .tower_adapters = true});
  const StepAdapter adapter = step_adapter(model);
  EXPECT_EQ(adapter.slots, 320);
  EXPECT_EQ(adapter.rank, 128);
  EXPECT_TRUE(adapter.tower_trained);
  const StepShape shape{.llama = llama_7b(), .tower = clip_l14()};
  Found milliseconds;
  double sum = 0;
  for (const FloorPart& part : step_floor(shape, adapter, {.flops = 790e12, .bytes = 4.3e12})) {
    milliseconds[part.part] += 1e3 * part.seconds;
    sum += 1e3 * part.seconds;
  }
  EXPECT_NEAR(milliseconds["linears"], 33.577 + 32.528 - 1.592, 0.01);
  EXPECT_NEAR(milliseconds["attention"], 1.467 * 61 / 62.5, 0.05) << "the last block on labelled rows";
  EXPECT_NEAR(milliseconds["lm head"], 0.123, 0.002);
  EXPECT_NEAR(milliseconds["vision"], 1.651 + 0.025, 0.002) << "the tower's attention waits for memory";
  EXPECT_NEAR(sum, 69.5, 1.0) << "factored rows and their operator take other products";
}

}  // namespace
}  // namespace dehvf
