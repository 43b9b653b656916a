#include "cli/reproduce_page.h"

#include <cmath>
#include <cstdio>

#include "cli/compare_page.h"
#include "cli/html.h"
#include "core/error.h"

namespace dehvf::cli {
namespace {

struct List {
  const char* title;
  std::vector<std::string> Reproduction::*lines;
};
constexpr List kLists[] = {{"What it needs", &Reproduction::needs},
                           {"What differs", &Reproduction::differs},
                           {"Not reproduced", &Reproduction::missing}};
constexpr char kCommands[] = "Commands";

// Two decimals, more of what is small.
std::string number(double value, bool sign = false) {
  char text[40];
  std::snprintf(text, sizeof text, sign ? "%+.*f" : "%.*f", std::abs(value) < 0.1 && value != 0 ? 4 : 2,
                value);
  return text;
}

std::string with_unit(const std::optional<double>& value, const std::string& unit, const char* none) {
  return value ? concat(number(*value), unit.empty() ? "" : " ", unit) : none;
}

// Those whose name begins so, as scripts/plot.py names them.
std::string pictures_of(const Plots& plots, const std::string& begin) {
  std::string html;
  for (const auto& [name, svg] : plots.svg)
    if (name.starts_with(begin)) html += figure("The toy", "Accuracy or weights as in the table.", svg);
  return html.empty() ? html : concat("<div class='plots'>\n", html, "</div>\n");
}

Json json_of(const TextTable& table) {
  return {{"title", table.title}, {"head", table.head}, {"rows", table.rows}};
}

Json json_of(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

}  // namespace

TextTable figures_table(const Reproduction& reproduction) {
  TextTable table{"Published and here", {"method", "what", "published", "here", "difference", "source"}, {}};
  for (const Figure& figure : reproduction.figures) {
    const auto difference = figure.difference();
    table.rows.push_back({figure.method, figure.what, with_unit(figure.published, figure.unit, "not known"),
                          with_unit(figure.here, figure.unit, "not run"),
                          difference
                              ? concat(number(*difference, true),
                                       figure.unit == "%" || figure.unit == "points" ? " points" : " %")
                              : "–",
                          figure.source});
  }
  return table;
}

std::string reproduction_markdown(const Reproduction& reproduction) {
  std::string text = concat("## ", reproduction.title, "\n\n", reproduction.claim, "\n");
  if (const TextTable table = figures_table(reproduction); !table.rows.empty()) text += markdown_of(table);
  for (const TextTable& table : reproduction.details) text += markdown_of(table);
  if (!reproduction.commands.empty()) {
    text += concat("\n", kCommands, ":\n\n");
    for (const std::string& command : reproduction.commands) text += concat("    ", command, "\n");
  }
  for (const auto& [title, lines] : kLists) {
    if ((reproduction.*lines).empty()) continue;
    text += concat("\n", title, ":\n\n");
    for (const std::string& line : reproduction.*lines) text += concat("- ", line, "\n");
  }
  return text;
}

std::string reproduction_page(const Reproduction& reproduction, const Plots& plots) {
  std::string html =
      concat(page_head(escaped(reproduction.title)), "<p>", escaped(reproduction.claim), "</p>\n");
  if (const TextTable table = figures_table(reproduction); !table.rows.empty()) html += html_of(table);
  for (const TextTable& table : reproduction.details) html += html_of(table);
  if (!plots.missing.empty()) html += concat("<p class='soft'>", escaped(plots.missing), "</p>\n");
  html += pictures_of(plots, reproduction.name == "weights" ? "weights" : "ablations");
  if (!reproduction.commands.empty()) html += concat("<h2>", kCommands, "</h2>\n");
  for (const std::string& command : reproduction.commands)
    html += concat("<pre>", escaped(command), "</pre>\n");
  for (const auto& [title, lines] : kLists) {
    if ((reproduction.*lines).empty()) continue;
    html += concat("<h2>", title, "</h2>\n<ul>\n");
    for (const std::string& line : reproduction.*lines) html += concat("<li>", escaped(line), "</li>\n");
    html += "</ul>\n";
  }
  return html + "</body></html>\n";
}

Json reproduction_json(const Reproduction& reproduction) {
  Json json{{"version", 1},
            {"what", "reproduce"},
            {"table", reproduction.name},
            {"title", reproduction.title},
            {"claim", reproduction.claim},
            {"figures", Json::array()},
            {"details", Json::array()},
            {"commands", reproduction.commands},
            {"needs", reproduction.needs},
            {"differs", reproduction.differs},
            {"not_reproduced", reproduction.missing}};
  for (const Figure& figure : reproduction.figures)
    json["figures"].push_back({{"method", figure.method},
                               {"what", figure.what},
                               {"unit", figure.unit},
                               {"published", json_of(figure.published)},
                               {"here", json_of(figure.here)},
                               {"difference", json_of(figure.difference())},
                               {"source", figure.source}});
  for (const TextTable& table : reproduction.details) json["details"].push_back(json_of(table));
  return json;
}

}  // namespace dehvf::cli
