#include "data/length_counts.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/json.h"

namespace dehvf {
namespace {

constexpr const char* kColumns[] = {"tokens", "labelled", "with a picture", "without"};

// Sums over texts; a part may take a fraction of the texts of one length.
struct Sums {
  double texts = 0, tokens = 0, labelled = 0, pictures = 0;

  void add(const Sums& other, double share) {
    texts += share * other.texts;
    tokens += share * other.tokens;
    labelled += share * other.labelled;
    pictures += share * other.pictures;
  }
};

}  // namespace

int64_t LengthCounts::samples() const {
  int64_t sum = 0;
  for (const auto& [text, count] : counts) sum += count;
  return sum;
}

std::vector<LengthCounts::Part> LengthCounts::parts(int64_t wanted) const {
  const double all = double(samples()), size = all / double(wanted);
  std::map<int64_t, Sums> of_length;
  for (const auto& [text, count] : counts) {
    const auto texts = double(count);
    of_length[text.tokens].add({1, double(text.tokens), double(text.labelled), double(text.picture)}, texts);
  }
  std::vector<Sums> sums(static_cast<size_t>(wanted));
  double before = 0;
  for (const auto& [tokens, texts] : of_length) {
    const double end = before + texts.texts;
    for (size_t i = 0; i < sums.size(); ++i) {
      const double inside = std::min(end, size * double(i + 1)) - std::max(before, size * double(i));
      if (inside > 0) sums[i].add(texts, inside / texts.texts);
    }
    before = end;
  }
  std::vector<Part> result;
  for (const Sums& sum : sums) {
    const Part part{.share = sum.texts / all,
                    .tokens = std::llround(sum.tokens / sum.texts),
                    .labelled = std::max(int64_t(1), int64_t(std::llround(sum.labelled / sum.texts))),
                    .pictures = sum.pictures / sum.texts};
    if (!result.empty() && result.back().tokens == part.tokens && result.back().labelled == part.labelled) {
      Part& last = result.back();
      last.pictures = (last.pictures * last.share + part.pictures * part.share) / (last.share + part.share);
      last.share += part.share;
    } else {
      result.push_back(part);
    }
  }
  return result;
}

void write_length_counts(const std::filesystem::path& path, const LengthCounts& counts) {
  std::map<std::pair<int64_t, int64_t>, std::pair<int64_t, int64_t>> rows;
  for (const auto& [text, count] : counts.counts) {
    auto& [with, without] = rows[{text.tokens, text.labelled}];
    (text.picture ? with : without) += count;
  }
  std::string out = concat("{\"format_version\": 1,\n \"tokenizer\": ", Json(counts.tokenizer).dump(),
                           ",\n \"columns\": ", Json(kColumns).dump(), ",\n \"texts\": [");
  const char* separator = "\n";
  for (const auto& [length, pictures] : rows) {
    out += concat(separator, "  [", length.first, ", ", length.second, ", ", pictures.first, ", ",
                  pictures.second, "]");
    separator = ",\n";
  }
  write_file(path, out + "\n ]}\n");
}

LengthCounts read_length_counts(const std::filesystem::path& path) {
  const std::string what = path.string();
  const Json json = read_json(path);
  require<IoError>(json.is_object() && json.contains("texts") && json["texts"].is_array(), what,
                   ": wanted counts of lengths, as `dehvf inspect DATA --lengths-out FILE` writes them");
  const auto version = json_get<int64_t>(json, "format_version", what);
  require<IoError>(version == 1, what, ": format_version: wanted 1, found ", version);
  LengthCounts result{.tokenizer = json_get<std::string>(json, "tokenizer", what)};
  for (size_t i = 0; i < json["texts"].size(); ++i) {
    const Json& row = json["texts"][i];
    const bool whole =
        row.is_array() && row.size() == std::size(kColumns) && std::ranges::all_of(row, [](const Json& cell) {
          return cell.is_number_integer() && cell >= 0 && cell < (int64_t(1) << 40);
        });
    require<IoError>(whole && row[0] > row[1] && row[1] > 0, what, ": text ", i,
                     ": wanted [tokens, fewer labelled, with a picture, without], found ",
                     printable(row.dump(), 60));
    for (const int64_t picture : {0, 1})
      if (row[picture ? 2 : 3] > 0)
        result.counts[{row[0], row[1], picture == 1}] += row[picture ? 2 : 3].get<int64_t>();
  }
  require<IoError>(result.samples() > 0, what, ": counts no texts");
  return result;
}

}  // namespace dehvf
