// Folders to models and back.
#include "models/load.h"

#include <gmock/gmock.h>

#include "golden_models/fixture.h"
#include "support/message.h"
#include "support/temporary_folder.h"

namespace dehvf {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

void expect_equal(Module& a, Module& b) {
  const auto left = parameters_of(a), right = parameters_of(b);
  ASSERT_EQ(left.size(), right.size());
  for (size_t i = 0; i < left.size(); ++i) {
    EXPECT_EQ(left[i].path, right[i].path);
    EXPECT_FALSE(left[i].parameter->trainable());
    EXPECT_TRUE(same_bytes(left[i].parameter->value(), right[i].parameter->value())) << left[i].path;
  }
}

Tensors tensors_of(const std::string& folder) {
  return load_safetensors(golden(folder) / "model.safetensors");
}

// A copy of a folder whose tensors were changed by `edit`.
void copy_changed(const std::string& from, const TemporaryFolder& to, auto edit) {
  Tensors tensors = tensors_of(from);
  edit(tensors);
  write_safetensors(to / "model.safetensors", {tensors.begin(), tensors.end()});
  std::filesystem::copy_file(golden(from) / "config.json", to / "config.json");
}

TEST(LoadLlama, EveryLayoutOfFilesIsTheSameModel) {
  const auto whole = load_llama(golden("llama/mha_f32"));
  for (const char* name : {"llama/sharded_f32", "llama/meta_1", "llama/meta_2"}) {
    SCOPED_TRACE(name);
    const auto other = load_llama(golden(name), DType::f32);
    expect_equal(*whole.model, *other.model);
    EXPECT_EQ(other.model->config().vocab, 68);
  }
  EXPECT_THAT(whole.notes, IsEmpty());
}

TEST(LoadLlama, TakesTheStoredDTypeOrTheOneAskedFor) {
  const auto stored = load_llama(golden("llama/bf16"));
  EXPECT_EQ(parameters_of(*stored.model)[0].parameter->value().dtype(), DType::bf16);
  EXPECT_THAT(load_llama(golden("llama/bf16"), DType::f32).notes, Not(Contains(HasSubstr("rounded"))));
  const auto narrow = load_llama(golden("llama/mha_f32"), DType::bf16);
  EXPECT_EQ(parameters_of(*narrow.model)[0].parameter->value().dtype(), DType::bf16);
  int64_t rounded = 0, all = 0;
  for (const auto& [name, tensor] : tensors_of("llama/mha_f32"))
    for (float value : tensor.span<float>()) rounded += float(bf16(value)) != value, ++all;
  EXPECT_THAT(
      narrow.notes,
      Contains(HasSubstr(concat(rounded, " of ", all, " weights were rounded when turned into bf16"))));
}

TEST(LoadLlama, ListsAllThatIsMissingOrMisshapen) {
  const TemporaryFolder folder;
  copy_changed("llama/mha_f32", folder, [](Tensors& tensors) {
    tensors.erase("model.norm.weight");
    tensors.erase("model.layers.1.mlp.up_proj.weight");
    tensors["lm_head.weight"] = zeros({3, 48});
    tensors["rotary"] = zeros({2});
  });
  EXPECT_THAT(message_of<IoError>([&] { load_llama(folder.path()); }),
              AllOf(HasSubstr("2 tensors are missing"), HasSubstr("model.norm.weight"),
                    HasSubstr("model.layers.1.mlp.up_proj.weight"), HasSubstr("1 have another shape"),
                    HasSubstr("lm_head.weight [3, 48], wanted [68, 48]"), HasSubstr("1 are not known")));
}

TEST(LoadLlama, NotesWhatIsNotUsed) {
  const TemporaryFolder folder;
  copy_changed("llama/tied_f32", folder, [](Tensors& tensors) {
    tensors["lm_head.weight"] = zeros({67, 48});
  });
  EXPECT_THAT(load_llama(folder.path()).notes, Contains(HasSubstr("not used: lm_head.weight")));
}

TEST(LoadLlama, RefusesWeightsThatDoNotFit) {
  const TemporaryFolder folder;
  copy_changed("llama/mha_f32", folder,
               [](Tensors& tensors) { tensors["model.norm.weight"].data<float>()[7] = 1e6f; });
  EXPECT_THAT(message_of<IoError>([&] { load_llama(folder.path(), DType::f16); }),
              AllOf(HasSubstr("'model.norm.weight'"), HasSubstr("1e+06 does not fit f16")));
  const auto wide = load_llama(folder.path(), DType::f32);
  const TemporaryFolder target;
  EXPECT_THAT(message_of<IoError>([&] { save_llama(target / "x", *wide.model, DType::f16); }),
              HasSubstr("does not fit f16"));
  EXPECT_FALSE(std::filesystem::exists(target / "x"));
}

TEST(LoadTower, SkipsTheTextTower) {
  const auto loaded = load_tower(golden("clip/joint_f32"));
  EXPECT_THAT(loaded.notes, Contains(AllOf(HasSubstr("tensors are not used"), HasSubstr("logit_scale"))));
  EXPECT_EQ(loaded.model->config().layers, 2);
}

TEST(LoadTower, PrefixMayBeLeftOut) {
  const TemporaryFolder folder;
  copy_changed("clip/vision_f32", folder, [](Tensors& tensors) {
    Tensors bare;
    for (const auto& [name, tensor] : tensors)
      bare[name.substr(std::string("vision_model.").size())] = tensor;
    tensors = bare;
  });
  expect_equal(*load_tower(folder.path()).model, *load_tower(golden("clip/vision_f32")).model);
}

class SaveTest : public testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(DTypes, SaveTest, testing::Values(DType::f32, DType::bf16, DType::f16));

TEST_P(SaveTest, LlamaComesBackEqual) {
  for (const char* name : {"gqa_f32", "tied_f32", "llama3_rope_f32", "linear_rope_f32", "bf16"}) {
    SCOPED_TRACE(name);
    const TemporaryFolder folder;
    const auto first = load_llama(golden(concat("llama/", name)), GetParam());
    save_llama(folder.path(), *first.model, GetParam());
    const auto second = load_llama(folder.path());
    expect_equal(*first.model, *second.model);
    LlamaConfig config = first.model->config();
    config.dtype = name_of(GetParam());
    EXPECT_EQ(second.model->config(), config);
    EXPECT_THAT(second.notes, IsEmpty());
  }
}

TEST_P(SaveTest, TowerComesBackEqual) {
  for (const char* name : {"clip/vision_f32", "clip/joint_f32", "towers/siglip_joint_f32",
                           "towers/dinov2_f32", "towers/registers_f32"}) {
    const TemporaryFolder folder;
    const auto first = load_tower(golden(name), GetParam());
    save_tower(folder.path(), *first.model, GetParam());
    const auto second = load_tower(folder.path());
    expect_equal(*first.model, *second.model);
    EXPECT_EQ(second.model->config(), first.model->config());
    EXPECT_THAT(second.notes, IsEmpty());
    const SafetensorsFile file(folder / "model.safetensors");
    const VisionConfig& config = first.model->config();
    EXPECT_EQ(file.shape(concat(tower_names(config.family).patch, ".weight")),
              Shape({config.width, 3, config.patch, config.patch}));
    EXPECT_EQ(file.metadata().at("format"), "pt");
  }
}

TEST(SaveLlama, NamesAndBytesAreThoseOfTheFolderItCameFrom) {
  const TemporaryFolder folder;
  save_llama(folder.path(), *load_llama(golden("llama/mha_f32")).model, DType::f32);
  const Tensors before = tensors_of("llama/mha_f32"), after = load_safetensors(folder / "model.safetensors");
  ASSERT_EQ(before.size(), after.size());
  for (const auto& [name, tensor] : before) EXPECT_TRUE(same_bytes(tensor, after.at(name))) << name;
  EXPECT_THAT(message_of<ConfigError>(
                  [&] { save_llama(folder.path(), *load_llama(folder.path()).model, DType::f64); }),
              HasSubstr("f32, bf16 or f16"));
}

}  // namespace
}  // namespace dehvf
