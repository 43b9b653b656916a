// The parts of a tokenizer.json around its BPE model: which of them we know, and what they say.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/io/json.h"
#include "models/tokenizer/space_marker.h"

namespace dehvf {

/// Names a part for a message: "Sequence[Split, ByteLevel]", "Unigram", "null".
std::string describe_part(const Json& part);

/// True for LLaMA-3's split and byte-level parts, false for LLaMA-1 and 2's space marker; throws IoError for
/// others.
bool is_byte_level(const Json& root, std::string_view path);

/// The prefix rule of the space-marker kind, from its normalizer or its Metaspace pre-tokenizer.
SpacePrefix space_prefix(const Json& root, std::string_view path);

/// Whether the space-marker kind's decoder strips a first space.
bool strips_first_space(const Json& root, std::string_view path);

/// The token that the template puts before the text, if there is one.
std::optional<std::string> template_token(const Json& root, std::string_view path);

}  // namespace dehvf
