#include "cli/compare_page.h"

#include "bench/compare.h"
#include "cli/html.h"
#include "core/error.h"

namespace dehvf::cli {
namespace {

struct Figure {
  const char *name, *title, *caption;
};
constexpr Figure kFigures[] = {
    {"ratio", "How much faster than LLaVA-LoRA", "Training step, by the length of the texts; 1 is as fast."},
    {"parts", "Where a step goes", "Predicted time by part of the model; the length is the middle one."},
    {"memory", "What a step holds", "At the peak, by purpose; the same length."}};

constexpr size_t kLong = 40;  // a cell of more bytes is broken into lines

}  // namespace

std::string html_of(const TextTable& table) {
  std::string html = concat("<h2>", escaped(table.title), "</h2>\n<div class='scroll'><table><thead><tr>");
  for (const std::string& cell : table.head) html += concat("<th>", escaped(cell), "</th>");
  html += "</tr></thead><tbody>\n";
  for (const auto& row : table.rows) {
    html += "<tr>";
    for (const std::string& cell : row)
      html += concat(cell.size() > kLong ? "<td class='long'>" : "<td>", escaped(cell), "</td>");
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

std::string compare_page(const Json& result, const Plots& plots) {
  std::string html = concat(page_head("Methods side by side"), "<p>", escaped(compare_caption(result)),
                            " Every method runs on the same engine, between the same frozen models.</p>\n");
  if (!plots.missing.empty()) html += concat("<p class='soft'>", escaped(plots.missing), "</p>\n");
  html += "<div class='plots'>\n";
  for (const auto& [name, title, caption] : kFigures)
    if (const auto found = plots.svg.find(name); found != plots.svg.end())
      html += figure(title, caption, found->second);
  html += "</div>\n";
  for (const TextTable& table : compare_tables(result)) html += html_of(table);
  return html + "</body></html>\n";
}

}  // namespace dehvf::cli
