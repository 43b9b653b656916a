#include "models/torch_file.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/file.h"
#include "core/io/json.h"
#include "models/safetensors.h"
#include "models_io/torch_parts.h"
#include "support/message.h"
#include "support/temporary_folder.h"

namespace dehvf {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;

const std::filesystem::path kGolden = DEHVF_SOURCE_DIR "/tests/golden/pth";

std::string pickle_error(const std::string& pickle) {
  return message_of<IoError>([&] { parse_torch_pickle(pickle, "f"); });
}

std::string counting_floats(int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes += bytes_of(float(i));
  return bytes;
}

TEST(TorchFile, FilesOfTorchLoadEqual) {
  const auto expected = load_safetensors(kGolden / "expected.safetensors");
  size_t seen = 0;
  for (const char* name : {"dtypes.pth", "views.pth", "shared.pth", "parameters.pth", "checkpoint.pth"}) {
    const TorchFile file(kGolden / name);
    for (const auto& key : file.names()) {
      const bool nested = key.starts_with("model.");
      const auto& wanted = expected.at(std::string(name) + "." + (nested ? key.substr(6) : key));
      const Tensor found = file.load(key);
      EXPECT_EQ(found.shape(), wanted.shape()) << key;
      EXPECT_EQ(found.dtype(), wanted.dtype()) << key;
      EXPECT_EQ(std::memcmp(found.raw(), wanted.raw(), wanted.bytes()), 0) << name << " " << key;
      ++seen;
    }
  }
  EXPECT_EQ(seen, expected.size());
  EXPECT_THAT(TorchFile(kGolden / "checkpoint.pth").names(), ElementsAre("model.module.adapter.weight"));
}

TEST(TorchFile, FilesThatMustBeRefusedAre) {
  const auto error = [](const char* name) { return message_of<IoError>([&] { TorchFile(kGolden / name); }); };
  EXPECT_THAT(error("disallowed.pth"), HasSubstr("global posix.system is not allowed"));
  EXPECT_THAT(error("module.pth"), HasSubstr("global torch.nn.modules.linear.Linear is not allowed"));
  EXPECT_THAT(error("legacy.pth"), HasSubstr("not a zip archive: it was saved by torch before 1.6"));
  EXPECT_THAT(error("truncated.pth"), HasSubstr("no central directory"));
  EXPECT_THAT(error("out_of_storage.pth"), HasSubstr("wanted a storage of 240 bytes, found 100"));
}

TEST(TorchFile, StridesOffsetsAndZip64) {
  const TemporaryFolder folder;
  const std::string pickle =
      dictionary(text("a") + tensor({}) + text("t") + tensor({.shape = {3, 2}, .stride = {1, 3}}) +
                 text("b") + tensor({.offset = 5, .shape = {1, 1}, .stride = {0, 77}}) + text("s") +
                 tensor({.shape = {}, .stride = {}}) + text("e") +
                 tensor({.offset = 6, .shape = {0, 4}, .stride = {4, 1}}) + text("deep") +
                 tensor({.shape = {1, 1, 1, 1, 1, 6}, .stride = {6, 6, 6, 6, 6, 1}}));
  for (const bool zip64 : {false, true}) {
    spill(folder / "f", make_torch_file(pickle, {{"0", counting_floats(6)}}, {.zip64 = zip64}));
    const TorchFile file(folder / "f");
    EXPECT_THAT(file.load("a").span<float>(), ElementsAre(0, 1, 2, 3, 4, 5));
    EXPECT_THAT(file.load("t").span<float>(), ElementsAre(0, 3, 1, 4, 2, 5));
    EXPECT_THAT(file.load("b").span<float>(), ElementsAre(5));
    EXPECT_EQ(file.load("s").shape(), Shape{});
    EXPECT_EQ(file.load("e").shape(), (Shape{0, 4}));
    EXPECT_THAT(message_of<IoError>([&] { file.load("deep"); }), HasSubstr("has 6 axes"));
    EXPECT_THAT(message_of<IoError>([&] { file.load("x"); }), HasSubstr("has no tensor 'x'"));
  }
}

TEST(TorchFile, DictionariesNestAndOtherValuesArePassedOver) {
  const std::string pickle =
      dictionary(text("model") + global("collections", "OrderedDict") + ")Rq\x07(" + text("w") + tensor({}) +
                 "u}" + text("_metadata") + "}sb" + text("again") + "h\x07" + text("args") +
                 global("argparse", "Namespace") + ")\x81}(" + text("lr") + "G" + std::string(8, '?') +
                 text("betas") + "](NNe" + text("big") + "\x8a\x09" + std::string(9, '\1') + "ub");
  EXPECT_THAT(pickle_error(pickle), HasSubstr("more than 64 bits"));
  std::string good = pickle;
  good.replace(good.find("\x8a\x09"), 11, std::string("\x8a\x02\xff\xff", 4));
  const auto tensors = parse_torch_pickle(good, "f");
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors[0].name, "model.w");
  EXPECT_EQ(tensors[1].name, "again.w");
}

TEST(TorchFile, LongIntegersKeepTheirSign) {
  const auto with_count = [](const std::string& count) {
    std::string pickle = dictionary(text("a") + tensor({.count = 6}));
    pickle.replace(pickle.find(integer(6)), 5, count);
    return pickle;
  };
  EXPECT_EQ(parse_torch_pickle(with_count("\x8a\x01\x06"), "f")[0].storage_count, 6u);
  EXPECT_EQ(parse_torch_pickle(with_count(std::string("\x8a\x02\xff\0", 4)), "f")[0].storage_count, 255u);
  EXPECT_THAT(pickle_error(with_count("\x8a\x01\xff")), HasSubstr("a storage of -1 elements"));
  EXPECT_THAT(pickle_error(with_count(concat("\x8a\x08", std::string(8, '\xff')))),
              HasSubstr("of -1 elements"));
}

TEST(TorchFile, DamagedPicklesAreRefused) {
  const auto item = [](const std::string& value) { return dictionary(text("a") + value); };
  const std::pair<std::string, const char*> cases[] = {
      {"", "ends too early"},
      {"\x80\x02", "ends too early"},
      {"\x80\x04.", "protocol 4"},
      {".", "a value is missing"},
      {"\x80\x02N.", "wanted a dictionary of tensors"},
      {concat("\x80\x02", tensor({}), "."), "wanted a dictionary of tensors"},
      {item("iposix\nsystem\n"), "opcode 105 is not allowed"},
      {item("\x93"), "opcode 147 is not allowed"},
      {item(global("builtins", "eval")), "global builtins.eval is not allowed"},
      {item(global("torch", "Half\x1bStorage")), "torch.Half\\x1bStorage"},
      {item(global("argparse", "Namespace") + ")R"), "argparse.Namespace called"},
      {item(global("torch", "HalfStorage") + ")\x81"), "an object of torch.HalfStorage"},
      {item(global("collections", "OrderedDict") + "(NtR"), "collections.OrderedDict called with 1"},
      {item(global("torch._utils", "_rebuild_tensor_v2") + ")R"), "wants storage, offset"},
      {item("h\x05"), "memo 5 is not set"},
      {dictionary(text("a")), "wanted pairs"},
      {"\x80\x02)Nb.", "wanted a dictionary to give a state to"},
      {item(global("argparse", "Namespace") + ")\x81Nb"), "wanted a dictionary of attributes"},
      {"\x80\x02}tu.", "a mark is missing"},
      {"\x80\x02}(s.", "a value is missing"},
      {"\x80\x02)Na.", "wanted a list"},
      {item(tensor({.storage_class = "Storage"})), "global torch.Storage is not allowed"},
      {item(tensor({.count = -1})), "a storage of -1 elements"},
      {item(tensor({.offset = 1})), "outside of its storage"},
      {item(tensor({.offset = -1})), "outside of its storage"},
      {item(tensor({.stride = {3, -1}})), "outside of its storage"},
      {item(tensor({.shape = {-2, 3}})), "outside of its storage"},
      {item(tensor({.shape = {2, 3, 1}})), "as many strides as sizes"},
      {item(tensor({.shape = {7}, .stride = {0}})), "more elements than it"},
      {item(tensor({.shape = {1 << 30, 1 << 30, 1 << 30}, .stride = {0, 0, 0}})), "outside of its storage"},
      {item(tensor({.shape = {1, 1, 1, 1, 1, 1, 1, 1, 1}, .stride = {1, 1, 1, 1, 1, 1, 1, 1, 1}})),
       "more than 8 axes"},
      {dictionary(text("a") + tensor({}) + text("a") + tensor({})), "'a' stands twice"},
      {dictionary(text("d") + "}" + text("w") + tensor({}) + "s" + text("d.w") + tensor({})),
       "'d.w' stands twice"},
      {dictionary(std::string("X\xff\xff\xff\xff") + "a"), "ends too early"},
      {"\x80\x02}q" + std::string(1, '\0') + text("self") + "h" + std::string(1, '\0') + "s.",
       "nested too deeply"},
  };
  for (const auto& [pickle, message] : cases)
    EXPECT_THAT(pickle_error(pickle), HasSubstr(message)) << printable(pickle);
}

// Thirty dictionaries, each of which holds the one before it twice.
TEST(TorchFile, WorkAndMemoryAreBounded) {
  std::string pickle("\x80\x02}q\0", 5);
  for (char i = 1; i < 30; ++i) {
    const std::string last{'h', char(i - 1)};
    pickle += concat("}q", i, "(", text("a"), last, text("b"), last, "u");
  }
  EXPECT_THAT(pickle_error(pickle + "."), HasSubstr("too many values"));
  EXPECT_THAT(pickle_error(concat("\x80\x02", std::string(2'000'000, 'N'), ".")),
              HasSubstr("too many values"));
  EXPECT_THAT(pickle_error(concat("\x80\x02", std::string(2'000'000, '('), ".")),
              HasSubstr("too many marks"));
}

TEST(TorchFile, DamagedArchivesAreRefused) {
  const TemporaryFolder folder;
  const auto attempt = [&](const std::string& bytes) {
    spill(folder / "f", bytes);
    return message_of<IoError>([&] { TorchFile(folder / "f").load("a"); });
  };
  const std::string pickle = dictionary(text("a") + tensor({}));
  const Members storage{{"0", counting_floats(6)}};
  const std::string good = make_torch_file(pickle, storage);
  EXPECT_EQ(attempt(good), "(no exception)");
  EXPECT_THAT(attempt(""), HasSubstr("not a zip archive, as"));
  EXPECT_THAT(attempt("GGUF...."), HasSubstr("not a zip archive, as"));
  EXPECT_THAT(attempt(make_torch_file(pickle, storage, {.method = 8})), HasSubstr("is compressed"));
  EXPECT_THAT(attempt(make_torch_file(pickle, {})), HasSubstr("wanted a storage of 24 bytes, found 0"));
  EXPECT_THAT(attempt(make_torch_file(pickle, {{"0", "x"}})), HasSubstr("found 1"));
  EXPECT_THAT(attempt(make_torch_file(pickle, {{"0", storage[0].second}, {"0", ""}})),
              HasSubstr("stands twice"));
  EXPECT_THAT(attempt(make_zip({{"m/data.pkl", pickle}, {"m/byteorder", "big"}})), HasSubstr("big-endian"));
  EXPECT_THAT(attempt(make_zip({{"m/constants.pkl", pickle}})), HasSubstr("without data.pkl"));
  std::string moved = good;
  moved[moved.find("PK\x03\x04", 4) + 1] = 'X';  // the local header of the second member, byteorder
  EXPECT_THAT(attempt(moved), HasSubstr("not where the directory says"));
  for (size_t end = 0; end < good.size(); ++end)
    EXPECT_NE(attempt(good.substr(0, end)), "(no exception)") << end;
}

TEST(TorchFile, ThousandsOfDamagedFilesThrowOrLoad) {
  std::mt19937 random(5);
  const TemporaryFolder folder;
  int opened = 0, refused = 0;
  for (const char* name : {"dtypes.pth", "views.pth", "checkpoint.pth"}) {
    const std::string good = read_file(kGolden / name);
    for (int i = 0; i < 700; ++i) {
      std::string bytes = good;
      const size_t at = i % 2 ? random() % 1500 : random() % bytes.size();
      if (i % 5 == 0)
        bytes.erase(at, 1 + random() % 9);
      else
        bytes[at] = i % 3 ? char(random()) : char(bytes[at] ^ (1 << random() % 8));
      spill(folder / "bad", bytes);
      try {
        const TorchFile file(folder / "bad");
        for (const auto& key : file.names()) file.load(key);
        ++opened;
      } catch (const IoError&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(opened, 100);
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace dehvf
