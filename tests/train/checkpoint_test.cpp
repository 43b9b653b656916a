#include "train/checkpoint.h"

#include <fstream>

#include <gmock/gmock.h>

#include "core/io/file.h"
#include "core/random.h"
#include "support/message.h"
#include "support/temporary_folder.h"
#include "toy_mlp.h"

namespace dehvf {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

void spill(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

struct Trained {
  explicit Trained(uint64_t seed, int64_t hidden = 13) : toy(5, hidden) {
    initialise(toy, seed);
    flat.emplace(toy);
    copy_into(random_normal({flat->count()}, 1, seed + 100), flat->buffers().first_moment);
    copy_into(random_normal({flat->count()}, 1, seed + 200), flat->buffers().second_moment);
  }
  ToyMlp toy;
  std::optional<FlatParameters> flat;
};

// Everything that a checkpoint holds of the buffers.
std::vector<float> contents(const FlatParameters& flat) {
  std::vector<float> all;
  for (const Tensor& buffer :
       {flat.buffers().value, flat.buffers().first_moment, flat.buffers().second_moment})
    for (float v : buffer.span<float>()) all.push_back(v);
  return all;
}

TrainState state_at(int64_t step) {
  return {.counters = {.steps = step, .updates = step - 1, .skipped = 1, .skipped_in_a_row = 1},
          .cursor = R"({"at":[1,"\"x"]})",
          .seed = ~uint64_t(7),
          .config_hash = "c0ffee"};
}

std::vector<std::string> names_in(const TemporaryFolder& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    names.push_back(entry.path().filename());
  std::ranges::sort(names);
  return names;
}

TEST(Checkpoint, ComesBackBitForBit) {
  const TemporaryFolder folder;
  const Trained saved(1), loaded(2);
  save_checkpoint(folder.path(), *saved.flat, state_at(12));
  std::vector<std::string> notes;
  EXPECT_EQ(load_latest_checkpoint(folder.path(), *loaded.flat, notes), state_at(12));
  EXPECT_THAT(notes, IsEmpty());
  EXPECT_EQ(contents(*loaded.flat), contents(*saved.flat));
  EXPECT_EQ(numbers(loaded.toy.first.weight.value()), numbers(saved.toy.first.weight.value()));
}

TEST(Checkpoint, AnEmptyOrAbsentFolderHasNone) {
  const TemporaryFolder folder;
  const Trained trained(1);
  std::vector<std::string> notes;
  EXPECT_EQ(load_latest_checkpoint(folder.path(), *trained.flat, notes), std::nullopt);
  EXPECT_EQ(load_latest_checkpoint(folder / "absent", *trained.flat, notes), std::nullopt);
}

TEST(Checkpoint, KeepsTwoAndRemovesWhatWasLeftBehind) {
  const TemporaryFolder folder;
  const Trained trained(1);
  for (int64_t step : {8, 9, 10}) save_checkpoint(folder.path(), *trained.flat, state_at(step));
  EXPECT_THAT(names_in(folder), ElementsAre("step_000000009.safetensors", "step_000000010.safetensors"));
  spill(folder / "step_000000011.safetensors.tmp.aB3xYz", "killed before its rename");
  spill(folder / "step_000000012.safetensors", "of an abandoned future");
  spill(folder / "step_12.safetensors", "of the user");
  spill(folder / "step_000000011.safetensors.backup", "of the user");
  EXPECT_THAT(list_checkpoints(folder.path()), SizeIs(3));
  save_checkpoint(folder.path(), *trained.flat, state_at(11));
  EXPECT_THAT(names_in(folder), ElementsAre("step_000000010.safetensors", "step_000000011.safetensors",
                                            "step_000000011.safetensors.backup", "step_12.safetensors"));
}

TEST(Checkpoint, DamageAnywhereIsReportedAndTheOneBeforeTaken) {
  const TemporaryFolder folder;
  const Trained saved(1), loaded(2);
  save_checkpoint(folder.path(), *saved.flat, state_at(5));
  const auto before = contents(*saved.flat);
  fill(saved.flat->buffers().value, 9);
  save_checkpoint(folder.path(), *saved.flat, state_at(6));
  const auto newest = folder / "step_000000006.safetensors";
  const std::string whole = read_file(newest);
  const auto falls_back = [&](const std::string& bytes) {
    spill(newest, bytes);
    std::vector<std::string> notes;
    const auto state = load_latest_checkpoint(folder.path(), *loaded.flat, notes);
    ASSERT_EQ(state, state_at(5));
    ASSERT_THAT(notes, ElementsAre(HasSubstr(newest.string() + ":")));
    ASSERT_EQ(contents(*loaded.flat), before);
  };
  for (size_t length : {size_t(0), size_t(7), size_t(8), size_t(200), whole.size() / 2, whole.size() - 1})
    falls_back(whole.substr(0, length));
  falls_back(whole + '\0');
  Random random(4);
  for (int i = 0; i < 60; ++i) {
    std::string flipped = whole;
    const size_t header = 8 + *reinterpret_cast<const uint64_t*>(whole.data());
    size_t at = size_t(random.below(int64_t(i % 2 ? whole.size() : header)));
    if (at < header && whole[at] == ' ') at = 0;  // padding may hold another white space
    flipped[at] = char(flipped[at] ^ (1 << random.below(7)));
    falls_back(flipped);
  }
  spill(folder / "step_000000005.safetensors", "x");
  std::vector<std::string> notes;
  EXPECT_THAT(message_of<IoError>([&] { load_latest_checkpoint(folder.path(), *loaded.flat, notes); }),
              HasSubstr("no checkpoint in it is whole"));
}

TEST(Checkpoint, OfAnotherModelIsRefusedWithEveryDifference) {
  const TemporaryFolder folder;
  const Trained saved(1), wider(2, 14);
  Trained partial(3);
  freeze(partial.toy.first);
  const FlatParameters second(partial.toy);
  save_checkpoint(folder.path(), *saved.flat, state_at(5));
  const auto before = contents(*wider.flat);
  std::vector<std::string> notes;
  const auto refusal = [&](const FlatParameters& flat) {
    return message_of<ConfigError>([&] { load_latest_checkpoint(folder.path(), flat, notes); });
  };
  EXPECT_THAT(refusal(*wider.flat), AllOf(HasSubstr("9 of another shape"),
                                          HasSubstr("moment1.first.bias (wanted f32 [14], found f32 [13])")));
  EXPECT_EQ(contents(*wider.flat), before);
  EXPECT_THAT(refusal(second), AllOf(HasSubstr("6 not known here"), HasSubstr("moment2.first.weight")));
  Trained other(4);
  freeze(other.toy.second);
  EXPECT_THAT(refusal(FlatParameters(other.toy)),
              AllOf(HasSubstr("6 not known here"), HasSubstr("value.second.weight")));
  save_checkpoint(folder.path(), second, state_at(6));
  EXPECT_THAT(refusal(*saved.flat), HasSubstr("6 missing: moment1.first.bias, moment1.first.weight, "));
}

TEST(Checkpoint, AFolderThatCannotBeWrittenIsOneLine) {
  const TemporaryFolder folder;
  const Trained trained(1);
  spill(folder / "file", "x");
  EXPECT_THAT(message_of<IoError>([&] { save_checkpoint(folder / "file", *trained.flat, state_at(1)); }),
              HasSubstr((folder / "file").string() + ": cannot"));
}

}  // namespace
}  // namespace dehvf
