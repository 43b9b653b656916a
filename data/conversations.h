// LLaVA's conversation files: one JSON list of records {id, image, conversations: [{from, value}, ...]}, read
// record by record, because they have gigabytes.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace dehvf {

/// Where a picture stands in a turn's text.
inline constexpr const char* kImageMark = "<image>";

struct ConversationTurn {
  bool human = false;
  std::string text;
};

struct Conversation {
  std::string id;                       // the record's index where it has none
  std::vector<std::string> images;      // names relative to the pictures' folder, one a mark, in their order
  std::vector<ConversationTurn> turns;  // human and model in turn, the human first
};

struct ConversationPart {
  std::string prompt;  // no loss on it
  std::string answer;  // to be learned, with the end of the sequence behind it; empty behind a last question
};

/// The turns in LLaVA's template vicuna_v1: a sentence on the two speakers before the first, USER: and
/// ASSISTANT: before each, one space between parts. Marks of pictures are dropped with the white space around
/// them: an operator that puts tokens into the sequence knows their place.
std::vector<ConversationPart> vicuna_v1(const Conversation& conversation);

/// Calls `visit` for every record in the file's order until it returns false; holds one record at a time.
/// A model's turns before the first human one are dropped, as LLaVA does; `image` may be one name or a list.
/// Throws IoError "FILE: record INDEX: ..." with what was wanted and found, for JSON that does not parse too.
void each_conversation(const std::filesystem::path& path, const std::function<bool(Conversation)>& visit);

}  // namespace dehvf
