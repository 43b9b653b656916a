#include "data/conversations.h"

#include <array>
#include <fstream>
#include <optional>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/json.h"

namespace dehvf {
namespace {

constexpr size_t kMaxRecord = size_t(16) << 20;  // bytes of one record's text

// Cuts the elements out of one JSON list by its brackets; what stands inside them is not looked at.
class ListReader {
 public:
  explicit ListReader(const std::filesystem::path& path)
      : name_(path.string()), file_(path, std::ios::binary) {
    std::error_code ignored;
    require<IoError>(std::filesystem::is_regular_file(path, ignored) && file_.good(), name_,
                     ": cannot open; wanted a JSON file with a list of conversations");
    const std::optional<char> first = after_space();
    require<IoError>(first == '[', name_, ": wanted a JSON list of conversations, found ",
                     first ? concat("'", printable({&*first, 1}), "' at its beginning") : "an empty file");
  }

  // The text of the next element, or nothing behind the last.
  std::optional<std::string> next() {
    std::optional<char> c = after_space();
    if (c == ']') {
      require<IoError>(!after_space(), name_, ": wanted nothing behind the list's ']'");
      return {};
    }
    if (index_ > 0) {
      require<IoError>(c == ',', what(), ": wanted ',' or ']' before it, found ",
                       c ? concat("'", printable({&*c, 1}), "'") : "the end of the file");
      c = after_space();
    }
    std::string text = element(c);
    ++index_;
    return text;
  }

  // Of the element that next() gives next, and of that which it gave last.
  std::string what() const { return concat(name_, ": record ", index_); }
  std::string what_last() const { return concat(name_, ": record ", index_ - 1); }
  size_t index() const { return index_ - 1; }

 private:
  std::optional<char> get() {
    if (at_ == filled_) {
      file_.read(buffer_.data(), std::streamsize(buffer_.size()));
      filled_ = size_t(file_.gcount());
      at_ = 0;
      require<IoError>(!file_.bad(), name_, ": cannot be read to its end");
      if (filled_ == 0) return {};
    }
    return buffer_[at_++];
  }

  std::optional<char> after_space() {
    std::optional<char> c = get();
    while (c == ' ' || c == '\n' || c == '\r' || c == '\t') c = get();
    return c;
  }

  std::string element(std::optional<char> c) {
    require<IoError>(c == '{', what(), ": wanted an object, found ",
                     c ? concat("'", printable({&*c, 1}), "'") : "the end of the file");
    std::string text;
    bool quoted = false, escaped = false;
    for (int depth = 0;;) {
      text += *c;
      if (text.size() > kMaxRecord)
        fail<IoError>(what(), ": wanted at most ", kMaxRecord,
                      " bytes; is a quotation mark or bracket missing?");
      if (quoted) {
        quoted = escaped || *c != '"';
        escaped = !escaped && *c == '\\';
      } else {
        quoted = *c == '"';
        depth += (*c == '{' || *c == '[') - (*c == '}' || *c == ']');
        if (depth == 0) return text;
      }
      c = get();
      if (!c) fail<IoError>(what(), ": the file ends inside it; is it whole?");
    }
  }

  std::string name_;
  std::ifstream file_;
  std::array<char, 1 << 16> buffer_;
  size_t at_ = 0, filled_ = 0, index_ = 0;
};

std::string shown(const Json& value) {
  return printable(value.dump(-1, ' ', false, Json::error_handler_t::replace), 60);
}

// A relative path that stays below the pictures' folder.
std::string image_name(const Json& value, const std::string& what) {
  const bool text = value.is_string();
  const std::filesystem::path path = text ? value.get<std::string>() : "";
  bool inside = text && !path.empty() && path.is_relative() && path.string().find('\0') == std::string::npos;
  for (const auto& part : path) inside &= part != "..";
  require<IoError>(inside, what, ": key 'image': wanted a path below the pictures' folder, found ",
                   shown(value));
  return path.string();
}

std::vector<std::string> read_images(const Json& record, const std::string& what) {
  const auto found = record.find("image");
  if (found == record.end() || found->is_null()) return {};
  if (!found->is_array()) return {image_name(*found, what)};
  std::vector<std::string> names;
  for (const Json& name : *found) names.push_back(image_name(name, what));
  return names;
}

std::vector<ConversationTurn> read_turns(const Json& record, const std::string& what) {
  const auto list = record.find("conversations");
  require<IoError>(list != record.end() && list->is_array(), what,
                   ": key 'conversations': wanted a list of turns, found ",
                   list == record.end() ? "nothing" : shown(*list));
  std::vector<ConversationTurn> turns;
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string turn = concat(what, ", turn ", i);
    const auto from = json_get<std::string>((*list)[i], "from", turn);
    require<IoError>(from == "human" || from == "gpt", turn, ": key 'from': wanted human or gpt, found '",
                     printable(from, 60), "'");
    const bool human = from == "human";
    if (turns.empty() && !human) continue;
    require<IoError>(turns.empty() || turns.back().human != human, turn,
                     ": wanted human and gpt in turn, found ", from, " twice");
    turns.push_back({human, json_get<std::string>((*list)[i], "value", turn)});
  }
  require<IoError>(turns.size() >= 2, what, ": wanted a human turn with an answer, found ", turns.size(),
                   " turns from the first human one on");
  return turns;
}

size_t count_marks(const std::vector<ConversationTurn>& turns, const std::string& what) {
  const std::string_view mark = kImageMark;
  size_t count = 0;
  for (const ConversationTurn& turn : turns)
    for (size_t at = turn.text.find(mark); at != std::string::npos;
         at = turn.text.find(mark, at + mark.size())) {
      require<IoError>(turn.human, what, ": wanted ", mark, " in human turns only, found it in an answer");
      ++count;
    }
  return count;
}

Conversation parse_conversation(const std::string& text, const std::string& what, size_t index) {
  const Json record = parse_json(text, what);
  Conversation result{
      .id = concat(index), .images = read_images(record, what), .turns = read_turns(record, what)};
  if (const auto id = record.find("id"); id != record.end()) {
    require<IoError>(id->is_string() || id->is_number_integer(), what,
                     ": key 'id': wanted a string or an integer, found ", shown(*id));
    result.id = id->is_string() ? id->get<std::string>() : id->dump();
  }
  const size_t marks = count_marks(result.turns, what);
  require<IoError>(marks == result.images.size(), what, ": wanted one ", kImageMark,
                   " for each picture, found ", marks, " for ", result.images.size());
  return result;
}

std::string without_marks(std::string text) {
  const std::string_view mark = kImageMark, space = " \t\r\n";
  for (size_t at = text.find(mark); at != text.npos; at = text.find(mark)) text.erase(at, mark.size());
  const size_t begin = text.find_first_not_of(space);
  return begin == text.npos ? "" : text.substr(begin, text.find_last_not_of(space) + 1 - begin);
}

}  // namespace

std::vector<ConversationPart> vicuna_v1(const Conversation& conversation) {
  std::vector<ConversationPart> parts;
  for (const ConversationTurn& turn : conversation.turns) {
    if (!turn.human) {
      parts.back().answer = turn.text;
      continue;
    }
    const char* const speakers =
        "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
        "helpful, "
        "detailed, and polite answers to the user's questions. ";
    parts.push_back(
        {concat(parts.empty() ? speakers : "", "USER: ", without_marks(turn.text), " ASSISTANT:"), ""});
  }
  return parts;
}

void each_conversation(const std::filesystem::path& path, const std::function<bool(Conversation)>& visit) {
  ListReader reader(path);
  while (const std::optional<std::string> text = reader.next())
    if (!visit(parse_conversation(*text, reader.what_last(), reader.index()))) return;
}

}  // namespace dehvf
