// A comparison as text.
#include <algorithm>
#include <cstdio>

#include "bench/compare.h"
#include "core/io/file.h"

namespace dehvf {
namespace {

constexpr const char* kPhases[] = {"train", "images", "first_token", "next_token"};

std::string decimals(double value, int digits) {
  char text[40];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

// Three figures.
std::string rounded(double value) {
  return decimals(value, value < 1 ? 3 : value < 10 ? 2 : value < 100 ? 1 : 0);
}

std::string number(const Json& object, const char* key) {
  return object.contains(key) ? decimals(object[key].get<double>(), 9) : "";
}

double time_of(const Json& phase) {
  return phase.contains("measured_s") ? phase["measured_s"]["median"].get<double>()
                                      : phase["forecast_s"].get<double>();
}

// "(1.50 of 1.56)": how much faster than the reference, and how much more it could be; empty without one.
std::string ratios_of(const Json& train) {
  if (!train.contains("ratio_floor")) return "";
  const char* const key = train.contains("ratio_measured") ? "ratio_measured" : "ratio_forecast";
  return concat(" (", decimals(train[key], 2), " of ", decimals(train["ratio_floor"], 2), ")");
}

std::string memory_of(const Json& train) {
  if (!train.contains("measured_peak_bytes")) return rounded(1e-9 * train["peak_bytes"].get<double>());
  const double more = train["peak_more_percent"];
  return concat(rounded(1e-9 * train["measured_peak_bytes"].get<double>()), " (", more < 0 ? "" : "+",
                decimals(more, 1), " %)");
}

std::string forecast_of(const Json& at) {
  const Json& train = at["train"];
  const double forecast = train["forecast_s"];
  std::string text = rounded(1e3 * forecast);
  if (train.contains("measured_s")) text += concat(" (", decimals(time_of(train) / forecast, 2), ")");
  return text;
}

std::string energy_of(const Json& at) {
  const Json& train = at["train"];
  if (!train.contains("measured_j")) return "";
  return concat(rounded(train["measured_j"]), " (", rounded(train["measured_w"]), ")");
}

// Whether any training step of the result has this.
bool tells(const Json& result, const char* key) {
  return std::ranges::any_of(result["rows"], [&](const Json& row) {
    const Json lengths = row.value("lengths", Json::array());
    return std::ranges::any_of(lengths, [&](const Json& at) { return at["train"].contains(key); });
  });
}

std::string line_of(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const std::string& cell : cells) {
    line += ' ';
    for (const char c : cell) line += c == '|' ? "\\|" : c == '\n' ? " " : std::string(1, c);
    line += " |";
  }
  return line + "\n";
}

// A column for each length, of what `cell` says of it.
TextTable by_length(const Json& result, const std::string& title,
                    const std::function<std::string(const Json& at)>& cell) {
  TextTable table{title, {"method", "trained"}, {}};
  for (const Json& length : result["lengths"]) table.head.push_back(concat(length.get<int64_t>(), " tokens"));
  if (result.contains("counted")) table.head.push_back("expected");
  for (const Json& row : result["rows"]) {
    std::vector<std::string> cells{row["name"]};
    if (row.contains("failed")) {
      cells.push_back(concat("cannot be had: ", row["failed"].get<std::string>()));
    } else {
      cells.push_back(rounded(1e-6 * row["trained"].get<double>()) + " M");
      for (const Json& at : row["lengths"]) cells.push_back(cell(at));
      if (row.contains("expected")) cells.push_back(cell(row["expected"]));
    }
    cells.resize(table.head.size());
    table.rows.push_back(std::move(cells));
  }
  return table;
}

}  // namespace

std::string compare_csv(const Json& result) {
  std::string text =
      "method,fusion,trained,published,length,phase,flops,floor_s,forecast_s,measured_s,low_s,high_s,peak_"
      "bytes,measured_peak_bytes,measured_j,measured_w,"
      "ratio_floor,ratio_forecast,ratio_measured\n";
  for (const Json& row : result["rows"]) {
    if (row.contains("failed")) continue;
    for (const Json& at : row["lengths"])
      for (const char* name : kPhases) {
        const Json& phase = at[name];
        const Json measured = phase.value("measured_s", Json::object());
        text += concat(row["name"].get<std::string>(), ',', row["fusion"].get<std::string>(), ',',
                       row["trained"].get<int64_t>(), ',', row["published"].get<int64_t>(), ',',
                       at["length"].get<int64_t>(), ',', name);
        for (const std::string& cell :
             {decimals(phase["flops"], 0), number(phase, "floor_s"), number(phase, "forecast_s"),
              number(measured, "median"), number(measured, "low"), number(measured, "high"),
              phase.contains("peak_bytes") ? concat(phase["peak_bytes"].get<int64_t>()) : "",
              phase.contains("measured_peak_bytes") ? concat(phase["measured_peak_bytes"].get<int64_t>())
                                                    : "",
              number(phase, "measured_j"), number(phase, "measured_w"), number(phase, "ratio_floor"),
              number(phase, "ratio_forecast"), number(phase, "ratio_measured")})
          text += concat(",", cell);
        text += "\n";
      }
  }
  return text;
}

std::string compare_caption(const Json& result) {
  std::string texts = " texts with a picture each";
  if (result.contains("counted"))
    texts =
        concat(" texts a step, as long as those of each fifth of ", result["counted"]["texts"].get<int64_t>(),
               " counted ones (by ", printable(result["counted"]["tokenizer"].get<std::string>(), 120),
               "), with its share of pictures in training and one each in inference");
  return concat(
      result.contains("measured_on")
          ? concat("Measured on ", result["measured_on"].get<std::string>(), ", medians of rounds in turns")
          : concat("Predicted for ", result["machine"].get<std::string>(), ", not measured"),
      ": products at ", rounded(result["rates"]["tflop_s"]), " TFLOP/s, copies at ",
      rounded(result["rates"]["copy_gb_s"]), " GB/s, a kernel ", rounded(result["rates"]["launch_us"]),
      " us at least; ", result["shape"].get<std::string>(), ", ", result["samples"].get<int64_t>(), texts,
      ", ", result["dtype"].get<std::string>(),
      result.value("attention", "fused") == "eager" ? ", attention with its scores in memory." : ".");
}

std::vector<TextTable> compare_tables(const Json& result) {
  std::vector<TextTable> tables{
      by_length(
          result, "Training step, ms (times as fast as LLaVA-LoRA, of what is ideal)",
          [](const Json& at) { return concat(rounded(1e3 * time_of(at["train"])), ratios_of(at["train"])); }),
      by_length(result, "Training step, TFLOP",
                [](const Json& at) { return rounded(1e-12 * at["train"]["flops"].get<double>()); }),
      by_length(result,
                result.contains("measured_on") ? "Training step, GB held at the peak (more than forecast)"
                                               : "Training step, GB held at the peak",
                [](const Json& at) { return memory_of(at["train"]); }),
      by_length(result, "Inference, ms: pictures + first token, one more token", [](const Json& at) {
        return concat(rounded(1e3 * time_of(at["images"])), " + ", rounded(1e3 * time_of(at["first_token"])),
                      ", ", rounded(1e3 * time_of(at["next_token"])));
      })};
  // The rates that a CPU is measured at are too rough to forecast by.
  if (tells(result, "measured_s") && result["measured_on"] != "cpu")
    tables.push_back(by_length(result, "Training step, forecast ms (times that were measured)", forecast_of));
  if (tells(result, "measured_j")) tables.push_back(by_length(result, "Training step, J (W)", energy_of));
  return tables;
}

std::string markdown_of(const TextTable& table) {
  std::vector<std::string> named = table.head, rule(table.head.size(), "--:");
  named[0] = table.title, rule[0] = "---";
  std::string text = concat("\n", line_of(named), line_of(rule));
  for (const auto& row : table.rows) text += line_of(row);
  return text;
}

std::string compare_markdown(const Json& result) {
  std::string text = compare_caption(result) + "\n";
  for (const TextTable& table : compare_tables(result)) text += markdown_of(table);
  return text;
}

}  // namespace dehvf
