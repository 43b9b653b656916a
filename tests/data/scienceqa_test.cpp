// Reading ScienceQA folders: what is in them, and one clear line for everything that can be wrong.
#include "data/scienceqa.h"

#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/io/file.h"
#include "scienceqa_folder.h"
#include "support/message.h"

namespace dehvf {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string open_message(const std::filesystem::path& folder) {
  return message_of<IoError>([&] { ScienceQa data(folder); });
}

TEST(ScienceQa, ReadsEveryField) {
  ScienceQaFolder folder;
  folder.problems["3"]["question"] = "Which\nline?";
  folder.problems["3"]["choices"] = {"a", "b", "c", "d", "e"};
  folder.problems["3"]["answer"] = 4;
  const ScienceQa data(folder.write());
  const Problem& p = data.problem("3");
  EXPECT_EQ(p.id, "3");
  EXPECT_EQ(p.question, "Which\nline?");
  EXPECT_THAT(p.choices, ElementsAre("a", "b", "c", "d", "e"));
  EXPECT_EQ(p.answer, 4);
  EXPECT_EQ(p.image, folder / "images/test/3/image.png");
  EXPECT_EQ(p.grade, 7);
  EXPECT_EQ(p.subject, "natural science");
  EXPECT_EQ(p.topic, "biology");
  EXPECT_EQ(p.category, "Category");
  EXPECT_EQ(p.skill, "Skill");
  EXPECT_EQ(p.task, "closed choice");
  EXPECT_EQ(p.lecture, "A lecture.");
  EXPECT_EQ(p.solution, "A solution.");
  EXPECT_EQ(p.split, "test");
  EXPECT_TRUE(data.problem("2").image.empty());
  EXPECT_EQ(data.problem("2").hint, "h");
  EXPECT_FALSE(data.has_captions());
}

TEST(ScienceQa, KeepsTheOrderOfLists) {
  ScienceQaFolder folder;
  const ScienceQa data(folder.write());
  EXPECT_THAT(data.split("train"), ElementsAre("17", "15", "16"));
  EXPECT_THAT(data.split("minitest"), ElementsAre("7", "3"));
  EXPECT_EQ(data.problems().size(), 20u);
  EXPECT_EQ(data.problems()[1].id, "2");  // by value, not by spelling
  EXPECT_EQ(data.problems()[9].id, "10");
  EXPECT_THAT(message_of<ConfigError>([&] { data.split("tset"); }),
              AllOf(HasSubstr("'tset'"), HasSubstr("minitest, test, train, val")));
  EXPECT_THAT(message_of<IoError>([&] { data.problem("99"); }), HasSubstr("no problem '99'"));
}

TEST(ScienceQa, ReadsCaptionsWhereTheyAre) {
  ScienceQaFolder folder;
  write_json(folder / "captions.json", {{"captions", {{"3", "a cat"}, {"999", "not ours"}}}});
  const ScienceQa data(folder.write());
  EXPECT_TRUE(data.has_captions());
  EXPECT_EQ(data.problem("3").caption, "a cat");
  EXPECT_EQ(data.problem("4").caption, "");
  write_json(folder / "captions.json", {{"3", "a cat"}});
  EXPECT_THAT(open_message(folder.write()), AllOf(HasSubstr("captions.json"), HasSubstr("'captions'")));
  write_json(folder / "captions.json", {{"captions", {{"3", 7}}}});
  EXPECT_THAT(open_message(folder.write()), AllOf(HasSubstr("'3'"), HasSubstr("wanted a string, found 7")));
}

TEST(ScienceQa, SaysWhatItLookedFor) {
  ScienceQaFolder folder;
  EXPECT_THAT(open_message(folder / "nowhere"), HasSubstr("found no folder"));
  EXPECT_THAT(open_message(folder / ""), AllOf(HasSubstr("problems.json"), HasSubstr("found neither")));
  folder.write();
  std::filesystem::rename(folder / "pid_splits.json", folder / "pid_split.json");
  EXPECT_THAT(open_message(folder / ""), HasSubstr("found pid_split.json: rename it to pid_splits.json"));
}

TEST(ScienceQa, NamesEveryMissingPicture) {
  ScienceQaFolder folder;
  const ScienceQa data(folder.write());
  const auto& ids = data.split("test");
  EXPECT_EQ(data.missing_images(ids).size(), 6u);
  EXPECT_THAT(
      message_of<IoError>([&] { data.require_images(ids); }),
      AllOf(HasSubstr("6 pictures are missing"), HasSubstr("images/test/14/image.png"), HasSubstr("...")));
  for (const auto& id : ids)
    if (!data.problem(id).image.empty() && id != "7") {
      std::filesystem::create_directories(data.problem(id).image.parent_path());
      write_file(data.problem(id).image, "x");
    }
  EXPECT_THAT(data.missing_images(ids), ElementsAre(folder / "images/test/7/image.png"));
  EXPECT_THAT(message_of<IoError>([&] { data.require_images(ids); }), HasSubstr("1 picture is missing"));
  const std::vector<std::string> present{"3", "2"};
  EXPECT_NO_THROW(data.require_images(present));
}

struct Damage {
  const char* name;
  std::function<void(Json& problems, Json& splits)> apply;
  std::vector<const char*> wanted;  // parts of the message
};

class DamagedScienceQa : public testing::TestWithParam<Damage> {};

TEST_P(DamagedScienceQa, IsRefusedWithPathProblemWantedAndFound) {
  ScienceQaFolder folder;
  GetParam().apply(folder.problems, folder.splits);
  const std::string message = open_message(folder.write());
  EXPECT_THAT(message, HasSubstr(folder.write().string()));
  for (const char* part : GetParam().wanted) EXPECT_THAT(message, HasSubstr(part));
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

Damage set(const char* name, const char* key, Json value, std::vector<const char*> wanted) {
  wanted.push_back("problems.json: problem '5'");
  wanted.push_back(key);
  return {name, [key, value](Json& problems, Json&) { problems["5"][key] = value; }, wanted};
}

std::vector<Damage> damages() {
  std::vector<Damage> list{
      set("question", "question", 3, {"wanted a string, found 3"}),
      set("choices_kind", "choices", "abc",
          {"wanted a list of 2 to 26 "
           "strings, found \"abc\""}),
      set("choices_few", "choices", {"a"},
          {"wanted a list of 2 to 26 "
           "strings"}),
      set("choices_item", "choices", {"a", 2}, {"wanted strings, found 2"}),
      set("answer_high", "answer", 3, {"wanted an index below 3", "found 3"}),
      set("answer_negative", "answer", -1, {"found -1"}),
      set("answer_kind", "answer", "A",
          {"wanted an integer, found "
           "\"A\""}),
      set("image_kind", "image", 1, {"image.png or null, found 1"}),
      set("image_path", "image", "../secret.png", {"wanted a file name"}),
      set("image_empty", "image", "", {"wanted a file name"}),
      set("grade_word", "grade", "first",
          {"wanted grade1 to grade12, "
           "found 'first'"}),
      set("grade_high", "grade", "grade13", {"found 'grade13'"}),
      set("grade_zero", "grade", "grade01", {"found 'grade01'"}),
      set("subject", "subject", "maths", {"'social science'", "found 'maths'"}),
      set("split", "split", "tset", {"'train', 'val', 'test'", "found 'tset'"}),
      set("control", "subject", "a\nb", {"a\\x0ab"}),
      {"problem_kind", [](Json& p, Json&) { p["5"] = 7; }, {"problem '5'", "wanted a JSON object, found 7"}},
      {"id_path", [](Json& p, Json&) { p["../5"] = p["5"]; }, {"'../5'", "wanted an id without"}},
      {"no_problems", [](Json& p, Json&) { p = Json::object(); }, {"at least one problem"}},
      {"list",
       [](Json& p, Json&) {
         p = {1, 2};
       },
       {"wanted a JSON object, found "
        "array"}},
      {"unknown_id", [](Json&, Json& s) { s["val"].push_back("77"); }, {"list 'val'", "\"77\" is not in"}},
      {"number_id", [](Json&, Json& s) { s["val"].push_back(18); }, {"ids as strings, found 18"}},
      {"twice", [](Json&, Json& s) { s["val"].push_back("18"); }, {"'18' stands twice"}},
      {"other_split", [](Json&, Json& s) { s["train"].push_back("18"); }, {"list 'train'", "split is 'val'"}},
      {"list_kind", [](Json&, Json& s) { s["train"] = "1"; }, {"list 'train'", "wanted a list"}},
  };
  for (const char* key : {"question", "choices", "answer", "hint", "image", "task", "grade", "subject",
                          "topic", "category", "skill", "lecture", "solution", "split"})
    list.push_back({key, [key](Json& p, Json&) { p["5"].erase(key); }, {"problem '5'", key, "is missing"}});
  return list;
}

INSTANTIATE_TEST_SUITE_P(All, DamagedScienceQa, testing::ValuesIn(damages()),
                         [](const auto& info) { return concat(info.index, "_", info.param.name); });

TEST(ScienceQa, RefusesFilesCutAtAnyByte) {
  ScienceQaFolder folder;
  folder.write();
  for (const char* name : {"problems.json", "pid_splits.json"}) {
    const std::string whole = read_file(folder / name);
    for (size_t cut = 0; cut + 2 < whole.size(); cut += 37) {
      write_file(folder / name, whole.substr(0, cut));
      EXPECT_THAT(open_message(folder / ""), HasSubstr(name)) << cut;
    }
    write_file(folder / name, whole);
  }
}

}  // namespace
}  // namespace dehvf
