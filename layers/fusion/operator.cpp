#include "layers/fusion/operator.h"

#include <algorithm>
#include <charconv>

namespace dehvf {

std::optional<std::string> FusionConfig::take(const std::string& key) {
  const auto found = values_.find(key);
  return found == values_.end() ? std::nullopt : std::optional(found->second);
}

int64_t FusionConfig::integer(const std::string& key, int64_t fallback, int64_t low, int64_t high) {
  int64_t value = fallback;
  if (const auto text = take(key)) {
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    require<ConfigError>(error == std::errc{} && end == text->data() + text->size(), "fusion.", key,
                         ": wanted an integer, found '", *text, "'");
  }
  require<ConfigError>(low <= value && value <= high, "fusion.", key, ": wanted ", low, " to ", high,
                       ", found ", value);
  resolved_[key] = std::to_string(value);
  return value;
}

double FusionConfig::number(const std::string& key, double fallback) {
  double value = fallback;
  if (const auto text = take(key)) {
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    require<ConfigError>(error == std::errc{} && end == text->data() + text->size() && std::isfinite(value),
                         "fusion.", key, ": wanted a finite number, found '", *text, "'");
  }
  resolved_[key] = concat(value);
  return value;
}

bool FusionConfig::flag(const std::string& key, bool fallback) {
  static const std::string kNames[] = {"false", "true"};
  return choice(key, kNames[fallback], kNames) == "true";
}

std::string FusionConfig::choice(const std::string& key, const std::string& fallback,
                                 std::span<const std::string> allowed) {
  if (const auto fixed = fixed_.find(key); fixed != fixed_.end()) return fixed->second;
  const std::string value = take(key).value_or(fallback);
  std::string known;
  for (const auto& name : allowed) known += (known.empty() ? "" : ", ") + name;
  require<ConfigError>(std::ranges::find(allowed, value) != allowed.end(), "fusion.", key, ": wanted one of ",
                       known, ", found '", value, "'");
  return resolved_[key] = value;
}

void FusionConfig::finish(std::string_view operator_name) const {
  for (const auto& [key, value] : values_) {
    std::string known;
    for (const auto& [name, unused] : resolved_) known += (known.empty() ? "" : ", ") + name;
    require<ConfigError>(resolved_.contains(key), "fusion.", key, ": operator ", operator_name,
                         " has no such key; it has ", known.empty() ? "none" : known);
  }
}

int64_t read_images(FusionConfig& config) { return config.integer("images", 1, 1, 64); }

std::unique_ptr<FusionOperator> make_fusion(const std::string& name, const FusionShapes& shapes,
                                            FusionConfig& config) {
  auto made = Registry<Fusion>::instance().find(name)(shapes, config);
  config.finish(name);
  return made;
}

}  // namespace dehvf
