#include "models/weight_folder.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/file.h"
#include "core/io/json.h"
#include "models/meta_layout.h"
#include "models_io/torch_parts.h"
#include "support/message.h"
#include "support/temporary_folder.h"

namespace dehvf {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::filesystem::path kGolden = DEHVF_SOURCE_DIR "/tests/golden";

Tensor random_tensor(const Shape& shape, std::mt19937& random) {
  Tensor tensor(shape, DType::f32);
  for (float& x : tensor.span<float>()) x = float(random()) / 1e9f;
  return tensor;
}

bool same(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

void expect_equal(const WeightFolder& a, const WeightFolder& b) {
  EXPECT_EQ(a.names(), b.names());
  for (const auto& name : b.names()) {
    EXPECT_EQ(a.shape(name), b.shape(name)) << name;
    EXPECT_EQ(a.dtype(name), b.dtype(name)) << name;
    EXPECT_TRUE(same(a.load(name), b.load(name))) << name;
  }
}

TEST(WeightFolder, ShardsAndMetaPartsEqualTheSingleFile) {
  const WeightFolder single(kGolden / "llama/mha_f32");
  EXPECT_THAT(single.notes(), IsEmpty());
  EXPECT_EQ(single.names().size(), 21u);
  const WeightFolder sharded(kGolden / "llama/sharded_f32");
  expect_equal(sharded, single);
  EXPECT_THAT(sharded.notes(), IsEmpty());
  EXPECT_EQ(sharded.fingerprint(), single.fingerprint());
  for (const char* name : {"llama/meta_1", "llama/meta_2"}) {
    const WeightFolder meta(kGolden / name);
    expect_equal(meta, single);
    EXPECT_THAT(meta.notes(), ElementsAre(HasSubstr("context length"), HasSubstr("ignored rope.freqs")));
  }
}

TEST(WeightFolder, SingleFilesOfBothKinds) {
  const WeightFolder file(kGolden / "llama/mha_f32/model.safetensors");
  expect_equal(file, WeightFolder(kGolden / "llama/mha_f32"));
  EXPECT_THAT(WeightFolder(kGolden / "pth/checkpoint.pth").names(),
              ElementsAre("model.module.adapter.weight"));
  EXPECT_THAT(message_of<IoError>([] { WeightFolder(kGolden / "pth/legacy.pth"); }),
              HasSubstr("torch before 1.6"));
  EXPECT_THAT(message_of<IoError>([] { WeightFolder(kGolden / "absent"); }), HasSubstr("cannot open"));
  EXPECT_THAT(message_of<IoError>([] { WeightFolder(kGolden / "tokenizers"); }), HasSubstr("found none"));
}

// Two shards and their index, to be damaged.
struct Sharded {
  TemporaryFolder folder;
  Json index;

  Sharded() {
    std::mt19937 random(1);
    write_safetensors(folder / "a.st",
                      {{"x", random_tensor({3, 5}, random)}, {"y", random_tensor({7}, random)}});
    write_safetensors(folder / "b.st", {{"z", random_tensor({2, 1}, random)}});
    index = {{"metadata", {{"total_size", 96}}},
             {"weight_map", {{"x", "a.st"}, {"y", "a.st"}, {"z", "b.st"}}}};
  }
  WeightFolder open() const {
    spill(folder / "model.safetensors.index.json", index.dump());
    return WeightFolder(folder.path());
  }
  std::string error() const {
    return message_of<IoError>([&] { open(); });
  }
};

TEST(WeightFolder, ShardedFolderWithWrongClaimsOpensWithNotes) {
  Sharded sharded;
  EXPECT_THAT(sharded.open().notes(), IsEmpty());
  EXPECT_EQ(sharded.open().shape("z"), (Shape{2, 1}));
  for (const Json& claimed : {Json(95), Json(-1), Json(1e300), Json("96"), Json()}) {
    sharded.index["metadata"]["total_size"] = claimed;
    EXPECT_THAT(sharded.open().notes(), ElementsAre(HasSubstr("its tensors have 96 bytes")));
  }
  sharded.index.erase("metadata");
  EXPECT_THAT(sharded.open().notes(), IsEmpty());
  sharded.index["weight_map"].erase("y");
  EXPECT_THAT(sharded.open().names(), ElementsAre("x", "y", "z"));
  EXPECT_THAT(sharded.open().notes(), ElementsAre(HasSubstr("1 tensors that it does not list")));
}

TEST(WeightFolder, ShardNamesMustStayInTheFolder) {
  for (const char* name : {"../a.st", "sub/a.st", "/etc/passwd", "..", ".", "", "a\\b", "nul\0.st"}) {
    Sharded sharded;
    sharded.index["weight_map"]["x"] = std::string(name, name[0] == 'n' ? 7 : std::strlen(name));
    EXPECT_THAT(sharded.error(), HasSubstr("wanted the plain name of a file")) << name;
  }
}

TEST(WeightFolder, DamagedIndicesAreRefused) {
  Sharded sharded;
  sharded.index["weight_map"]["v"] = "a.st";
  sharded.index["weight_map"]["w"] = "b.st";
  EXPECT_THAT(sharded.error(), HasSubstr("do not hold v (in a.st), w (in b.st)"));
  sharded.index["weight_map"] = {{"x", 1}};
  EXPECT_THAT(sharded.error(), HasSubstr("wanted a file name"));
  sharded.index["weight_map"] = {{"x", "c.st"}};
  EXPECT_THAT(sharded.error(), HasSubstr("c.st: cannot open"));
  sharded.index = Json::array();
  EXPECT_THAT(sharded.error(), HasSubstr("wanted an object 'weight_map'"));
  std::filesystem::resize_file(sharded.folder / "model.safetensors.index.json", 1);
  EXPECT_THAT(message_of<IoError>([&] { WeightFolder(sharded.folder.path()); }), HasSubstr("invalid JSON"));
}

TEST(WeightFolder, ShardsThatAreLinksIntoACacheOpen) {
  Sharded sharded;
  std::filesystem::create_directories(sharded.folder / "blobs");
  std::filesystem::create_directories(sharded.folder / "snapshots/main");
  for (const char* name : {"a.st", "b.st"}) {
    std::filesystem::rename(sharded.folder / name, sharded.folder / "blobs" / name);
    std::filesystem::create_symlink(std::filesystem::path("../../blobs") / name,
                                    sharded.folder / "snapshots/main" / name);
  }
  spill(sharded.folder / "snapshots/main/model.safetensors.index.json", sharded.index.dump());
  const WeightFolder weights(sharded.folder / "snapshots/main");
  EXPECT_EQ(weights.load("x").shape(), (Shape{3, 5}));
}

TEST(WeightFolder, TorchFoldersSingleAndSharded) {
  const TemporaryFolder folder;
  std::string storage;
  for (int i = 0; i < 6; ++i) storage += bytes_of(float(i));
  spill(folder / "pytorch_model-1.bin",
        make_torch_file(dictionary(text("a") + tensor({})), {{"0", storage}}));
  spill(
      folder / "pytorch_model-2.bin",
      make_torch_file(dictionary(text("b") + tensor({.shape = {3, 2}, .stride = {1, 3}})), {{"0", storage}}));
  spill(
      folder / "pytorch_model.bin.index.json",
      R"({"metadata":{"total_size":48.0},"weight_map":{"a":"pytorch_model-1.bin","b":"pytorch_model-2.bin"}})");
  const WeightFolder sharded(folder.path());
  EXPECT_THAT(sharded.notes(), IsEmpty());
  EXPECT_THAT(sharded.load("b").span<float>(), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_EQ(sharded.fingerprint().size(), 16u);
  std::filesystem::rename(folder / "pytorch_model-1.bin", folder / "pytorch_model.bin");
  EXPECT_THAT(WeightFolder(folder.path()).names(), ElementsAre("a"));
}

TEST(WeightFolder, FingerprintSeesNamesShapesAndBytes) {
  std::mt19937 random(2);
  const TemporaryFolder folder;
  const Tensor big = random_tensor({101, 97}, random), small = random_tensor({6}, random);
  const auto print = [&](const NamedTensors& tensors) {
    write_safetensors(folder / "f", tensors);
    return WeightFolder(folder / "f").fingerprint();
  };
  const std::string base = print({{"a", big}, {"b", small}});
  EXPECT_EQ(base, print({{"b", small}, {"a", big}}));
  EXPECT_NE(base, print({{"a", big}, {"c", small}}));
  EXPECT_NE(base, print({{"a", big}, {"b", small.reshape({2, 3})}}));
  EXPECT_NE(base, print({{"a", big}}));
  for (const size_t at : {size_t(0), big.span<float>().size() / 2, big.span<float>().size() - 1}) {
    const Tensor changed = big.clone();
    changed.data<float>()[at] += 1;
    EXPECT_NE(base, print({{"a", changed}, {"b", small}})) << at;
  }
}

TEST(WeightFolder, CheckTensorsListsEverythingAtOnce) {
  std::mt19937 random(3);
  const TemporaryFolder folder;
  write_safetensors(folder / "f", {{"a", random_tensor({2, 3}, random)},
                                   {"b", random_tensor({4}, random)},
                                   {"inv_freq", random_tensor({1}, random)}});
  const WeightFolder weights(folder / "f");
  const std::vector<ExpectedTensor> good{{"a", {2, 3}}, {"b", {4}}};
  EXPECT_THAT(check_tensors(weights, good), ElementsAre(HasSubstr("1 tensors are not used: inv_freq")));
  const std::vector<ExpectedTensor> bad{{"a", {3, 2}}, {"b", {5}}, {"c", {1}}, {"d\n", {1}}};
  const auto error = message_of<IoError>([&] { check_tensors(weights, bad); });
  EXPECT_THAT(error, HasSubstr("2 tensors are missing: c, d\\x0a"));
  EXPECT_THAT(error, HasSubstr("2 have another shape: a [2, 3], wanted [3, 2], b [4], wanted [5]"));
  EXPECT_THAT(error, HasSubstr("1 are not known: inv_freq"));
}

TEST(MetaLayout, PartsMustFitTogether) {
  const TemporaryFolder folder;
  std::filesystem::copy(kGolden / "llama/meta_2", folder.path(), std::filesystem::copy_options::recursive);
  const auto error = [&] { return message_of<IoError>([&] { WeightFolder(folder.path()); }); };
  EXPECT_EQ(error(), "(no exception)");
  std::filesystem::copy(folder / "consolidated.01.pth", folder / "consolidated.03.pth");
  EXPECT_THAT(error(), HasSubstr("consolidated.03.pth: the part before it is missing"));
  std::filesystem::remove(folder / "consolidated.03.pth");
  std::filesystem::copy(kGolden / "pth/shared.pth", folder / "consolidated.01.pth",
                        std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(error(), HasSubstr("has no tensor"));
  std::filesystem::remove(folder / "consolidated.01.pth");
  EXPECT_EQ(WeightFolder(folder.path()).shape("lm_head.weight"), (Shape{34, 48}));
  spill(folder / "params.json", R"({"dim":60,"n_layers":2,"n_heads":10})");
  EXPECT_THAT(error(), HasSubstr("do not hold 10 heads"));
  std::filesystem::remove(folder / "params.json");
  EXPECT_THAT(error(), HasSubstr("wants params.json"));
}

TEST(MetaLayout, NamesAndPermutation) {
  EXPECT_EQ(meta_tensor("layers.31.feed_forward.w2.weight")->name, "model.layers.31.mlp.down_proj.weight");
  for (const char* name :
       {"rope.freqs", "layers", "layers.", "layers.1", "layers.x.ffn_norm.weight", "layers.1.", ""})
    EXPECT_FALSE(meta_tensor(name)) << name;
  const Tensor rows = tensor_of<float>(std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  EXPECT_THAT(permute_rotary_rows(rows, 2).span<float>(), ElementsAre(0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11));
  EXPECT_THROW(permute_rotary_rows(rows, 4), ShapeError);
}

}  // namespace
}  // namespace dehvf
