#include "models/tokenizer/json_parts.h"

#include "core/error.h"
#include "core/io/file.h"
#include "models/tokenizer/llama3_split.h"

namespace dehvf {
namespace {

constexpr std::string_view kMarker = "\u2581";

const Json& member(const Json& object, const char* key) {
  static const Json none;
  if (!object.is_object()) return none;
  const auto found = object.find(key);
  return found == object.end() ? none : *found;
}

bool has(const Json& part, const char* key, const Json& value) { return member(part, key) == value; }

// Absent and false are the same.
bool is_false(const Json& part, const char* key) {
  return member(part, key).is_null() || has(part, key, false);
}

bool is_type(const Json& part, const char* name) { return has(part, "type", name); }

// The steps of a Sequence, or the part alone; `key` is how this kind of part calls its list.
std::vector<Json> steps_of(const Json& part, const char* key) {
  if (part.is_null()) return {};
  if (!is_type(part, "Sequence")) return {part};
  const Json& list = member(part, key);
  if (!list.is_array()) return {part};
  return {list.begin(), list.end()};
}

[[noreturn]] void refuse(const char* name, const Json& part, std::string_view wanted, std::string_view path) {
  fail<IoError>(path, ": ", name, ": wanted ", wanted, ", found ", describe_part(part));
}

bool is_llama3_split(const Json& part) {
  return is_type(part, "Split") && has(member(part, "pattern"), "Regex", kLlama3Regex) &&
         has(part, "behavior", "Isolated") && is_false(part, "invert");
}

bool is_plain_byte_level(const Json& part) {
  return is_type(part, "ByteLevel") && has(part, "add_prefix_space", false) && has(part, "use_regex", false);
}

bool is_replace(const Json& part, std::string_view from, std::string_view to) {
  return is_type(part, "Replace") && has(member(part, "pattern"), "String", from) && has(part, "content", to);
}

}  // namespace

std::string describe_part(const Json& part) {
  if (part.is_null()) return "null";
  const Json& type = member(part, "type");
  std::string text =
      type.is_string() ? printable(type.get_ref<const std::string&>(), 40) : "a part without type";
  for (const char* key : {"normalizers", "pretokenizers", "processors", "decoders"}) {
    const Json& list = member(part, key);
    if (!list.is_array()) continue;
    std::string names;
    for (const Json& step : list)
      if (names.size() < 100) names += (names.empty() ? "" : ", ") + describe_part(step);
    text += concat("[", names, "]");
  }
  if (type == "Split") {
    const Json& pattern = member(part, "pattern");
    text += concat(" ", printable(pattern.dump(-1, ' ', false, Json::error_handler_t::replace), 200));
  }
  return text;
}

bool is_byte_level(const Json& root, std::string_view path) {
  const Json& part = member(root, "pre_tokenizer");
  const auto steps = steps_of(part, "pretokenizers");
  if (steps.empty() || is_type(part, "Metaspace")) return false;
  if (steps.size() != 2 || !is_llama3_split(steps[0]) || !is_plain_byte_level(steps[1]))
    refuse("pre_tokenizer", part,
           "LLaMA-3's Split and a ByteLevel without prefix and regex, a Metaspace, or null", path);
  const Json& normalizer = member(root, "normalizer");
  if (!normalizer.is_null()) refuse("normalizer", normalizer, "null before a byte-level BPE", path);
  const Json& decoder = member(root, "decoder");
  if (!is_type(decoder, "ByteLevel")) refuse("decoder", decoder, "ByteLevel", path);
  return true;
}

SpacePrefix space_prefix(const Json& root, std::string_view path) {
  const Json& normalizer = member(root, "normalizer");
  const Json& metaspace = member(root, "pre_tokenizer");
  if (metaspace.is_null()) {
    const auto steps = steps_of(normalizer, "normalizers");
    if (steps.size() == 1 && is_replace(steps[0], " ", kMarker)) return SpacePrefix::never;
    const bool known = steps.size() == 2 && is_type(steps[0], "Prepend") &&
                       has(steps[0], "prepend", kMarker) && is_replace(steps[1], " ", kMarker);
    if (!known) refuse("normalizer", normalizer, "Prepend U+2581 and Replace ' ' by U+2581", path);
    return SpacePrefix::always;
  }
  if (!normalizer.is_null()) refuse("normalizer", normalizer, "null before a Metaspace", path);
  const Json& scheme = member(metaspace, "prepend_scheme");
  require<IoError>(has(metaspace, "replacement", kMarker) && has(metaspace, "split", false), path,
                   ": pre_tokenizer: wanted a Metaspace with replacement U+2581 and split false, found ",
                   printable(metaspace.dump(-1, ' ', false, Json::error_handler_t::replace)));
  if (scheme == "never") return SpacePrefix::never;
  require<IoError>(scheme == "first" || scheme == "always", path,
                   ": pre_tokenizer: wanted prepend_scheme first, always or never, found ",
                   printable(scheme.dump(-1, ' ', false, Json::error_handler_t::replace), 40));
  return SpacePrefix::unless_present;
}

bool strips_first_space(const Json& root, std::string_view path) {
  const Json& part = member(root, "decoder");
  const auto steps = steps_of(part, "decoders");
  const bool known = (steps.size() == 3 || steps.size() == 4) && is_replace(steps[0], kMarker, " ") &&
                     is_type(steps[1], "ByteFallback") && is_type(steps[2], "Fuse");
  const bool strip = steps.size() == 4;
  if (!known || (strip && !(is_type(steps[3], "Strip") && has(steps[3], "content", " ") &&
                            has(steps[3], "start", 1) && has(steps[3], "stop", 0))))
    refuse("decoder", part,
           "Sequence[Replace U+2581 by ' ', ByteFallback, Fuse] and perhaps Strip of one ' '", path);
  return strip;
}

std::optional<std::string> template_token(const Json& root, std::string_view path) {
  const Json& part = member(root, "post_processor");
  std::optional<std::string> token;
  for (const Json& step : steps_of(part, "processors")) {
    if (is_type(step, "ByteLevel")) continue;  // it moves offsets, not ids
    if (!is_type(step, "TemplateProcessing") || token)
      refuse("post_processor", part, "one TemplateProcessing, a ByteLevel or null", path);
    const Json& single = member(step, "single");
    const size_t count = single.is_array() ? single.size() : 0;
    require<IoError>(
        (count == 1 || count == 2) && single[count - 1].is_object() && single[count - 1].contains("Sequence"),
        path, ": post_processor: wanted a template of the text alone or behind one special token, found ",
        printable(single.dump(-1, ' ', false, Json::error_handler_t::replace)));
    if (count == 1) continue;
    const Json& id = member(member(single[0], "SpecialToken"), "id");
    require<IoError>(id.is_string(), path, ": post_processor: wanted a special token before the text, found ",
                     printable(single[0].dump(-1, ' ', false, Json::error_handler_t::replace)));
    token = id.get<std::string>();
  }
  return token;
}

}  // namespace dehvf
