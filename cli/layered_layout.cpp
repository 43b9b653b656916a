#include "cli/layered_layout.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace dehvf::cli {
namespace {

constexpr double kGapX = 14, kGapY = 30, kWayWidth = 10;
constexpr int kSweeps = 24, kAlignments = 400;

// A node, or where an edge passes a layer.
struct Item {
  Extent extent;
  int layer = 0;
  std::vector<int> up, down;
  double x = 0;
};

class Layers {
 public:
  Layers(std::span<const Extent> nodes, std::span<const std::pair<int, int>> edges) {
    for (const Extent& extent : nodes) items_.push_back({extent});
    choose_layers(edges);
    for (const auto& [from, to] : edges) thread(from, to);
    rows_.resize(1 + size_t(std::ranges::max(items_, {}, &Item::layer).layer));
    for (size_t i = 0; i < items_.size(); ++i) rows_[size_t(items_[i].layer)].push_back(int(i));
  }

  Layout run(size_t nodes) {
    order();
    for (int i = 0; i < kAlignments; ++i) align(i % 2 == 0, i > kAlignments / 4);
    return layout(nodes);
  }

 private:
  // As deep as what leads to a node; what nothing leads to stands above what needs it first.
  void choose_layers(std::span<const std::pair<int, int>> edges) {
    std::vector<bool> led_to(items_.size(), false);
    std::vector<std::pair<int, int>> sorted(edges.begin(), edges.end());
    std::ranges::sort(sorted);
    for (const auto& [from, to] : sorted) {
      items_[size_t(to)].layer = std::max(items_[size_t(to)].layer, items_[size_t(from)].layer + 1);
      led_to[size_t(to)] = true;
    }
    std::vector<int> nearest(items_.size(), INT32_MAX);
    for (const auto& [from, to] : sorted)
      nearest[size_t(from)] = std::min(nearest[size_t(from)], items_[size_t(to)].layer);
    for (size_t i = 0; i < items_.size(); ++i)
      if (!led_to[i] && nearest[i] != INT32_MAX) items_[i].layer = nearest[i] - 1;
  }

  void thread(int from, int to) {
    std::vector<int> way{from};
    for (int layer = items_[size_t(from)].layer + 1; layer < items_[size_t(to)].layer; ++layer) {
      way.push_back(int(items_.size()));
      items_.push_back({{kWayWidth, 0}, layer});
    }
    way.push_back(to);
    for (size_t i = 1; i < way.size(); ++i) {
      items_[size_t(way[i - 1])].down.push_back(way[i]);
      items_[size_t(way[i])].up.push_back(way[i - 1]);
    }
    ways_.push_back(std::move(way));
  }

  std::vector<double> places() const {
    std::vector<double> place(items_.size());
    for (const auto& row : rows_)
      for (size_t i = 0; i < row.size(); ++i) place[size_t(row[i])] = double(i);
    return place;
  }

  int64_t crossings() const {
    const auto place = places();
    int64_t count = 0;
    for (const auto& row : rows_) {
      std::vector<std::pair<double, double>> ends;
      for (int i : row)
        for (int other : items_[size_t(i)].down) ends.emplace_back(place[size_t(i)], place[size_t(other)]);
      for (size_t a = 0; a < ends.size(); ++a)
        for (size_t b = a + 1; b < ends.size(); ++b)
          count += (ends[a].first - ends[b].first) * (ends[a].second - ends[b].second) < 0;
    }
    return count;
  }

  // Rows are sorted by where their neighbours stand, downwards and upwards in turn; the best order is kept.
  void order() {
    auto best = rows_;
    int64_t fewest = crossings();
    for (int sweep = 0; sweep < kSweeps && fewest > 0; ++sweep) {
      const bool down = sweep % 2 == 0;
      for (size_t k = 0; k < rows_.size(); ++k) {
        auto& row = rows_[down ? k : rows_.size() - 1 - k];
        const auto place = places();
        const auto wanted = [&](int i) {
          const auto& near = down ? items_[size_t(i)].up : items_[size_t(i)].down;
          double sum = 0;
          for (int other : near) sum += place[size_t(other)];
          return near.empty() ? place[size_t(i)] : sum / double(near.size());
        };
        std::ranges::stable_sort(row, {}, wanted);
      }
      if (const int64_t now = crossings(); now < fewest) fewest = now, best = rows_;
    }
    rows_ = best;
    for (auto& row : rows_) {
      double x = 0;
      for (int i : row) {
        items_[size_t(i)].x = x + items_[size_t(i)].extent.width / 2;
        x += items_[size_t(i)].extent.width + kGapX;
      }
    }
  }

  void align(bool down, bool straight) {
    for (size_t k = 0; k < rows_.size(); ++k) align_row(rows_[down ? k : rows_.size() - 1 - k], straight);
  }

  // How strongly an edge between neighbours pulls. Least squares spreads a shift over a whole chain; weights
  // that fall with the distance make it the least sum of distances, which is straight but for few bends.
  static double pull(const Item& a, const Item& b, bool straight) {
    const int passing = (a.extent.height == 0) + (b.extent.height == 0);
    const double weight = passing == 2 ? 8 : passing == 1 ? 2 : 1;
    return straight ? weight / (std::fabs(a.x - b.x) + 4) : weight;
  }

  // Everything moves to where its neighbours pull it as far as the row's order and gaps allow: the least
  // squares answer, by pooling those that would overlap.
  void align_row(const std::vector<int>& row, bool straight) {
    struct Pool {
      double sum = 0, weight = 0;
      size_t count = 0;
      double place() const { return sum / weight; }
    };
    std::vector<Pool> pools;
    std::vector<double> offsets;
    double offset = 0;
    for (size_t i = 0; i < row.size(); ++i) {
      const Item& item = items_[size_t(row[i])];
      if (i > 0) offset += (items_[size_t(row[i - 1])].extent.width + item.extent.width) / 2 + kGapX;
      offsets.push_back(offset);
      Pool pool{1e-6 * (item.x - offset), 1e-6, 1};
      for (const auto* near : {&item.up, &item.down})
        for (int other : *near) {
          const double weight = pull(item, items_[size_t(other)], straight);
          pool.sum += weight * (items_[size_t(other)].x - offset), pool.weight += weight;
        }
      pools.push_back(pool);
      while (pools.size() > 1 && pools[pools.size() - 2].place() > pools.back().place()) {
        const Pool last = pools.back();
        pools.pop_back();
        pools.back().sum += last.sum, pools.back().weight += last.weight, pools.back().count += last.count;
      }
    }
    size_t i = 0;
    for (const Pool& pool : pools)
      for (size_t k = 0; k < pool.count; ++k, ++i) items_[size_t(row[i])].x = pool.place() + offsets[i];
  }

  Layout layout(size_t nodes) const {
    double left = INT32_MAX, right = 0, y = 0;
    for (const Item& item : items_) left = std::min(left, item.x - item.extent.width / 2);
    for (const Item& item : items_) right = std::max(right, item.x + item.extent.width / 2 - left);
    std::vector<std::pair<double, double>> bands;  // top and bottom of each row
    for (const auto& row : rows_) {
      double height = 0;
      for (int i : row) height = std::max(height, items_[size_t(i)].extent.height);
      bands.emplace_back(y, y + height);
      y += height + kGapY;
    }
    Layout result{.extent = {right, y - kGapY}};
    const auto middle = [&](const Item& item) {
      const auto& [top, bottom] = bands[size_t(item.layer)];
      return Point{item.x - left, (top + bottom) / 2};
    };
    for (size_t i = 0; i < nodes; ++i) result.centres.push_back(middle(items_[i]));
    for (const auto& way : ways_) {
      std::vector<Point> points;
      for (size_t i = 0; i < way.size(); ++i) {
        const Item& item = items_[size_t(way[i])];
        const auto& [top, bottom] = bands[size_t(item.layer)];
        const Point centre = middle(item);
        const bool passes = i > 0 && i + 1 < way.size();
        if (i > 0) points.push_back({centre.x, passes ? top : centre.y - item.extent.height / 2});
        if (i + 1 < way.size())
          points.push_back({centre.x, passes ? bottom : centre.y + item.extent.height / 2});
      }
      result.ways.push_back(std::move(points));
    }
    return result;
  }

  std::vector<Item> items_;
  std::vector<std::vector<int>> rows_, ways_;
};

}  // namespace

Layout layered_layout(std::span<const Extent> nodes, std::span<const std::pair<int, int>> edges) {
  if (nodes.empty()) return {};
  return Layers(nodes, edges).run(nodes.size());
}

}  // namespace dehvf::cli
