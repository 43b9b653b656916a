#include "models/llama_tuning.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <sstream>

#include "core/error.h"
#include "core/io/file.h"

namespace dehvf {
namespace {

constexpr std::string_view kMaps[] = {"q", "k", "v", "o", "gate", "up", "down"};
constexpr std::string_view kParts[] = {"norms", "biases", "scales"};
using Names = std::span<const std::string_view>;

// The names whose bit is set.
std::string listed(Names names, unsigned bits, const char* between) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i)
    if (bits >> i & 1) text += concat(text.empty() ? "" : between, names[i]);
  return text;
}

unsigned bit_of(Names names, std::string_view name) {
  const auto found = std::ranges::find(names, name);
  return found == names.end() ? 0 : 1u << (found - names.begin());
}

unsigned bits_of(const char* key, Names known, const std::string& list) {
  const auto wanted = [&] {
    return concat(key, ": wanted some of ", listed(known, ~0u, ", "), " separated by commas");
  };
  unsigned bits = 0;
  std::istringstream parts(list);
  for (std::string name; std::getline(parts, name, ',');) {
    const size_t first = name.find_first_not_of(' ');
    name = first == std::string::npos ? "" : name.substr(first, name.find_last_not_of(' ') + 1 - first);
    const unsigned bit = bit_of(known, name);
    require<ConfigError>(bit != 0, wanted(), ", found '", printable(name), "'");
    require<ConfigError>((bits & bit) == 0, key, ": '", name, "' stands twice");
    bits |= bit;
  }
  require<ConfigError>(bits != 0, wanted(), ", found nothing");
  return bits;
}

}  // namespace

LoraTargets::LoraTargets(const char* list) : bits_(bits_of("lora.targets", kMaps, list)) {}
bool LoraTargets::has(std::string_view map) const { return (bits_ & bit_of(kMaps, map)) != 0; }
std::string LoraTargets::text() const { return listed(kMaps, bits_, ","); }

TunedParts::TunedParts(const char* list)
    : bits_(list == std::string_view("none")   ? 0
            : list == std::string_view("full") ? kFull
                                               : bits_of("tune (none and full stand alone)", kParts, list)) {}
bool TunedParts::has(std::string_view part) const { return (bits_ & bit_of(kParts, part)) != 0; }
std::string TunedParts::text() const { return full() ? "full" : any() ? listed(kParts, bits_, ",") : "none"; }

double LoraConfig::factor() const { return alpha / (rslora ? std::sqrt(double(rank)) : double(rank)); }

void LlamaTuning::check() const {
  require<ConfigError>(0 <= lora.rank && lora.rank <= 1 << 14, "lora.rank: wanted 0 to ", 1 << 14, ", found ",
                       lora.rank);
  require<ConfigError>(std::isfinite(lora.alpha), "lora.alpha: wanted a finite number, found ", lora.alpha);
  require<ConfigError>(0 <= lora.dropout && lora.dropout < 1, "lora.dropout: wanted 0 <= rate < 1, found ",
                       lora.dropout);
  require<ConfigError>(!tune.full() || lora.rank == 0,
                       "tune: full trains every weight already; leave lora.rank at 0");
}

}  // namespace dehvf
