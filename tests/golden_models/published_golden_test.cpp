// Adapters in the files of MemVP's, LaVIN's and LLaVA's training code: imported they give the logits of the
// published formulas (tests/golden/make_published.py), exported they come back, and what does not fit is
// refused by name.
#include <gmock/gmock.h>

#include "core/io/file.h"
#include "golden_models/fused_fixture.h"
#include "support/message.h"
#include "support/temporary_folder.h"
#include "train/open_model.h"
#include "train/published_adapter.h"

namespace dehvf {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

struct PublishedCase {
  std::string file, whose, key;
  friend std::ostream& operator<<(std::ostream& out, const PublishedCase& c) { return out << c.key; }
};

fs::path imported(const TemporaryFolder& folder, const fs::path& from) {
  std::vector<std::string> notes;
  import_adapter(from, folder / "adapter", notes);
  return folder / "adapter";
}

double logits_error(const fs::path& adapter, const std::string& key, DType dtype) {
  const Tensors truth = load_safetensors(golden("published/expected.safetensors"));
  const OpenedModel opened =
      open_model({.llama = golden("dehvf/llama"), .tower = golden("dehvf/tower"), .adapter = adapter}, dtype);
  const FusedModel& model = *opened.model;
  const TextBatch batch =
      pack(cut(integers<int32_t>(truth.at("token_ids")), integers<int64_t>(truth.at("lengths"))),
           integers<int32_t>(truth.at("image_of")));
  const NoGrad no_grad;
  const Vision vision = model.see(model.look(cast(truth.at("pixels"), dtype)));
  const Variable hidden = model.hidden(model.plan(batch), vision, {});
  const auto inserted = vision.fusion->insert(batch);
  const Variable text = inserted ? gather_rows(hidden, inserted->text_rows) : hidden;
  return relative_error(model.llama().logits(text).value(), truth.at("logits." + key));
}

class PublishedGolden : public testing::TestWithParam<PublishedCase> {};
INSTANTIATE_TEST_SUITE_P(Files, PublishedGolden,
                         testing::Values(PublishedCase{"memvp.pth", "MemVP", "memvp"},
                                         PublishedCase{"lavin.pth", "LaVIN", "lavin"},
                                         PublishedCase{"llava", "LLaVA", "llava"},
                                         PublishedCase{"llava/mm_projector.bin", "LLaVA", "llava"},
                                         PublishedCase{"llava_lora", "LLaVA", "llava_lora"},
                                         PublishedCase{"llava_linear.bin", "LLaVA", "llava_linear"}));

TEST_P(PublishedGolden, ImportedAdapterHasTheLogitsOfThePublishedFormula) {
  const TemporaryFolder folder;
  std::vector<std::string> notes;
  const fs::path from = golden("published") / GetParam().file;
  EXPECT_TRUE(may_be_published_adapter(from));
  EXPECT_EQ(import_adapter(from, folder / "adapter", notes), GetParam().whose);
  EXPECT_LT(logits_error(folder / "adapter", GetParam().key, DType::f64), 1e-11);
  EXPECT_LT(logits_error(folder / "adapter", GetParam().key, DType::f32), 2e-5);
}

TEST_P(PublishedGolden, ExportedAdapterComesBack) {
  const TemporaryFolder folder;
  std::vector<std::string> notes;
  const fs::path adapter = imported(folder, golden("published") / GetParam().file);
  EXPECT_EQ(export_adapter(adapter, folder / "theirs.safetensors", notes), GetParam().whose);
  import_adapter(folder / "theirs.safetensors", folder / "again", notes);
  NamedTensors before = read_adapter_tensors(adapter), after = read_adapter_tensors(folder / "again");
  std::erase_if(before, [](const auto& tensor) { return tensor.first.find(".lora_") != std::string::npos; });
  ASSERT_EQ(before.size(), after.size());
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(before[i].first, after[i].first);
    EXPECT_EQ(relative_error(after[i].second, before[i].second), 0) << before[i].first;
  }
}

TEST(Published, CommandLineInTheCheckpointBecomesOptions) {
  const TemporaryFolder folder;
  const AdapterDescription lavin = read_adapter_config(imported(folder, golden("published/lavin.pth")));
  EXPECT_EQ(lavin.fusion_options.at("temperature"), "3");
  EXPECT_EQ(lavin.fusion_options.at("scale"), "0.7");
  EXPECT_EQ(lavin.tower_adapter_options.at("scale"), "0.7");
  EXPECT_EQ(lavin.prompt_format, "QCM-ALE");
  EXPECT_EQ(lavin.image_recipe, "memvp");
  EXPECT_EQ(lavin.base_model, "LLaMA-7B");
}

TEST(Published, FileWithoutACommandLineTakesTheScriptsValuesAndSaysSo) {
  const TemporaryFolder folder;
  std::vector<std::string> notes;
  export_adapter(imported(folder, golden("published/lavin.pth")), folder / "theirs.safetensors", notes);
  import_adapter(folder / "theirs.safetensors", folder / "again", notes);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_THAT(notes[0],
              AllOf(HasSubstr("LaVIN's scripts"), HasSubstr("scale 1"), HasSubstr("temperature 10")));
}

// The tensors of `from` under its authors' names, changed and written as a file again.
template <class Change>
std::string refusal(const TemporaryFolder& folder, const char* from, Change&& change) {
  std::vector<std::string> notes;
  export_adapter(imported(folder, golden("published") / from), folder / "theirs.safetensors", notes);
  Tensors tensors = load_safetensors(folder / "theirs.safetensors");
  change(tensors);
  write_safetensors(folder / "bad.safetensors", NamedTensors(tensors.begin(), tensors.end()));
  const std::string message =
      message_of<ConfigError>([&] { import_adapter(folder / "bad.safetensors", folder / "bad", notes); });
  EXPECT_FALSE(fs::exists(folder / "bad"));
  return message;
}

TEST(Published, MissingUnknownAndMisshapenTensorsAreNamed) {
  const TemporaryFolder folder;
  const std::string memvp = refusal(folder, "memvp.pth", [](Tensors& t) {
    t.erase("adapter_proj.fc2.bias");
    t["layers.0.adapter_new"] = full({2}, 0, DType::f32);
    t["adapter_emb2"] = full({1, 20, 47}, 0, DType::f32);
  });
  EXPECT_THAT(memvp,
              AllOf(HasSubstr("MemVP"), HasSubstr("adapter_proj.fc2.bias"), HasSubstr("layers.0.adapter_new"),
                    HasSubstr("wanted f32 [1, 20, 48]"), HasSubstr("found f32 [1, 20, 47]")));
  EXPECT_THAT(refusal(folder, "memvp.pth", [](Tensors& t) { t.erase("adapter_emb1"); }),
              AllOf(HasSubstr("MemVP"), HasSubstr("adapter_emb1 is missing")));
  // LaVIN with its other adapter in the tower, which has one way up.
  EXPECT_THAT(refusal(folder, "lavin.pth",
                      [](Tensors& t) {
                        std::erase_if(t, [](const auto& x) {
                          return x.first.starts_with("backbone") &&
                                 x.first.find("conv_D") != std::string::npos;
                        });
                      }),
              AllOf(HasSubstr("LaVIN"), HasSubstr("resblocks.0.adapter_attn.conv_D.weight")));
}

TEST(Published, OtherFilesAreRefused) {
  const TemporaryFolder folder;
  EXPECT_THAT(refusal(folder, "llava",
                      [](Tensors& t) {
                        t = {{"w", full({2, 2}, 0, DType::f32)}};
                      }),
              AllOf(HasSubstr("MemVP"), HasSubstr("LaVIN"), HasSubstr("LLaVA"), HasSubstr("the first w")));
  EXPECT_THAT(refusal(folder, "llava",
                      [](Tensors& t) {
                        t["model.mm_projector.0.weight"] = full({140, 1}, 0, DType::u8);
                      }),
              HasSubstr("packed"));
}

TEST(Published, FolderOfAWholeModelIsNone) {
  const TemporaryFolder folder;
  write_file(folder / "mm_projector.bin", "");
  EXPECT_TRUE(may_be_published_adapter(folder.path()));
  write_file(folder / "pytorch_model.bin.index.json", "{}");
  EXPECT_FALSE(may_be_published_adapter(folder.path()));
  EXPECT_FALSE(may_be_published_adapter(golden("dehvf/llama")));
}

TEST(Published, OptionsThatTheirCodeDoesNotHaveAreNotExported) {
  const TemporaryFolder folder;
  const fs::path adapter = imported(folder, golden("published/memvp.pth"));
  const NamedTensors tensors = read_adapter_tensors(adapter);
  AdapterDescription d = read_adapter_config(adapter);
  const auto refused = [&] {
    write_adapter_folder(folder / "other", tensors, d);
    std::vector<std::string> notes;
    return message_of<ConfigError>([&] { export_adapter(folder / "other", folder / "x", notes); });
  };
  d.fusion_options["lambda"] = "0.05";
  EXPECT_THAT(refused(), AllOf(HasSubstr("wanted lambda 0.01"), HasSubstr("found 0.05")));
  d.fusion_options["lambda"] = "1e-2", d.fusion_options["level"] = "2";
  EXPECT_THAT(refused(), HasSubstr("wanted level 3, found 2"));
  d.fusion = "dehvf";
  EXPECT_THAT(refused(), HasSubstr("no published layout"));
}

}  // namespace
}  // namespace dehvf
