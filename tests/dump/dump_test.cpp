// `dehvf dump` from files to tensors, against plain PyTorch in f64 (tests/golden/make_dehvf.py), and what it
// refuses.
#include <cstring>

#include <gmock/gmock.h>

#include "core/io/file.h"
#include "core/io/json.h"
#include "layers/batch.h"
#include "support/golden.h"
#include "support/message.h"
#include "support/temporary_folder.h"
#include "train/dump_input.h"
#include "train/open_model.h"

namespace dehvf {
namespace {

using Tensors = std::map<std::string, Tensor>;

ModelFiles golden_files() {
  return {.llama = golden("dehvf/llama"),
          .tower = golden("dehvf/tower"),
          .adapter = golden("dehvf/dehvf.safetensors"),
          .fusion = "dehvf",
          .options = {{"slots", "20"},
                      {"rank", "16"},
                      {"lambda", "0.05"},
                      {"scale", "0.1"},
                      {"dropout", "0"},
                      {"groups", "2"},
                      {"positions", "2"},
                      {"embedding", "8"},
                      {"hidden", "12"},
                      {"width", "8"},
                      {"heads", "2"},
                      {"blocks", "2"},
                      {"tower_adapters.rank", "3"},
                      {"tower_adapters.scale", "0.1"}}};
}

// The fixture's input as the files that a user would write.
struct InputFiles {
  explicit InputFiles(const Tensors& expected) : tokens(folder / "tokens.json") {
    const auto lengths = integers<int64_t>(expected.at("lengths")),
               present = integers<int64_t>(expected.at("present"));
    const auto ids = integers<int32_t>(expected.at("token_ids")),
               labels = integers<int32_t>(expected.at("labels"));
    Json samples = Json::array();
    size_t begin = 0;
    for (size_t i = 0; i < lengths.size(); begin += size_t(lengths[i++])) {
      const auto part = [&](const std::vector<int32_t>& all) {
        return std::vector<int32_t>(all.begin() + int64_t(begin), all.begin() + int64_t(begin) + lengths[i]);
      };
      samples.push_back({{"tokens", part(ids)}, {"labels", part(labels)}, {"image", nullptr}});
      if (present[i]) samples.back()["image"] = i;
    }
    write_json(tokens, {{"samples", samples}});
    images = {folder / "pixels.safetensors"};
    write_safetensors(images[0], {{"pixels", expected.at("pixels")}});
  }

  TemporaryFolder folder;
  std::filesystem::path tokens;
  std::vector<std::filesystem::path> images;
};

Tensors by_name(const NamedTensors& tensors) { return {tensors.begin(), tensors.end()}; }

struct DumpTest : testing::Test {
  const Tensors expected = load_safetensors(golden("dehvf/dehvf_expected.safetensors"));
  const InputFiles files{expected};

  DumpInput input_of(const std::string& json) const {
    const auto path = files.folder / "other.json";
    write_file(path, json);
    return read_dump_input(path, {}, {});
  }
};

TEST_F(DumpTest, EveryStateAndGradientIsPyTorchs) {
  const OpenedModel opened = open_model(golden_files(), DType::f64);
  const Tensors found = by_name(
      dump(*opened.model, read_dump_input(files.tokens, files.images, opened.recipe), /*gradients=*/true));
  int compared = 0;
  for (const auto& [name, want] : expected) {
    if (name == "token_ids" || name == "lengths" || name == "labels" || name == "present") continue;
    if (!is_float(want.dtype()) || name.starts_with("z.")) continue;  // z: inside the operator
    ASSERT_TRUE(found.contains(name)) << name;
    const double floor = name.ends_with("attention.k.bias") ? 1e-3 : 1e-6;  // those are zero but for rounding
    EXPECT_LT(relative_error(found.at(name), want, floor), 1e-9) << name;
    ++compared;
  }
  EXPECT_GT(compared, 40);
}

TEST_F(DumpTest, WithoutGradientsTheStatesAreTheSame) {
  const OpenedModel opened = open_model(golden_files(), DType::f32);
  const DumpInput input = read_dump_input(files.tokens, files.images, opened.recipe);
  const Tensors plain = by_name(dump(*opened.model, input, false)),
                full = by_name(dump(*opened.model, input, true));
  EXPECT_LT(plain.size(), full.size());
  for (const auto& [name, tensor] : plain) {
    ASSERT_EQ(tensor.bytes(), full.at(name).bytes()) << name;
    EXPECT_EQ(std::memcmp(tensor.raw(), full.at(name).raw(), tensor.bytes()), 0) << name;
  }
}

TEST_F(DumpTest, Bf16IsNearF64) {
  const OpenedModel opened = open_model(golden_files(), DType::bf16);
  const DumpInput input = read_dump_input(files.tokens, files.images, opened.recipe);
  const Tensors found = by_name(dump(*opened.model, input, false));
  EXPECT_LT(relative_error(found.at("logits"), expected.at("logits")), 0.1);
  EXPECT_THROW(dump(*opened.model, input, true), ConfigError);
}

TEST_F(DumpTest, TextAloneNeedsNoTower) {
  const OpenedModel opened = open_model({.llama = golden("dehvf/llama")}, DType::f64);
  const Tensors found = by_name(dump(*opened.model, input_of(R"({"samples":[{"tokens":[1,5,9]}]})"), false));
  EXPECT_TRUE(found.contains("logits"));
  EXPECT_FALSE(found.contains("loss"));
  EXPECT_FALSE(found.contains("fuser_weights"));
}

TEST_F(DumpTest, RefusesWhatTheModelCannotTake) {
  const OpenedModel opened = open_model(golden_files(), DType::f64);
  const auto refusal = [&](const std::string& json) {
    return message_of<ConfigError>([&] { dump(*opened.model, input_of(json), true); });
  };
  EXPECT_THAT(refusal(R"({"samples":[]})"), testing::HasSubstr("no samples"));
  EXPECT_THAT(refusal(R"({"samples":[{"tokens":[]}]})"), testing::HasSubstr("0 tokens"));
  EXPECT_THAT(refusal(R"({"samples":[{"tokens":[1,99999]}]})"), testing::HasSubstr("token 99999 at 1"));
  EXPECT_THAT(refusal(R"({"samples":[{"tokens":[1,2],"labels":[1]}]})"),
              testing::HasSubstr("1 labels for 2"));
  EXPECT_THAT(refusal(R"({"samples":[{"tokens":[1,2],"labels":[-1,1]}]})"),
              testing::HasSubstr("label -1 at 0"));
  EXPECT_THAT(refusal(R"({"samples":[{"tokens":[1,2],"image":0}]})"), testing::HasSubstr("image 0"));
  EXPECT_THAT(refusal(R"({"samples":[{"tokens":[1,2]}]})"), testing::HasSubstr("no token is labelled"));
}

TEST_F(DumpTest, RefusesBadTokenFiles) {
  for (const char* json :
       {"", "[]", "{}", R"({"samples":1})", R"({"samples":[1]})", R"({"samples":[{}]})",
        R"({"samples":[{"tokens":[1.5]}]})", R"({"samples":[{"tokens":["a"]}]})",
        R"({"samples":[{"tokens":[1],"image":"x"}]})", R"({"samples":[{"tokens":[99999999999]}]})",
        R"({"samples":[{"tokens":[1],"picture":0}]})"})
    EXPECT_THAT(message_of<IoError>([&] { input_of(json); }), testing::HasSubstr("other.json")) << json;
}

TEST_F(DumpTest, RefusesAdaptersThatDoNotFit) {
  const auto refusal = [](auto change) {
    ModelFiles files = golden_files();
    change(files);
    return message_of<ConfigError>([&] { open_model(files, DType::f64); });
  };
  EXPECT_THAT(refusal([](ModelFiles& f) { f.fusion = ""; }), testing::HasSubstr("give its fusion"));
  EXPECT_THAT(refusal([](ModelFiles& f) { f.tower = ""; }), testing::HasSubstr("none is given"));
  EXPECT_THAT(refusal([](ModelFiles& f) { f.adapter = ""; }), testing::HasSubstr("no adapter is given"));
  EXPECT_THAT(refusal([](ModelFiles& f) { f.options["slots"] = "19"; }), testing::HasSubstr("slot_keys"));
  EXPECT_THAT(refusal([](ModelFiles& f) { f.options["slotz"] = "19"; }), testing::HasSubstr("slotz"));
  EXPECT_THAT(refusal([](ModelFiles& f) { f.options["tower_adapters.rang"] = "3"; }),
              testing::HasSubstr("rang"));
  EXPECT_THAT(refusal([](ModelFiles& f) {
                f.options.erase("tower_adapters.rank");
                f.options.erase("tower_adapters.scale");
              }),
              testing::HasSubstr("tower.layers.0.adapter"));
}

}  // namespace
}  // namespace dehvf
