// What the demo's pictures are made of: a textured background and one to four objects of one class, drawn
// from labels and keys alone. Two worlds: outlines in a colour on grey, and real sprites on a coloured
// background.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "data/draw.h"

namespace dehvf {

enum class Attribute { colour, texture, object, count };
inline constexpr std::array<Attribute, 4> kAttributes{Attribute::colour, Attribute::texture,
                                                      Attribute::object, Attribute::count};

/// For each attribute the index of its word; the count's index is one less than the number of objects.
struct SceneLabels {
  std::array<int, 4> values{};
  int& operator[](Attribute attribute) { return values[size_t(attribute)]; }
  int operator[](Attribute attribute) const { return values[size_t(attribute)]; }
  bool operator==(const SceneLabels&) const = default;
};

/// One class of real pictures: square sprites with alpha, at least two.
struct SpriteClass {
  std::string name;
  std::vector<RgbaImage> sprites;
};

/// The last fifth of each class's sprites (at least one) appears in test pictures only, and nothing else
/// there.
enum class SpriteShare { train, test };

/// Keys of the random numbers behind places, sizes and sprites, and behind shades, texture and its phase.
struct SceneKeys {
  uint64_t layout = 0, surface = 0;
};

class SceneWorld {
 public:
  /// Colour is the objects' colour, class one of eight outlines.
  static SceneWorld shapes(int side = 32);
  /// Colour is the background's colour, class one of the given ones (at least four).
  static SceneWorld pictures(std::vector<SpriteClass> classes, int side = 32);

  bool has_pictures() const { return !classes_.empty(); }
  int side() const { return side_; }
  const std::vector<std::string>& words(Attribute attribute) const { return words_[size_t(attribute)]; }

  Image draw(const SceneLabels& labels, const SceneKeys& keys, SpriteShare share = SpriteShare::train) const;

 private:
  explicit SceneWorld(int side);

  int side_;
  std::array<std::vector<std::string>, 4> words_;
  std::vector<SpriteClass> classes_;  // empty in the world of shapes
};

struct Scene {
  Image image;
  SceneLabels labels;
};

/// Scene `index` of the endless supply `seed`, its labels independent and uniform. Another `colouring` keeps
/// class, count, places, sizes and sprites, and draws colour, texture and shades anew. Shares no key with the
/// data sets.
Scene make_scene(const SceneWorld& world, uint64_t seed, int64_t index, int64_t colouring = 0);

}  // namespace dehvf
