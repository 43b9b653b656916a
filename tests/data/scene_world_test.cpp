// Scenes: the labels are what the picture shows, keys fix every byte, recolouring keeps the layout.
#include "data/scene_world.h"

#include <algorithm>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/random.h"
#include "scene_fixtures.h"
#include "support/message.h"

namespace dehvf {
namespace {

using Rgb = std::array<uint8_t, 3>;

Rgb pixel(const Image& image, int x, int y) {
  const uint8_t* at = image.row(y) + 3 * x;
  return {at[0], at[1], at[2]};
}

Rgb most_common(const Image& image) {
  std::map<Rgb, int> counts;
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) ++counts[pixel(image, x, y)];
  return std::ranges::max_element(counts, {}, [](const auto& e) { return e.second; })->first;
}

int difference(const Rgb& a, const Rgb& b) {
  int sum = 0;
  for (size_t c = 0; c < 3; ++c) sum += std::abs(int(a[c]) - int(b[c]));
  return sum;
}

// Pixels that differ from the background by more than half of the largest difference.
std::vector<std::vector<int>> object_mask(const Image& image) {
  const Rgb background = most_common(image);
  int most = 0;
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) most = std::max(most, difference(pixel(image, x, y), background));
  std::vector mask(size_t(image.height), std::vector<int>(size_t(image.width)));
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x)
      mask[size_t(y)][size_t(x)] = 2 * difference(pixel(image, x, y), background) > most;
  return mask;
}

void erase_component(std::vector<std::vector<int>>& mask, int x, int y) {
  if (y < 0 || x < 0 || y >= int(mask.size()) || x >= int(mask[0].size()) || !mask[size_t(y)][size_t(x)])
    return;
  mask[size_t(y)][size_t(x)] = 0;
  for (auto [dx, dy] : {std::pair{1, 0}, {-1, 0}, {0, 1}, {0, -1}}) erase_component(mask, x + dx, y + dy);
}

int components(std::vector<std::vector<int>> mask) {
  int count = 0;
  for (size_t y = 0; y < mask.size(); ++y)
    for (size_t x = 0; x < mask[y].size(); ++x)
      if (mask[y][x]) ++count, erase_component(mask, int(x), int(y));
  return count;
}

SceneLabels labels_of(int colour, int texture, int object, int count) {
  SceneLabels labels;
  labels.values = {colour, texture, object, count};
  return labels;
}

TEST(SceneWorld, ShowsAsManyObjectsAsItSays) {
  const auto shapes = SceneWorld::shapes();
  for (uint64_t key = 0; key < 60; ++key)
    for (int count = 0; count < 4; ++count)
      for (int object : {0, 1, 4, 5}) {  // those without thin points, which may fall apart at this size
        const auto image = shapes.draw(labels_of(int(key % 6), 0, object, count), {key, key + 1});
        EXPECT_EQ(components(object_mask(image)), count + 1) << key << " " << object;
      }
}

TEST(SceneWorld, PaintsObjectsInTheirColour) {
  const auto shapes = SceneWorld::shapes();
  const Rgb colours[] = {{230, 33, 33},  {33, 173, 51},  {38, 77, 230},
                         {245, 222, 26}, {148, 46, 189}, {250, 133, 10}};
  for (uint64_t key = 0; key < 30; ++key)
    for (int colour = 0; colour < 6; ++colour) {
      const auto image = shapes.draw(labels_of(colour, 0, 1, 0), {key, key * 7 + 1});
      const Rgb background = most_common(image);
      Rgb paint = background;
      for (int y = 0; y < 32; ++y)
        for (int x = 0; x < 32; ++x)
          if (difference(pixel(image, x, y), background) > difference(paint, background))
            paint = pixel(image, x, y);
      const auto nearest =
          std::ranges::min_element(colours, {}, [&](const Rgb& c) { return difference(c, paint); });
      EXPECT_EQ(nearest - colours, colour) << key;
    }
}

TEST(SceneWorld, TexturesAreSeen) {
  for (const SceneWorld& world : {SceneWorld::shapes(), picture_world()})
    for (uint64_t key = 0; key < 50; ++key) {
      std::set<std::string> images;
      for (int texture = 0; texture < 4; ++texture) {
        const auto image = world.draw(labels_of(2, texture, 1, 0), {key, key + 9});
        images.insert(bytes_of(image));
        // Both tones of a pattern cover a good part of the picture; plain has one.
        std::map<Rgb, int> counts;
        for (int y = 0; y < 32; ++y)
          for (int x = 0; x < 32; ++x) ++counts[pixel(image, x, y)];
        const Rgb first = most_common(image);
        const auto far = std::ranges::count_if(counts, [&](const auto& e) {
          return e.second >= (texture == 0 ? 80 : 40) && difference(e.first, first) > 40;
        });
        if (texture == 0) {
          EXPECT_LE(far, 1);  // the object
        } else {
          EXPECT_GE(far, 1) << texture << " " << key;
        }
      }
      EXPECT_EQ(images.size(), 4u);
    }
}

TEST(SceneWorld, KeysFixEveryByte) {
  for (const SceneWorld& world : {SceneWorld::shapes(), picture_world(48)}) {
    const auto labels = labels_of(1, 2, 3, 3);
    const auto image = world.draw(labels, {5, 6});
    EXPECT_EQ(image.width, world.side());
    EXPECT_EQ(image.rgb, world.draw(labels, {5, 6}).rgb);
    EXPECT_NE(image.rgb, world.draw(labels, {7, 6}).rgb);
    EXPECT_NE(image.rgb, world.draw(labels, {5, 7}).rgb);
    EXPECT_THROW(world.draw(labels_of(6, 0, 0, 0), {}), Error);
    EXPECT_THROW(world.draw(labels_of(0, 0, 0, 4), {}), Error);
  }
}

TEST(SceneWorld, RecolouringKeepsTheLayout) {
  const auto shapes = SceneWorld::shapes();
  for (uint64_t key = 0; key < 40; ++key) {
    const auto a = object_mask(shapes.draw(labels_of(0, 0, int(key % 8), 2), {key, 1}));
    const auto b = object_mask(shapes.draw(labels_of(4, 0, int(key % 8), 2), {key, 2}));
    int differing = 0;
    for (size_t y = 0; y < 32; ++y)
      for (size_t x = 0; x < 32; ++x) differing += a[y][x] != b[y][x];
    EXPECT_LE(differing, 6);  // pixels half covered, where rounding decides
  }
  for (const SceneWorld& world : {SceneWorld::shapes(), picture_world()}) {
    int recoloured = 0;
    for (int64_t index = 0; index < 60; ++index) {
      const Scene first = make_scene(world, 3, index), second = make_scene(world, 3, index, 1);
      EXPECT_EQ(first.labels[Attribute::object], second.labels[Attribute::object]);
      EXPECT_EQ(first.labels[Attribute::count], second.labels[Attribute::count]);
      EXPECT_NE(first.image.rgb, second.image.rgb);
      recoloured += first.labels[Attribute::colour] != second.labels[Attribute::colour];
      EXPECT_EQ(first.image.rgb, make_scene(world, 3, index).image.rgb);
      EXPECT_NE(first.image.rgb, make_scene(world, 4, index).image.rgb);
    }
    EXPECT_GE(recoloured, 40);  // 5 in 6 are expected
  }
}

TEST(SceneWorld, LabelsOfTheSupplyAreUniformAndIndependent) {
  const auto world = SceneWorld::shapes();
  constexpr int64_t kScenes = 3000;
  std::vector<SceneLabels> all;
  for (int64_t i = 0; i < kScenes; ++i) all.push_back(make_scene(world, 1, i).labels);
  for (Attribute a : kAttributes)
    for (Attribute b : kAttributes) {
      const size_t rows = world.words(a).size(), columns = world.words(b).size();
      if (a == b) {
        std::vector<double> counts(rows);
        for (const auto& labels : all) ++counts[size_t(labels[a])];
        double sum = 0;
        const double expected = double(kScenes) / double(rows);
        for (double count : counts) sum += (count - expected) * (count - expected) / expected;
        EXPECT_LT(sum, chi_square_bound(double(rows - 1)));
        continue;
      }
      std::vector counts(rows, std::vector<double>(columns));
      for (const auto& labels : all) ++counts[size_t(labels[a])][size_t(labels[b])];
      EXPECT_LT(chi_square(counts), chi_square_bound(double((rows - 1) * (columns - 1))));
    }
}

TEST(SceneWorld, KeepsSomeSpritesForTheTest) {
  const auto world = picture_world();
  std::set<int> seen[2];
  for (uint64_t key = 0; key < 200; ++key)
    for (SpriteShare share : {SpriteShare::train, SpriteShare::test}) {
      const auto image = world.draw(labels_of(0, 0, 5, 0), {key, key}, share);
      for (int y = 0; y < 32; ++y)
        for (int x = 0; x < 32; ++x)
          if (const Rgb p = pixel(image, x, y); p[1] == 103 && p[2] == 7) seen[int(share)].insert(p[0] / 20);
    }
  EXPECT_THAT(seen[0], testing::ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(seen[1], testing::ElementsAre(8, 9));
}

TEST(SceneWorld, RefusesWorldsThatCannotBeAskedAbout) {
  EXPECT_THAT(message_of<ConfigError>([] { SceneWorld::pictures({}); }),
              testing::HasSubstr("at least 4 classes"));
  std::vector<SpriteClass> thin(4, {"bird", {RgbaImage(48, 48)}});
  EXPECT_THAT(message_of<ConfigError>([&] { SceneWorld::pictures(thin); }),
              testing::HasSubstr("class 'bird': wanted at least 2 pictures, found 1"));
  EXPECT_THROW(SceneWorld::shapes(8), ConfigError);
}

}  // namespace
}  // namespace dehvf
