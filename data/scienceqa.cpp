#include "data/scienceqa.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_set>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/json.h"

namespace dehvf {
namespace {

constexpr size_t kMaxChoices = 26;  // one capital letter each

Json read_part(const std::filesystem::path& folder, const std::string& name, const std::string& misspelt) {
  require<IoError>(std::filesystem::is_directory(folder), folder.string(),
                   ": wanted a ScienceQA folder (problems.json, pid_splits.json, images/), found no folder");
  const auto path = folder / name;
  if (!std::filesystem::exists(path)) {
    const bool singular = std::filesystem::exists(folder / misspelt);
    fail<IoError>(folder.string(), ": wanted ", name, "; looked for ", name, " and ", misspelt, ", found ",
                  singular ? misspelt + ": rename it to " + name : "neither",
                  " (a ScienceQA folder holds problems.json, pid_splits.json and images/)");
  }
  Json value = read_json(path);
  require<IoError>(value.is_object(), path.string(), ": wanted a JSON object, found ", value.type_name());
  return value;
}

std::string found_text(const Json& value) {
  return printable(value.dump(-1, ' ', false, Json::error_handler_t::replace), 60);
}

// A name that stays inside its folder when a path is made of it.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find_first_of("/\\") == std::string::npos &&
         name.find('\0') == std::string::npos;
}

// One problem's JSON with the words that every message about it begins with.
struct Entry {
  const Json& json;
  std::string what;

  std::string text(const char* key) const { return json_get<std::string>(json, key, what); }

  std::string one_of(const char* key, std::span<const std::string_view> allowed) const {
    std::string value = text(key);
    if (std::ranges::find(allowed, value) == allowed.end()) {
      std::string list;
      for (const auto& name : allowed) list += concat(list.empty() ? "" : ", ", "'", name, "'");
      fail<IoError>(what, ": key '", key, "': wanted one of ", list, ", found '", printable(value, 60), "'");
    }
    return value;
  }

  const Json& member(const char* key) const {
    const auto found = json.find(key);
    require<IoError>(found != json.end(), what, ": key '", key, "' is missing");
    return *found;
  }

  std::vector<std::string> choices() const {
    const Json& list = member("choices");
    require<IoError>(list.is_array() && list.size() >= 2 && list.size() <= kMaxChoices, what,
                     ": key 'choices': wanted a list of 2 to ", kMaxChoices, " strings, found ",
                     found_text(list));
    std::vector<std::string> result;
    for (const Json& choice : list) {
      require<IoError>(choice.is_string(), what, ": key 'choices': wanted strings, found ",
                       found_text(choice));
      result.push_back(choice.get<std::string>());
    }
    return result;
  }

  int answer(size_t choices) const {
    const auto value = json_get<int64_t>(json, "answer", what);
    require<IoError>(value >= 0 && value < int64_t(choices), what, ": key 'answer': wanted an index below ",
                     choices, " (the number of choices), found ", value);
    return int(value);
  }

  int grade() const {
    const std::string value = text("grade");
    int grade = 0;
    const char* end = value.data() + value.size();
    const bool fits = value.starts_with("grade") && value.size() > 5 && value[5] != '0' &&
                      std::from_chars(value.data() + 5, end, grade).ptr == end;
    require<IoError>(fits && grade >= 1 && grade <= 12, what,
                     ": key 'grade': wanted grade1 to grade12, found '", printable(value, 60), "'");
    return grade;
  }

  // The file name of the picture, empty for null.
  std::string image() const {
    const Json& value = member("image");
    if (value.is_null()) return {};
    require<IoError>(value.is_string() && is_plain_name(value.get_ref<const std::string&>()), what,
                     ": key 'image': wanted a file name such as image.png or null, found ",
                     found_text(value));
    return value.get<std::string>();
  }
};

Problem parse_problem(const std::filesystem::path& folder, const std::string& id, const Entry& entry) {
  static constexpr std::array<std::string_view, 3> kSubjects{"natural science", "social science",
                                                             "language science"};
  static constexpr std::array<std::string_view, 3> kSplits{"train", "val", "test"};
  require<IoError>(is_plain_name(id), entry.what, ": wanted an id without '/' that can name a folder");
  require<IoError>(entry.json.is_object(), entry.what, ": wanted a JSON object, found ",
                   found_text(entry.json));
  Problem problem;
  problem.id = id;
  problem.question = entry.text("question");
  problem.hint = entry.text("hint");
  problem.lecture = entry.text("lecture");
  problem.solution = entry.text("solution");
  problem.choices = entry.choices();
  problem.answer = entry.answer(problem.choices.size());
  problem.task = entry.text("task");
  problem.grade = entry.grade();
  problem.subject = entry.one_of("subject", kSubjects);
  problem.topic = entry.text("topic");
  problem.category = entry.text("category");
  problem.skill = entry.text("skill");
  problem.split = entry.one_of("split", kSplits);
  if (const std::string name = entry.image(); !name.empty())
    problem.image = folder / "images" / problem.split / id / name;
  return problem;
}

}  // namespace

ScienceQa::ScienceQa(std::filesystem::path folder) : folder_(std::move(folder)) {
  read_problems();
  read_splits();
  read_captions();
}

void ScienceQa::read_problems() {
  const Json json = read_part(folder_, "problems.json", "problem.json");
  const std::string path = (folder_ / "problems.json").string();
  require<IoError>(!json.empty(), path, ": wanted at least one problem, found none");
  for (const auto& [id, value] : json.items())
    problems_.push_back(
        parse_problem(folder_, id, {value, concat(path, ": problem '", printable(id, 60), "'")}));
  // Official ids are numbers: order by value, other names after them by spelling.
  std::ranges::sort(problems_, {}, [](const Problem& p) { return std::pair(p.id.size(), p.id); });
  for (size_t i = 0; i < problems_.size(); ++i) place_[problems_[i].id] = i;
}

void ScienceQa::read_splits() {
  const Json json = read_part(folder_, "pid_splits.json", "pid_split.json");
  const std::string path = (folder_ / "pid_splits.json").string();
  for (const auto& [name, list] : json.items()) {
    const std::string what = concat(path, ": list '", printable(name, 60), "'");
    require<IoError>(list.is_array(), what, ": wanted a list of problem ids, found ", found_text(list));
    auto& ids = splits_[name];
    std::unordered_set<std::string> seen;
    for (const Json& id : list) {
      require<IoError>(id.is_string(), what, ": wanted ids as strings, found ", found_text(id));
      const auto found = place_.find(id.get_ref<const std::string&>());
      require<IoError>(found != place_.end(), what, ": problem ", found_text(id), " is not in problems.json");
      const Problem& problem = problems_[found->second];
      const bool contradicts = (name == "train" || name == "val" || name == "test") && problem.split != name;
      require<IoError>(!contradicts, what, ": problem '", problem.id, "' says that its split is '",
                       problem.split, "'");
      require<IoError>(seen.insert(problem.id).second, what, ": problem '", problem.id, "' stands twice");
      ids.push_back(problem.id);
    }
  }
}

void ScienceQa::read_captions() {
  const auto path = folder_ / "captions.json";
  if (!std::filesystem::exists(path)) return;
  const Json json = read_json(path);
  const bool fits = json.is_object() && json.contains("captions") && json["captions"].is_object();
  require<IoError>(fits, path.string(), ": wanted an object with 'captions' (id -> text), found ",
                   found_text(json));
  for (const auto& [id, text] : json["captions"].items()) {
    require<IoError>(text.is_string(), path.string(), ": problem '", printable(id, 60),
                     "': wanted a string, found ", found_text(text));
    if (const auto found = place_.find(id); found != place_.end())
      problems_[found->second].caption = text.get<std::string>();
  }
  has_captions_ = true;
}

const Problem& ScienceQa::problem(std::string_view id) const {
  const auto found = place_.find(std::string(id));
  require<IoError>(found != place_.end(), (folder_ / "problems.json").string(), ": there is no problem '",
                   printable(id, 60), "'");
  return problems_[found->second];
}

const std::vector<std::string>& ScienceQa::split(const std::string& name) const {
  const auto found = splits_.find(name);
  if (found != splits_.end()) return found->second;
  std::string known;
  for (const auto& entry : splits_) known += (known.empty() ? "" : ", ") + printable(entry.first, 40);
  fail<ConfigError>((folder_ / "pid_splits.json").string(), ": there is no list '", printable(name, 60),
                    "'; it has: ", known);
}

std::vector<std::filesystem::path> ScienceQa::missing_images(std::span<const std::string> ids) const {
  std::vector<std::filesystem::path> missing;
  for (const auto& id : ids) {
    const auto& path = problem(id).image;
    std::error_code ignored;
    if (!path.empty() && !std::filesystem::is_regular_file(path, ignored)) missing.push_back(path);
  }
  return missing;
}

void ScienceQa::require_images(std::span<const std::string> ids) const {
  const auto missing = missing_images(ids);
  if (missing.empty()) return;
  std::string list;
  for (size_t i = 0; i < std::min<size_t>(missing.size(), 5); ++i)
    list += (i == 0 ? "" : ", ") + printable(missing[i].lexically_relative(folder_).string());
  fail<IoError>(folder_.string(), ": ", missing.size(), missing.size() == 1 ? " picture is" : " pictures are",
                " missing (wanted images/{split}/{id}/image.png): ", list, missing.size() > 5 ? ", ..." : "");
}

}  // namespace dehvf
