// tokenizer.json of the tokenizers library. Its truncation and padding are the caller's matter and not read.
#include <algorithm>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "core/text/utf8.h"
#include "models/tokenizer/byte_level.h"
#include "models/tokenizer/json_parts.h"
#include "models/tokenizer/space_marker.h"

namespace dehvf {
namespace {

constexpr std::string_view kBeginNames[] = {"<|begin_of_text|>", "<s>"};
constexpr std::string_view kEndNames[] = {"<|end_of_text|>", "</s>"};
constexpr std::string_view kPadNames[] = {"<|pad|>", "<|finetune_right_pad_id|>", "<pad>", "[PAD]"};

struct Vocabulary {
  std::vector<std::string> pieces;  // as written in the file
  std::vector<bool> special;
  TokenIds ids;  // of model.vocab only: added tokens take no part in merges
};

struct MergeRule {
  int32_t left, right, merged;
};

const Json& wanted_member(const Json& object, const char* key, Json::value_t type, std::string_view path) {
  const auto found = object.find(key);
  require<IoError>(found != object.end() && found->type() == type, path, ": key '", key, "': wanted ",
                   Json(type).type_name(), ", found ",
                   found == object.end() ? "nothing" : found->type_name());
  return *found;
}

std::string dump_short(const Json& value) {
  return printable(value.dump(-1, ' ', false, Json::error_handler_t::replace), 60);
}

class VocabularyReader {
 public:
  VocabularyReader(const Json& root, const Json& model, std::string_view path) : path_(path) {
    const Json& entries = wanted_member(model, "vocab", Json::value_t::object, path);
    const auto added = root.find("added_tokens");
    const bool any_added = added != root.end() && !added->is_null();
    require<IoError>(!any_added || added->is_array(), path, ": key 'added_tokens': wanted array, found ",
                     any_added ? added->type_name() : "");
    limit_ = entries.size() + (any_added ? added->size() : 0);
    filled_.assign(limit_, false);
    result_.pieces.resize(limit_), result_.special.assign(limit_, false);
    for (const auto& [piece, id] : entries.items()) {
      require<IoError>(id.is_number_integer(), path, ": id of token '", printable(piece),
                       "': wanted an integer, found ", dump_short(id));
      put(piece, id.get<int64_t>());
      result_.ids.emplace(piece, id.get<int32_t>());
    }
    if (any_added)
      for (const Json& token : *added) put_added(token);
  }

  Vocabulary finish() && {
    const size_t size = size_t(std::count(filled_.begin(), filled_.end(), true));
    const size_t hole = size_t(std::find(filled_.begin(), filled_.end(), false) - filled_.begin());
    require<IoError>(hole == size, path_, ": ids: wanted 0 to ", size,
                     " without a hole, found no token with id ", hole);
    result_.pieces.resize(size), result_.special.resize(size);
    return std::move(result_);
  }

 private:
  void put(const std::string& piece, int64_t id) {
    require<IoError>(id >= 0 && uint64_t(id) < limit_, path_, ": id of token '", printable(piece),
                     "': wanted 0 to ", int64_t(limit_) - 1, ", found ", id);
    std::string& place = result_.pieces[size_t(id)];
    require<IoError>(!filled_[size_t(id)] || place == piece, path_, ": id ", id, " stands twice, for '",
                     printable(place), "' and '", printable(piece), "'");
    place = piece;
    filled_[size_t(id)] = true;
  }

  void put_added(const Json& token) {
    const std::string what = std::string(path_) + ": added_tokens";
    const auto content = json_get<std::string>(token, "content", what);
    const auto id = json_get<int64_t>(token, "id", what);
    const auto known = result_.ids.find(content);
    require<IoError>(known == result_.ids.end() || known->second == id, what, ": token '", printable(content),
                     "' has id ", id, ", but in model.vocab ",
                     known == result_.ids.end() ? -1 : known->second);
    put(content, id);
    if (json_get<bool>(token, "special", what, false)) result_.special[size_t(id)] = true;
  }

  std::string_view path_;
  size_t limit_;
  Vocabulary result_;
  std::vector<bool> filled_;
};

// One entry of model.merges: "a b", or ["a", "b"] since version 0.20 of the library.
std::pair<std::string, std::string> merge_parts(const Json& entry, std::string_view path) {
  if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string())
    return {entry[0].get<std::string>(), entry[1].get<std::string>()};
  const std::string text = entry.is_string() ? entry.get<std::string>() : "";
  const size_t space = text.find(' ');
  require<IoError>(space != text.npos && text.find(' ', space + 1) == text.npos, path,
                   ": merges: wanted \"a b\" or [\"a\", \"b\"], found ", dump_short(entry));
  return {text.substr(0, space), text.substr(space + 1)};
}

std::vector<MergeRule> read_merges(const Json& model, const TokenIds& ids, std::string_view path) {
  std::vector<MergeRule> rules;
  const auto id_of = [&](const std::string& piece, const Json& entry) {
    const auto found = ids.find(piece);
    require<IoError>(found != ids.end(), path, ": merge ", dump_short(entry), " needs token '",
                     printable(piece), "', which is not in the vocabulary");
    return found->second;
  };
  for (const Json& entry : wanted_member(model, "merges", Json::value_t::array, path)) {
    const auto [left, right] = merge_parts(entry, path);
    rules.push_back({id_of(left, entry), id_of(right, entry), id_of(left + right, entry)});
  }
  return rules;
}

BpeMerges ranked(const std::vector<MergeRule>& rules, const Vocabulary& vocabulary, std::string_view path) {
  BpeMerges merges;
  int32_t rank = 0;
  for (const auto& [left, right, merged] : rules)
    require<IoError>(merges.add(left, right, rank++, merged), path, ": merges: '",
                     printable(vocabulary.pieces[size_t(left)]), "' with '",
                     printable(vocabulary.pieces[size_t(right)]), "' stands twice");
  return merges;
}

// Options that change ids and that no LLaMA tokenizer uses.
void check_options(const Json& model, std::string_view path) {
  const auto type = json_get<std::string>(model, "type", std::string(path) + ": model");
  require<IoError>(type == "BPE", path, ": model: wanted type BPE, found ", printable(type, 40));
  for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
    const auto found = model.find(key);
    const bool unused = found == model.end() || found->is_null() || *found == Json("") || *found == 0.0;
    require<IoError>(unused, path, ": model: wanted no ", key, ", found ", unused ? "" : dump_short(*found));
  }
}

std::string text_of(const std::vector<MergeRule>& rules) {
  std::string text;
  for (const auto& [left, right, merged] : rules)
    text += std::to_string(left) + ' ' + std::to_string(right) + '\n';
  return text;
}

// bos is what the template says; a tokenizer.json does not say which tokens end a text or pad it, so names
// decide.
void find_special_ids(TokenizerModel& result, const Json& root, std::string_view path) {
  if (const auto token = template_token(root, path)) {
    const std::string_view names[] = {*token};
    result.bos = result.find_special(names);
    require<IoError>(result.bos >= 0, path, ": post_processor: '", printable(*token),
                     "' is not a special token of the vocabulary");
  } else {
    result.bos = result.find_special(kBeginNames);
  }
  result.eos = result.find_special(kEndNames);
  result.pad = result.find_special(kPadNames);
}

int unknown_id(const Json& model, const TokenIds& ids, std::string_view path) {
  const std::string what = std::string(path) + ": model";
  const auto token = json_get<std::string>(model, "unk_token", what, "");
  const auto found = ids.find(token);
  require<IoError>(token.empty() || found != ids.end(), what, ": unk_token '", printable(token),
                   "' is not in the vocabulary");
  return token.empty() ? -1 : found->second;
}

std::unique_ptr<BpeModel> byte_level_model(const Json& model, Vocabulary&& vocabulary,
                                           std::string_view path) {
  auto result = std::make_unique<ByteLevelModel>();
  result->kind = "byte-level bpe";
  const bool ignore_merges = json_get<bool>(model, "ignore_merges", path, false);
  result->byte_ids.fill(-1);
  for (size_t id = 0; id < vocabulary.pieces.size(); ++id) {
    std::string& piece = vocabulary.pieces[id];
    const bool in_text = !vocabulary.special[id] && vocabulary.ids.contains(piece);
    const auto bytes = vocabulary.special[id] ? std::nullopt : bytes_of_visible(piece);
    if (!bytes) continue;  // a special token, or one that no text can give: it stands for its own name
    piece = *bytes;
    if (in_text && piece.size() == 1) result->byte_ids[uint8_t(piece[0])] = int32_t(id);
    if (in_text && ignore_merges) result->words.emplace(piece, int32_t(id));
  }
  const auto hole = std::find(result->byte_ids.begin(), result->byte_ids.end(), -1);
  require<IoError>(hole == result->byte_ids.end(), path, ": model.vocab: byte ",
                   hole - result->byte_ids.begin(), " has no token");
  result->pieces = std::move(vocabulary.pieces);
  result->special = std::move(vocabulary.special);
  return result;
}

std::unique_ptr<BpeModel> space_marker_model(const Json& root, const Json& model, Vocabulary&& vocabulary,
                                             std::string_view path) {
  auto result = std::make_unique<SpaceMarkerModel>();
  result->kind = "space-marker bpe";
  require<IoError>(!json_get<bool>(model, "ignore_merges", path, false), path,
                   ": model: wanted ignore_merges only with a byte-level BPE");
  result->prefix = space_prefix(root, path);
  result->strip_first_space = strips_first_space(root, path);
  result->fuse_unknown = json_get<bool>(model, "fuse_unk", path, false);
  result->byte_ids.fill(-1);
  const bool byte_fallback = json_get<bool>(model, "byte_fallback", path, false);
  for (const auto& [piece, id] : vocabulary.ids) {
    if (const int byte = byte_of_piece(piece); byte >= 0 && byte_fallback)
      result->byte_ids[size_t(byte)] = id;
    if (vocabulary.special[size_t(id)] || piece.empty()) continue;
    const CodePoint c = first_code_point(piece);
    if (c.length == piece.size()) result->characters.emplace(c.value, id);
  }
  result->pieces = std::move(vocabulary.pieces);
  result->special = std::move(vocabulary.special);
  return result;
}

}  // namespace

std::unique_ptr<TokenizerModel> read_tokenizer_json(std::string_view bytes, std::string_view path) {
  const Json root = parse_json(bytes, path);
  const Json& model = wanted_member(root, "model", Json::value_t::object, path);
  check_options(model, path);
  const bool byte_level = is_byte_level(root, path);
  Vocabulary vocabulary = VocabularyReader(root, model, path).finish();
  const auto rules = read_merges(model, vocabulary.ids, path);
  BpeMerges merges = ranked(rules, vocabulary, path);
  const int unk = unknown_id(model, vocabulary.ids, path);
  auto result = byte_level ? byte_level_model(model, std::move(vocabulary), path)
                           : space_marker_model(root, model, std::move(vocabulary), path);
  result->merges = std::move(merges);
  result->unk = unk;
  find_special_ids(*result, root, path);
  result->set_fingerprint(text_of(rules));
  return result;
}

}  // namespace dehvf
