// Pictures of the graph: nothing overlaps, edges lead downwards, and they show what a step is made of.
#include <gmock/gmock.h>

#include "cli/commands.h"
#include "cli/layered_layout.h"
#include "core/io/file.h"
#include "core/random.h"
#include "support/temporary_folder.h"

namespace dehvf::cli {
namespace {

using ::testing::HasSubstr;

TEST(LayeredLayout, KeepsNodesApartAndEdgesDownward) {
  Random random(11);
  for (int round = 0; round < 20; ++round) {
    std::vector<Extent> nodes;
    std::vector<std::pair<int, int>> edges;
    for (int i = 0; i < 23; ++i) {
      nodes.push_back({20.0 + double(random.below(90)), 15.0 + double(random.below(40))});
      for (int k = 0; i > 0 && k < 2; ++k)
        if (const int from = int(random.below(uint64_t(i))); random.below(4) > 0) edges.emplace_back(from, i);
    }
    std::ranges::sort(edges);
    edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
    const Layout layout = layered_layout(nodes, edges);
    for (size_t a = 0; a < nodes.size(); ++a) {
      const Point p = layout.centres[a];
      EXPECT_GE(p.x, nodes[a].width / 2 - 1e-6);
      EXPECT_LE(p.x, layout.extent.width - nodes[a].width / 2 + 1e-6);
      EXPECT_LE(p.y, layout.extent.height - nodes[a].height / 2 + 1e-6);
      for (size_t b = a + 1; b < nodes.size(); ++b) {
        const Point q = layout.centres[b];
        EXPECT_TRUE(std::fabs(p.x - q.x) >= (nodes[a].width + nodes[b].width) / 2 ||
                    std::fabs(p.y - q.y) >= (nodes[a].height + nodes[b].height) / 2)
            << a << " over " << b;
      }
    }
    ASSERT_EQ(layout.ways.size(), edges.size());
    for (size_t e = 0; e < edges.size(); ++e) {
      const auto& way = layout.ways[e];
      EXPECT_DOUBLE_EQ(way.front().x, layout.centres[size_t(edges[e].first)].x);
      EXPECT_DOUBLE_EQ(way.back().x, layout.centres[size_t(edges[e].second)].x);
      for (size_t i = 1; i < way.size(); ++i) EXPECT_GE(way[i].y, way[i - 1].y);
    }
  }
}

TEST(LayeredLayout, AChainIsStraightAndATreeDoesNotCross) {
  const std::vector<Extent> nodes(4, {30, 10});
  const std::pair<int, int> chain[] = {{0, 1}, {1, 2}, {2, 3}, {0, 3}};
  const Layout straight = layered_layout(nodes, chain);
  EXPECT_NEAR(straight.centres[1].x, straight.centres[2].x, 1);
  const std::pair<int, int> crossed[] = {{0, 3}, {1, 2}};
  const Layout tree = layered_layout(nodes, crossed);
  EXPECT_EQ(tree.centres[0].x < tree.centres[1].x, tree.centres[3].x < tree.centres[2].x);
}

TEST(TapePicture, ShowsWhatAStepIsMadeOf) {
  const TemporaryFolder folder;
  const auto file = folder / "graph.svg";
  run_command(add_check_operator, {"check-operator", "memvp", "--graph", file});
  const std::string svg = read_file(file);
  EXPECT_TRUE(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
  for (const char* text :
       {">llama_block 0<", ">llama_block 2<", ">encode<", ">visual_rows<", ">from encode<",
        ">● slot_keys [11, 14]<", ">○ q_proj.weight [12, 14]<", ">vit_block 1, and 1 like it<"})
    EXPECT_THAT(svg, HasSubstr(text));
}

}  // namespace
}  // namespace dehvf::cli
