#include <cmath>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/json.h"
#include "models/lora_folder.h"
#include "models/safetensors.h"
#include "support/message.h"
#include "support/temporary_folder.h"

namespace dehvf {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::filesystem::path kGolden = DEHVF_SOURCE_DIR "/tests/golden/peft";

Tensor random_tensor(const Shape& shape, std::mt19937& random) {
  Tensor tensor(shape, DType::f32);
  for (float& x : tensor.span<float>()) x = float(random()) / 1e9f;
  return tensor;
}

bool same(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

TEST(LoraFolder, FoldersOfPeftAreRead) {
  std::vector<std::string> notes;
  const LoraAdapter lora = read_lora(kGolden / "lora", notes);
  EXPECT_EQ(lora.modules.size(), 4u);
  const auto& query = lora.modules.at("model.layers.1.self_attn.q_proj");
  EXPECT_EQ(query.a.shape(), (Shape{4, 48}));
  EXPECT_EQ(query.b.shape(), (Shape{48, 4}));
  EXPECT_EQ(query.scale, 2);
  EXPECT_EQ(lora.dropout, 0.05);
  EXPECT_EQ(lora.base_model, "llama/mha_f32");
  EXPECT_EQ(read_lora(kGolden / "rslora", notes).modules.at("model.layers.0.self_attn.v_proj").scale, 4);
  EXPECT_THAT(notes, IsEmpty());
  EXPECT_THAT(message_of<ConfigError>([&] { read_lora(kGolden / "dora", notes); }),
              HasSubstr("use_dora true"));
}

TEST(LoraFolder, WrittenFoldersReadEqual) {
  std::mt19937 random(1);
  LoraAdapter adapter{.rank = 3, .alpha = 6, .dropout = 0.1, .rank_stabilised = false, .base_model = "b"};
  adapter.modules["model.layers.0.mlp.up_proj"] = {random_tensor({3, 5}, random),
                                                   random_tensor({7, 3}, random), 2};
  adapter.modules["lm_head"] = {random_tensor({2, 5}, random), random_tensor({4, 2}, random), 3};
  adapter.modules["model.layers.1.mlp.up_proj"] = {random_tensor({3, 5}, random),
                                                   random_tensor({7, 3}, random), 1.5};
  for (const bool stabilised : {false, true}) {
    adapter.rank_stabilised = stabilised;
    const TemporaryFolder folder;
    write_lora(folder / "new", adapter);
    std::vector<std::string> notes;
    const LoraAdapter read = read_lora(folder / "new", notes);
    EXPECT_THAT(notes, IsEmpty());
    ASSERT_EQ(read.modules.size(), 3u);
    for (const auto& [path, module] : adapter.modules) {
      EXPECT_TRUE(same(read.modules.at(path).a, module.a)) << path;
      EXPECT_TRUE(same(read.modules.at(path).b, module.b)) << path;
      EXPECT_NEAR(read.modules.at(path).scale, module.scale, 1e-15) << path;
    }
    EXPECT_EQ(read.dropout, 0.1);
    EXPECT_THAT(read_json(folder / "new/adapter_config.json")["target_modules"],
                ElementsAre("lm_head", "up_proj"));
  }
}

TEST(LoraFolder, WhatCannotBeWrittenLeavesNothing) {
  const TemporaryFolder folder;
  EXPECT_THROW(write_lora(folder / "new", {}), ConfigError);
  LoraAdapter adapter;
  adapter.modules["m"] = {zeros({2, 3}), zeros({3, 3})};
  EXPECT_THROW(write_lora(folder / "new", adapter), ShapeError);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

// A folder whose config and tensors a test changes.
struct Folder {
  TemporaryFolder folder;
  Json config{{"peft_type", "LORA"}, {"r", 2}, {"lora_alpha", 4}, {"target_modules", {"q_proj"}}};
  NamedTensors tensors{{"base_model.model.l.0.q_proj.lora_A.weight", zeros({2, 3})},
                       {"base_model.model.l.0.q_proj.lora_B.weight", zeros({5, 2})}};
  std::vector<std::string> notes;

  LoraAdapter read() {
    spill(folder / "adapter_config.json", config.dump());
    write_safetensors(folder / "adapter_model.safetensors", tensors);
    notes.clear();
    return read_lora(folder.path(), notes);
  }
  template <class E>
  std::string error() {
    return message_of<E>([&] { read(); });
  }
};

TEST(LoraFolder, PatternsAreHonoured) {
  Folder f;
  EXPECT_EQ(f.read().modules.at("l.0.q_proj").scale, 2);
  f.config["alpha_pattern"] = {{"0.q_proj", 10}};
  EXPECT_EQ(f.read().modules.at("l.0.q_proj").scale, 5);
  f.config["alpha_pattern"] = {{"proj", 10}};
  EXPECT_EQ(f.read().modules.at("l.0.q_proj").scale, 2);
  f.config["r"] = 8;
  EXPECT_THAT(f.error<IoError>(), HasSubstr("says rank 8 for l.0.q_proj, its tensors have 2"));
  f.config["rank_pattern"] = {{"q_proj", 2}};
  EXPECT_EQ(f.read().modules.size(), 1u);
  f.config["rank_pattern"] = {{"l.*.q_proj", 2}};
  EXPECT_THAT(f.error<ConfigError>(), HasSubstr("regular expression"));
}

TEST(LoraFolder, OtherKindsAreRefusedByName) {
  const std::pair<const char*, Json> refused[] = {
      {"peft_type", "IA3"},        {"bias", "lora_only"},           {"use_dora", true},
      {"lora_bias", true},         {"fan_in_fan_out", true},        {"modules_to_save", {"lm_head"}},
      {"use_qalora", true},        {"layer_replication", {{0, 1}}}, {"kasa_config", {{"a", 1}}},
      {"target_parameters", {"w"}}};
  for (const auto& [key, value] : refused) {
    Folder f;
    f.config[key] = value;
    EXPECT_THAT(f.error<ConfigError>(), HasSubstr(key));
  }
}

TEST(LoraFolder, OddConfigsAreReadWithNotes) {
  Folder f;
  f.config["target_modules"] = {"q_proj", "k_proj"};
  f.config["brand_new"] = 3;
  f.config["also_new"] = Json::object();
  f.read();
  EXPECT_THAT(f.notes, ElementsAre(HasSubstr("'brand_new' 3"), HasSubstr("\"k_proj\" has no tensors")));
  f.config.erase("target_modules");
  EXPECT_THAT(f.error<IoError>(), HasSubstr("target_modules"));
  f.config["target_modules"] = R"(.*\.q_proj)";
  f.read();
  f.config["r"] = 0;
  EXPECT_THAT(f.error<IoError>(), HasSubstr("wanted r above 0"));
  f.config.erase("peft_type");
  EXPECT_THAT(f.error<IoError>(), HasSubstr("key 'peft_type' is missing"));
  f.config = Json::array();
  EXPECT_THAT(f.error<IoError>(), HasSubstr("wanted a JSON object"));
}

TEST(LoraFolder, OddTensorsAreListedAtOnce) {
  Folder f;
  f.tensors.emplace_back("base_model.model.l.1.q_proj.lora_A.weight", zeros({2, 3}));
  f.tensors.emplace_back("base_model.model.l.2.q_proj.lora_magnitude_vector", zeros({3}));
  f.tensors.emplace_back("other.lora_B.weight", zeros({3, 2}));
  const auto error = f.error<IoError>();
  EXPECT_THAT(error, HasSubstr("lora_magnitude_vector [3], other.lora_B.weight [3, 2], l.1.q_proj"));
  f.tensors.clear();
  EXPECT_THAT(f.error<IoError>(), HasSubstr("holds no LoRA tensors"));
  std::filesystem::remove(f.folder / "adapter_model.safetensors");
  EXPECT_THAT(message_of<IoError>([&] { read_lora(f.folder.path(), f.notes); }),
              HasSubstr("adapter_model.bin: cannot open"));
}

}  // namespace
}  // namespace dehvf
