#include "cli/tape_picture.h"

#include <algorithm>
#include <cmath>

#include "cli/html.h"
#include "cli/layered_layout.h"
#include "core/error.h"

namespace dehvf::cli {
namespace {

constexpr double kLine = 15, kLetter = 6.7, kMargin = 24, kTitle = 34, kHeader = 92;

enum class Role : uint8_t { trains, passes, frozen };  // has a trained parameter, has a gradient, has none
constexpr const char* kRoles[] = {"trains", "passes", "frozen"};

struct TextLine {
  std::string text;
  const char* style;
};

struct Node {
  std::vector<TextLine> lines;
  Role role = Role::frozen;
  bool from_elsewhere = false;
};

// All ops of one phase.
struct Group {
  std::string name;
  std::vector<Node> nodes;
  std::vector<std::pair<int, int>> edges;
  std::vector<bool> edge_runs_back;
  int like_it = 0;  // how many more were as this one
  Layout layout = {};
  Point corner = {};
  Extent extent = {};
};

std::string human(size_t bytes) {
  if (bytes < 10240) return concat(bytes, " B");
  const double kib = double(bytes) / 1024;
  return kib < 10240 ? concat(std::lround(kib), " KiB") : concat(std::lround(kib / 1024), " MiB");
}

// The last parts of a path say enough inside a group.
std::string short_name(const std::string& path, int parts) {
  size_t at = path.size();
  for (int part = 0; part < parts && at != std::string::npos && at > 0; ++part) at = path.rfind('.', at - 1);
  return at == std::string::npos || at == 0 ? path : path.substr(at + 1);
}

std::string without_digits(const std::string& text) {
  std::string result;
  for (char letter : text)
    if (!std::isdigit(static_cast<unsigned char>(letter))) result += letter;
  return result;
}

class Groups {
 public:
  explicit Groups(const TapeWatch& watch)
      : watch_(watch), group_of_(watch.ops().size()), node_of_(watch.values().size(), -1) {
    std::string phase = "step";
    for (size_t i = 0; i < watch.ops().size(); ++i) {
      if (!watch.ops()[i].phase.empty()) phase = watch.ops()[i].phase;
      if (all_.empty() || all_.back().name != phase) {
        all_.push_back({.name = phase});
        std::ranges::fill(node_of_, -1);
      }
      group_of_[i] = all_.size() - 1;
      add(watch.ops()[i], all_.back());
    }
  }

  // Runs of alike groups as one.
  std::vector<Group> folded() const {
    std::vector<Group> result;
    for (const Group& group : all_) {
      if (!result.empty() && kind(result.back()) == kind(group))
        ++result.back().like_it;
      else
        result.push_back(group);
    }
    return result;
  }

 private:
  using Value = TapeWatch::Value;

  void add(const TapeWatch::Op& op, Group& group) {
    const Value& output = watch_.values()[size_t(op.output)];
    Node node{.lines = {{op.name, "op"}, {size_text(output), "size"}},
              .role = output.wants_grad ? Role::passes : Role::frozen};
    std::vector<int> from;
    for (int input : op.inputs) {
      const Value& value = watch_.values()[size_t(input)];
      if (value.op < 0) {
        node.lines.push_back(leaf_line(value));
        if (value.wants_grad) node.role = Role::trains;
      } else {
        from.push_back(input);
      }
    }
    for (int input : from)
      if (node_of_[size_t(input)] < 0)
        node_of_[size_t(input)] = add_from_elsewhere(watch_.values()[size_t(input)], group);
    const int own = int(group.nodes.size());
    for (int input : from) {
      const std::pair edge{node_of_[size_t(input)], own};
      if (std::ranges::find(group.edges, edge) != group.edges.end()) continue;
      group.edges.push_back(edge);
      group.edge_runs_back.push_back(watch_.values()[size_t(input)].wants_grad);
    }
    group.nodes.push_back(std::move(node));
    node_of_[size_t(op.output)] = own;
  }

  int add_from_elsewhere(const Value& value, Group& group) {
    const std::string& where = all_[group_of_[size_t(value.op)]].name;
    group.nodes.push_back(
        {.lines = {{concat("from ", where), "op"},
                   {concat(watch_.ops()[size_t(value.op)].name, "  ", value.shape), "size"}},
         .role = value.wants_grad ? Role::passes : Role::frozen,
         .from_elsewhere = true});
    return int(group.nodes.size()) - 1;
  }

  static std::string size_text(const Value& value) {
    return concat(value.shape, ' ', value.dtype, ", ",
                  human(size_t(value.shape.count()) * size_of(value.dtype)));
  }

  static TextLine leaf_line(const Value& value) {
    if (value.name.empty()) return {concat("constant ", value.shape), "constant"};
    return {concat(value.wants_grad ? "● " : "○ ", short_name(value.name, value.wants_grad ? 3 : 2), ' ',
                   value.shape),
            value.wants_grad ? "trained" : "weight"};
  }

  static std::string kind(const Group& group) {
    std::string text = without_digits(group.name);
    for (const Node& node : group.nodes) {
      text += kRoles[int(node.role)];
      for (const TextLine& line : node.lines) {
        const size_t shape = line.text.rfind('[');
        text +=
            without_digits(line.text.substr(0, shape)) + line.text.substr(std::min(shape, line.text.size()));
      }
    }
    for (const auto& [from, to] : group.edges) text += concat(' ', from, '-', to);
    return text;
  }

  const TapeWatch& watch_;
  std::vector<size_t> group_of_;  // of each op
  std::vector<int> node_of_;      // of each value, in the group that is being made
  std::vector<Group> all_;
};

Extent extent_of(const Node& node) {
  size_t letters = 0;
  for (const TextLine& line : node.lines) letters = std::max(letters, line.text.size());
  return {20 + kLetter * double(letters), 10 + kLine * double(node.lines.size())};
}

// Groups in columns, of about the height that makes a square of all. Returns what they take together.
Extent place(std::vector<Group>& groups) {
  double height = 0, area = 0;
  for (Group& group : groups) {
    std::vector<Extent> sizes;
    for (const Node& node : group.nodes) sizes.push_back(extent_of(node));
    group.layout = layered_layout(sizes, group.edges);
    group.extent = {std::max(group.layout.extent.width, 150.0) + 2 * kMargin,
                    group.layout.extent.height + kTitle + kMargin};
    height = std::max(height, group.extent.height);
    area += group.extent.width * group.extent.height;
  }
  height = std::max(height, 0.8 * std::sqrt(area));
  double x = kMargin, y = kHeader, column = 0, lowest = 0;
  for (Group& group : groups) {
    if (y > kHeader && y + group.extent.height > kHeader + height)
      x += column + kMargin, y = kHeader, column = 0;
    group.corner = {x, y};
    y += group.extent.height + kMargin;
    column = std::max(column, group.extent.width);
    lowest = std::max(lowest, y);
  }
  return {std::max(800.0, x + column + kMargin), lowest};
}

std::string text_at(Point at, const char* style, const std::string& text, const char* anchor = "middle") {
  return concat("<text class=\"", style, "\" x=\"", at.x, "\" y=\"", at.y, "\" text-anchor=\"", anchor, "\">",
                escaped(text), "</text>\n");
}

std::string box(Point corner, Extent size, const std::string& style, double round) {
  return concat("<rect class=\"", style, "\" x=\"", corner.x, "\" y=\"", corner.y, "\" width=\"", size.width,
                "\" height=\"", size.height, "\" rx=\"", round, "\"/>\n");
}

std::string way(const std::vector<Point>& points, Point shift, bool runs_back) {
  std::string path = concat("M", points[0].x + shift.x, ' ', points[0].y + shift.y);
  for (size_t i = 1; i < points.size(); ++i) {
    const Point a{points[i - 1].x + shift.x, points[i - 1].y + shift.y},
        b{points[i].x + shift.x, points[i].y + shift.y};
    const double middle = (a.y + b.y) / 2;
    path += concat(" C", a.x, ' ', middle, ' ', b.x, ' ', middle, ' ', b.x, ' ', b.y);
  }
  return concat("<path class=\"", runs_back ? "back" : "still", "\" marker-end=\"url(#",
                runs_back ? "back" : "still", ")\" d=\"", path, "\"/>\n");
}

std::string drawn(const Node& node, Point centre) {
  const Extent size = extent_of(node);
  const Point corner{centre.x - size.width / 2, centre.y - size.height / 2};
  std::string svg = box(corner, size, concat(kRoles[int(node.role)], node.from_elsewhere ? " elsewhere" : ""),
                        node.from_elsewhere ? 14 : 5);
  for (size_t i = 0; i < node.lines.size(); ++i)
    svg += text_at({centre.x, corner.y + 5 + kLine * (double(i) + 0.75)}, node.lines[i].style,
                   node.lines[i].text);
  return svg;
}

std::string drawn(const Group& group) {
  std::string svg = box(group.corner, group.extent, "group", 10);
  const std::string more = group.like_it > 0 ? concat(", and ", group.like_it, " like it") : "";
  svg += text_at({group.corner.x + 14, group.corner.y + 22}, "name", group.name + more, "start");
  const Point shift{group.corner.x + (group.extent.width - group.layout.extent.width) / 2,
                    group.corner.y + kTitle};
  for (bool runs_back : {false, true})  // what flows back lies on top
    for (size_t i = 0; i < group.edges.size(); ++i)
      if (group.edge_runs_back[i] == runs_back) svg += way(group.layout.ways[i], shift, runs_back);
  for (size_t i = 0; i < group.nodes.size(); ++i) {
    const Point centre = group.layout.centres[i];
    svg += drawn(group.nodes[i], {centre.x + shift.x, centre.y + shift.y});
  }
  return svg;
}

constexpr const char* kStyle = R"(<style>
text { font: 11px "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #343a40 }
.title { font: bold 18px sans-serif } .legend, .name { font: 13px sans-serif } .name { font-weight: bold }
.op { font-weight: bold } .size, .constant { fill: #868e96 } .trained { fill: #087f5b } .weight { fill: #1864ab }
rect { stroke-width: 1.2 } .group { fill: #fff; stroke: #dee2e6 }
.trains { fill: #d3f9d8; stroke: #2f9e44 } .passes { fill: #fff3bf; stroke: #f08c00 }
.frozen { fill: #f1f3f5; stroke: #adb5bd } .elsewhere { fill: #fff; stroke-dasharray: 4 3 }
path { fill: none } .back { stroke: #f08c00; stroke-width: 1.6 } .still { stroke: #ced4da; stroke-width: 1.4 }
marker path { stroke: none } #back path { fill: #f08c00 } #still path { fill: #adb5bd }
</style>
<defs>
<marker id="back" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto"><path d="M0 0 8 4 0 8z"/></marker>
<marker id="still" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto"><path d="M0 0 8 4 0 8z"/></marker>
</defs>
)";

std::string header(const TapeWatch& watch, const std::string& title) {
  size_t back = 0, bytes = 0;
  for (const TapeWatch::Op& op : watch.ops()) {
    const TapeWatch::Value& value = watch.values()[size_t(op.output)];
    back += value.wants_grad;
    bytes += size_t(value.shape.count()) * size_of(value.dtype);
  }
  std::string svg = text_at({kMargin, 32}, "title", title, "start");
  svg +=
      text_at({kMargin, 54}, "legend",
              concat(watch.ops().size(), " ops, ", human(bytes), " of results; ", back, " ops are run back"),
              "start");
  double x = kMargin;
  const auto entry = [&](const char* style, const std::string& text) {
    svg += box({x, 66}, {16, 12}, style, 3) + text_at({x + 22, 77}, "legend", text, "start");
    x += 44 + 7.0 * double(text.size());
  };
  entry("trains", "has trained parameters ●");
  entry("passes", "passes gradients on");
  entry("frozen", "not run back");
  entry("passes elsewhere", "comes from another box");
  return svg + text_at({x, 77}, "weight", "○ frozen weight", "start");
}

}  // namespace

std::string tape_picture(const TapeWatch& watch, const std::string& title) {
  std::vector<Group> groups = Groups(watch).folded();
  const Extent all = place(groups);
  std::string svg = concat("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"", all.width, "\" height=\"",
                           all.height, "\" viewBox=\"0 0 ", all.width, ' ', all.height, "\">\n", kStyle);
  svg += concat("<rect width=\"", all.width, "\" height=\"", all.height, "\" fill=\"#f8f9fa\"/>\n");
  svg += header(watch, title);
  for (const Group& group : groups) svg += drawn(group);
  return svg + "</svg>\n";
}

}  // namespace dehvf::cli
