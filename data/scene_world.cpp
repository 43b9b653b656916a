#include "data/scene_world.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/random.h"
#include "data/shapes.h"

namespace dehvf {
namespace {

constexpr double kUnit = 32;  // lengths below are pixels of a picture of this side

enum Texture { plain, striped, checked, dotted };

constexpr Colour kColours[] = {{0.90, 0.13, 0.13}, {0.13, 0.68, 0.20}, {0.15, 0.30, 0.90},
                               {0.96, 0.87, 0.10}, {0.58, 0.18, 0.74}, {0.98, 0.52, 0.04}};

struct Object {
  Point centre;
  double radius, angle;
  uint32_t pick;  // chooses the sprite
  bool mirrored;
};

double between(Random& random, double low, double high) { return low + (high - low) * random.uniform(); }

Colour jittered(Random& random, const Colour& colour, double amount) {
  return {colour.red + between(random, -amount, amount), colour.green + between(random, -amount, amount),
          colour.blue + between(random, -amount, amount)};
}

// Tries to put `object` where it touches none of the others.
bool find_place(Random& random, double side, const std::vector<Object>& others, Object& object) {
  constexpr int kTries = 40;
  for (int i = 0; i < kTries; ++i) {
    object.centre = {between(random, object.radius, side - object.radius),
                     between(random, object.radius, side - object.radius)};
    const bool free = std::ranges::none_of(others, [&](const Object& other) {
      return std::hypot(other.centre.x - object.centre.x, other.centre.y - object.centre.y) <
             other.radius + object.radius;
    });
    if (free) return true;
  }
  return false;
}

// `count` objects of random size that do not touch; sizes shrink towards the lower limit until they fit.
std::vector<Object> place_objects(Random& random, int count, double side, double low, double high) {
  for (double spread = high - low;; spread *= 0.9) {
    std::vector<Object> objects;
    while (int(objects.size()) < count) {
      Object object{{}, low + spread * random.uniform(), between(random, -0.3, 0.3), random.word(), false};
      object.mirrored = random.below(2) == 1;
      if (!find_place(random, side, objects, object)) break;
      objects.push_back(object);
    }
    if (int(objects.size()) == count) return objects;
  }
}

double wave(double at, double period) { return at - period * std::floor(at / period) - period / 2; }

// The pattern of a texture: points of the second tone are inside.
Canvas::Distance texture_distance(Random& random, int texture, double scale) {
  constexpr double kHalfRoot = 0.7071067811865476;
  const Point phase{between(random, 0, 40), between(random, 0, 40)};
  const auto turn = random.below(4);
  if (texture == striped) {
    const Point directions[] = {{1, 0}, {0, 1}, {kHalfRoot, kHalfRoot}, {kHalfRoot, -kHalfRoot}};
    const Point along = directions[turn];
    const double period = scale * between(random, 6, 9);
    return [=](const Point& p) {
      return std::abs(wave(p.x * along.x + p.y * along.y + phase.x, period)) - period / 4;
    };
  }
  if (texture == checked) {
    const double period = scale * between(random, 8, 12);
    return [=](const Point& p) {
      const double across = std::abs(wave(p.x + phase.x, period)) - period / 4;
      const double down = std::abs(wave(p.y + phase.y, period)) - period / 4;
      const double edge = std::min(std::abs(across), std::abs(down));
      return (across < 0) != (down < 0) ? -edge : edge;
    };
  }
  const double period = scale * between(random, 6, 8);
  return [=](const Point& p) {
    return std::hypot(wave(p.x + phase.x, period), wave(p.y + phase.y, period)) - 0.28 * period;
  };
}

// Grey for shapes, the labelled colour for pictures, with a second tone well apart for the pattern.
Canvas paint_background(Random& random, const SceneLabels& labels, int side, bool coloured) {
  Colour base, second;
  if (coloured) {
    base = jittered(random, kColours[labels[Attribute::colour]], 0.05);
    const double tone = random.below(2) == 1 ? 1 : 0;
    second = mix(base, {tone, tone, tone}, between(random, 0.35, 0.5));
  } else {
    const double grey = between(random, 0.2, 0.8), step = between(random, 0.22, 0.32);
    base = jittered(random, {grey, grey, grey}, 0.03);
    const double other = grey < 0.5 ? grey + step : grey - step;
    second = jittered(random, {other, other, other}, 0.03);
  }
  Canvas canvas(side, side, base);
  const int texture = labels[Attribute::texture];
  if (texture != plain) canvas.paint(second, texture_distance(random, texture, side / kUnit));
  return canvas;
}

void draw_shape(Canvas& canvas, int shape, const Object& object, const Colour& colour) {
  const double cosine = std::cos(object.angle), sine = std::sin(object.angle);
  const double radius = object.radius / 1.15;  // the farthest corner of any outline
  canvas.paint(
      colour,
      [&](const Point& p) {
        const Point d{(p.x - object.centre.x) / radius, (p.y - object.centre.y) / radius};
        return radius * shape_distance(shape, {cosine * d.x + sine * d.y, cosine * d.y - sine * d.x});
      },
      object.centre, object.radius + 1);
}

void draw_sprite(Canvas& canvas, const SpriteClass& kind, const Object& object, SpriteShare share) {
  const size_t held = std::max<size_t>(1, kind.sprites.size() / 5), seen = kind.sprites.size() - held;
  const size_t sprite = share == SpriteShare::train ? object.pick % seen : seen + object.pick % held;
  canvas.paste(kind.sprites[sprite], {object.centre.x - object.radius, object.centre.y - object.radius,
                                      2 * object.radius, object.mirrored});
}

}  // namespace

SceneWorld::SceneWorld(int side) : side_(side) {
  require<ConfigError>(side >= 16 && side <= 1024, "scenes: wanted a side of 16 to 1024 pixels, found ",
                       side);
  words_[size_t(Attribute::colour)] = {"red", "green", "blue", "yellow", "purple", "orange"};
  words_[size_t(Attribute::texture)] = {"plain", "striped", "checked", "dotted"};
  words_[size_t(Attribute::count)] = {"one", "two", "three", "four"};
}

SceneWorld SceneWorld::shapes(int side) {
  SceneWorld world(side);
  world.words_[size_t(Attribute::object)] = shape_names();
  return world;
}

SceneWorld SceneWorld::pictures(std::vector<SpriteClass> classes, int side) {
  require<ConfigError>(classes.size() >= 4, "scenes: wanted at least 4 classes of pictures, found ",
                       classes.size());
  SceneWorld world(side);
  for (const auto& kind : classes) {
    require<ConfigError>(kind.sprites.size() >= 2, "scenes: class '", kind.name,
                         "': wanted at least 2 pictures, found ", kind.sprites.size());
    world.words_[size_t(Attribute::object)].push_back(kind.name);
  }
  world.classes_ = std::move(classes);
  return world;
}

Image SceneWorld::draw(const SceneLabels& labels, const SceneKeys& keys, SpriteShare share) const {
  for (Attribute attribute : kAttributes)
    require<Error>(labels[attribute] >= 0 && labels[attribute] < int(words(attribute).size()),
                   "scenes: label ", labels[attribute], " of attribute ", int(attribute), " is not below ",
                   words(attribute).size());
  Random layout(keys.layout), surface(keys.surface);
  const int count = labels[Attribute::count] + 1;
  const double scale = side_ / kUnit, high = !has_pictures() ? 6.5 : count == 1 ? 13 : 8;
  const auto objects =
      place_objects(layout, count, side_, scale * (has_pictures() ? 5.5 : 4.5), scale * high);
  Canvas canvas = paint_background(surface, labels, side_, has_pictures());
  const Colour colour = jittered(surface, kColours[labels[Attribute::colour]], 0.05);
  for (const Object& object : objects)
    if (has_pictures())
      draw_sprite(canvas, classes_[size_t(labels[Attribute::object])], object, share);
    else
      draw_shape(canvas, labels[Attribute::object], object, colour);
  return canvas.image();
}

Scene make_scene(const SceneWorld& world, uint64_t seed, int64_t index, int64_t colouring) {
  constexpr uint64_t kSupply = 0x5CE0E;  // keeps these keys apart from those of data sets
  const uint64_t layout = random_key({kSupply, seed, uint64_t(index)});
  const uint64_t surface = random_key({layout, uint64_t(colouring)});
  Random deep(random_key({layout, 1, 1})), shallow(random_key({surface, 1, 1}));
  Scene scene;
  for (Attribute attribute : kAttributes) {
    const bool kept = attribute == Attribute::object || attribute == Attribute::count;
    scene.labels[attribute] = int((kept ? deep : shallow).below(int64_t(world.words(attribute).size())));
  }
  scene.image = world.draw(scene.labels, {layout, surface});
  return scene;
}

}  // namespace dehvf
