#include "cli/report_page.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "cli/ablations.h"
#include "cli/compare_page.h"
#include "cli/html.h"
#include "core/error.h"
#include "core/io/file.h"
#include "data/png.h"

namespace dehvf::cli {
namespace {

constexpr char kTitle[] = "Vision for a frozen LLaMA";

std::string decimals(double value, int digits) {
  char text[40];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string percent(double share) { return decimals(100 * share, 1); }

std::string thousands(int64_t value) {
  std::string text = std::to_string(value);
  for (size_t i = text.size(); i > 3;) text.insert(i -= 3, "&#8239;");
  return text;
}

std::string heading(const std::string& kind) {
  return kind == "scenes" ? "Scenes" : kind == "pictures" ? "Real pictures" : escaped(kind);
}

// The accuracy as a bar, its interval as whiskers, chance as a line.
std::string accuracy_bar(const RunRow& row, bool control) {
  const auto x = [](double share) { return decimals(140 * share, 1); };
  const std::string low = x(row.low), high = x(row.high);
  return concat("<svg viewBox='0 0 140 18' role='img' aria-label='", percent(row.image),
                " percent'><rect width='140' height='10' y='4' fill='#f1f3f5'/><rect width='", x(row.image),
                "' height='10' y='4' fill='", control ? "#bcc4cc" : "#7fb0d6", "'/><path d='M", x(0.25),
                " 0V18' stroke='#c8501e' stroke-width='1.2' stroke-dasharray='3 2'/><path d='M", low, " 9H",
                high, "M", low, " 5.5V12.5M", high,
                " 5.5V12.5' stroke='#1b1f24' stroke-width='1.2' fill='none'/></svg>");
}

bool evaluates(const RunRow& row, const RunRow& other) {
  return row.evaluation_of == other.name && row.data == other.data && row.seed == other.seed;
}

// Every row of its own, followed by its further evaluations; none is lost.
std::vector<const RunRow*> ordered(const RunResults& results, const std::string& kind) {
  std::vector<const RunRow*> order;
  for (const RunRow& row : results.rows) {
    const bool has_parent = std::any_of(results.rows.begin(), results.rows.end(),
                                        [&](const RunRow& other) { return evaluates(row, other); });
    if (row.data != kind || has_parent) continue;
    order.push_back(&row);
    for (const RunRow& other : results.rows)
      if (evaluates(other, row)) order.push_back(&other);
  }
  return order;
}

std::vector<std::string> topics_of(const std::vector<const RunRow*>& rows) {
  std::vector<std::string> topics{"colour", "texture", "class", "count"};
  const auto used = [&](const std::string& topic) {
    return std::any_of(rows.begin(), rows.end(),
                       [&](const RunRow* r) { return r->by_topic.contains(topic); });
  };
  std::erase_if(topics, [&](const std::string& topic) { return !used(topic); });
  for (const RunRow* row : rows)
    for (const auto& [topic, unused] : row->by_topic)
      if (topic != "text" && std::find(topics.begin(), topics.end(), topic) == topics.end())
        topics.push_back(topic);
  return topics;
}

std::string table(const RunResults& results, const std::string& kind) {
  const auto rows = ordered(results, kind);
  const auto topics = topics_of(rows);
  const bool seeds =
      std::any_of(rows.begin(), rows.end(), [&](const RunRow* row) { return row->seed != rows[0]->seed; });
  std::string html = concat("<h3>", heading(kind),
                            "</h3>\n<div class='scroll'><table>\n<tr><th>row</th><th>with a picture, "
                            "% [95% interval]</th><th>text only</th><th>all</th>");
  for (const std::string& topic : topics) html += concat("<th>", escaped(topic), "</th>");
  html += "<th>seconds</th></tr>\n";
  for (const RunRow* row : rows) {
    const bool control = !row->evaluation_of.empty();
    html += concat("<tr", control ? " class='of'" : "", "><td>", escaped(row->title), "<small>",
                   escaped(row->name), seeds ? concat(", seed ", row->seed) : "",
                   row->parameters > 0 ? concat(", ", thousands(row->parameters), " trained") : "",
                   "</small></td><td>", accuracy_bar(*row, control), "<b>", percent(row->image), "</b> [",
                   percent(row->low), ", ", percent(row->high), "]</td><td>", percent(row->text), "</td><td>",
                   percent(row->all), "</td>");
    for (const std::string& topic : topics) {
      const auto found = row->by_topic.find(topic);
      html += concat("<td>", found == row->by_topic.end() ? "–" : percent(found->second), "</td>");
    }
    html += concat("<td>", decimals(row->seconds, 1), "</td></tr>\n");
  }
  return html + "</table></div>\n";
}

std::string summary(const RunResults& results) {
  int64_t frozen = 0, low = 0, high = 0, steps = 0, trained = 0;
  for (const RunRow& row : results.rows) {
    frozen = std::max(frozen, row.frozen_parameters);
    steps = std::max(steps, row.steps);
    if (row.parameters == 0) continue;
    ++trained;
    low = low == 0 ? row.parameters : std::min(low, row.parameters);
    high = std::max(high, row.parameters);
  }
  return concat("<p>Between a language model and a vision tower that stay frozen",
                frozen > 0 ? concat(" (", thousands(frozen), " parameters together)") : "", ", ", trained,
                trained == 1 ? " adapter of " : " adapters of ", thousands(low),
                high > low ? concat(" to ", thousands(high)) : "", " parameters ",
                trained == 1 ? "was" : "were each", " trained for ", thousands(steps),
                " steps; everything together took ", decimals(results.seconds, 0), " seconds (mode “",
                escaped(results.mode), "”).</p>\n");
}

std::string plots_of(const Plots& plots, size_t kind) {
  static constexpr const char* kPlots[][3] = {
      {"loss", "Loss", "Cross entropy of the answers while the adapters are trained."},
      {"weights", "What the fuser looks at",
       "Mean weight over test pictures, for keys and values. Grey: levels outside the layer's group."},
      {"slots", "Use of the slots", "Mean absolute activation of each slot over all layers."},
      {"ratio", "Size of the row branch", "Its norm over that of the frozen FFN, layer by layer."}};
  std::string html;
  for (const auto& [name, title, caption] : kPlots) {
    const auto found = plots.svg.find(concat(name, "_", kind));
    if (found == plots.svg.end()) continue;
    html += figure(title, caption, found->second);
  }
  return html;
}

std::string ablations(const RunResults& results, const Plots& plots) {
  const TextTable table = ablation_table(results);
  if (table.rows.empty()) return {};
  std::string html = html_of(table);
  html +=
      "<p class='soft'>Questions with a picture. With several seeds: the mean, from the lowest to the "
      "highest; points from DEHVF are those of the same seed. What a row changes is in "
      "configs/ablations.</p>\n";
  if (const auto found = plots.svg.find("ablations"); found != plots.svg.end())
    html += figure("Row by row", "Each seed with its 95% interval; the band is DEHVF's.", found->second);
  return html;
}

std::string picture(const std::filesystem::path& path) {
  try {
    return concat("<img alt='the picture of the question' src='data:image/png;base64,",
                  base64(encode_png(read_image(path))), "'>");
  } catch (const IoError&) {
    return "<div class='nopicture'>picture not found</div>";
  }
}

// Likelihoods of the choices alone: they sum to 1. Equal where nothing finite is known.
std::vector<double> softmax(const std::vector<double>& log_likelihood) {
  const double top = *std::max_element(log_likelihood.begin(), log_likelihood.end());
  std::vector<double> share;
  double sum = 0;
  for (const double value : log_likelihood) sum += share.emplace_back(std::exp(value - top));
  for (double& value : share) value /= sum;
  return share;
}

std::string example_card(const RunExample& example, const std::filesystem::path& run) {
  const auto share = softmax(example.log_likelihood);
  std::string html = concat("<div class='example'>", picture(run / example.image), "<div><p>",
                            escaped(example.question), "</p>\n");
  for (size_t i = 0; i < example.choices.size(); ++i) {
    const bool chosen = i == example.chosen, right = i == example.answer;
    html += concat("<div class='choice", chosen ? " chosen" : "", "'><i style='width:", percent(share[i]),
                   "%'></i><span>", escaped(example.choices[i]), right ? " <em>✓ right</em>" : "",
                   chosen && !right ? " <em class='no'>✗ chosen</em>"
                   : chosen         ? " <em>chosen</em>"
                                    : "",
                   "</span><span class='value'>", percent(share[i]), " %</span></div>\n");
  }
  return html + "</div></div>\n";
}

std::string examples(const RunResults& results, const std::filesystem::path& run) {
  std::string html;
  for (const std::string& kind : results.kinds())
    for (const RunRow& row : results.rows) {
      if (row.data != kind || row.examples.empty()) continue;
      html += concat("<h3>", heading(kind), ": ", escaped(row.title), ", seed ", row.seed,
                     "</h3>\n<div class='examples'>\n");
      for (const RunExample& example : row.examples) html += example_card(example, run);
      html += "</div>\n";
    }
  return html.empty() ? html
                      : concat(
                            "<h2>Examples</h2>\n<p class='soft'>Test questions with the likelihood of each "
                            "choice, normalised over the choices. The blue frame is what the model chose."
                            "</p>\n",
                            html);
}

}  // namespace

std::string report_page(const RunResults& results, const std::filesystem::path& run, const Plots& plots) {
  std::string html = concat(page_head(kTitle), summary(results), "<h2>Results</h2>\n");
  for (const std::string& kind : results.kinds()) html += table(results, kind);
  html +=
      "<p class='soft'>Accuracies in percent, of questions with a picture, of text only, of all, and by "
      "topic. "
      "Bars with whiskers: the first and its 95% Wilson interval; the dashed line is chance (25%). Indented "
      "rows evaluate the adapter above them on other pictures, without further training. Tower adapters are "
      "off and the tower's levels cached in all rows but the one with tower adapters.</p>\n";
  html += ablations(results, plots);
  if (!plots.missing.empty()) html += concat("<p class='soft'>", escaped(plots.missing), "</p>\n");
  const auto kinds = results.kinds();
  for (size_t i = 0; i < kinds.size(); ++i)
    if (const std::string figures = plots_of(plots, i); !figures.empty())
      html += concat("<h2>Inside: ", heading(kinds[i]), "</h2>\n<div class='plots'>\n", figures, "</div>\n");
  return html + examples(results, run) + "</body></html>\n";
}

}  // namespace dehvf::cli
