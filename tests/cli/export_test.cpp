// dehvf export: merged logits are PEFT's own, published adapters are read again, nothing is half-written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/commands.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "models/load.h"
#include "support/golden.h"
#include "support/message.h"
#include "support/temporary_folder.h"
#include "train/adapter_folder.h"

namespace dehvf::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string run_export(const std::vector<std::string>& words) {
  std::vector<std::string> all{"export", "--json"};
  all.insert(all.end(), words.begin(), words.end());
  return run_command(add_export, all);
}

Tensor logits_of(const std::filesystem::path& folder, const std::vector<int32_t>& tokens) {
  const auto loaded = load_llama(folder, DType::f64);
  const NoGrad no_grad;
  const TextBatch batch = pack(std::span(&tokens, 1));
  const Llama& model = *loaded.model;
  return model.logits(model.forward(batch, model.embed(batch.tokens), {}, {})).value();
}

TEST(Export, MergedModelHasTheLogitsOfPeft) {
  const TemporaryFolder folder;
  const auto base = golden("llama/mha_f32");
  for (const char* name : {"lora", "rslora"}) {
    const auto out = folder / name;
    run_export({"--model", base, "--lora", golden("peft") / name, "--out", out});
    const auto truth = load_safetensors(golden(concat("peft/", name, "_expected.safetensors")));
    const auto tokens = integers<int32_t>(truth.at("token_ids"));
    EXPECT_LT(relative_error(logits_of(out, tokens), truth.at("logits")), 1e-5) << name;
    EXPECT_GT(relative_error(logits_of(base, tokens), truth.at("logits")), 1e-2) << name;
    EXPECT_TRUE(exists(out / "config.json"));
    EXPECT_EQ(WeightFolder(out).names(), WeightFolder(base).names());
  }
}

TEST(Export, MergedModelKeepsTheDtypeOfItsSource) {
  const TemporaryFolder folder;
  auto half = load_llama(golden("llama/mha_f32"), DType::bf16);
  save_llama(folder / "half", *half.model, DType::bf16);
  run_export({"--model", folder / "half", "--lora", golden("peft/lora"), "--out", folder / "out"});
  const WeightFolder merged(folder / "out"), source(folder / "half");
  for (const std::string& name : source.names()) EXPECT_EQ(merged.dtype(name), source.dtype(name)) << name;
  EXPECT_NE(merged.fingerprint(), source.fingerprint());
}

TEST(Export, PublishedAdaptersAreConvertedAndWrittenAgain) {
  const TemporaryFolder folder;
  const auto convert = [&](const std::filesystem::path& from, const std::filesystem::path& to) {
    return Json::parse(run_command(add_convert, {"convert", "--json", "--from", from, "--to", to}));
  };
  EXPECT_EQ(convert(golden("published/lavin.pth"), folder / "adapter")["of"], "LaVIN");
  run_export({"--adapter", folder / "adapter", "--published", "--out", folder / "theirs"});
  convert(folder / "theirs/published.safetensors", folder / "again");
  EXPECT_EQ(read_file(folder / "again/adapter_model.safetensors"),
            read_file(folder / "adapter/adapter_model.safetensors"));
  write_file(folder / "text.pth", "no checkpoint");
  EXPECT_THAT(message_of<IoError>([&] { convert(folder / "text.pth", folder / "none"); }),
              HasSubstr("not a zip archive"));
  EXPECT_FALSE(exists(folder / "none"));
}

TEST(Export, BadInputLeavesNothing) {
  const TemporaryFolder folder;
  const auto out = folder / "out";
  const auto refusal = [&](std::vector<std::string> words) {
    words.emplace_back("--out");
    words.push_back(out);
    return message_of<ConfigError>([&] { run_export(words); });
  };
  const std::string base = golden("llama/mha_f32"), lora = golden("peft/lora");
  EXPECT_THAT(refusal({"--model", base, "--lora", golden("peft/dora")}), HasSubstr("use_dora"));
  EXPECT_THAT(refusal({"--model", DEHVF_SOURCE_DIR "/examples/toy/llama", "--lora", lora}),
              AllOf(HasSubstr("does not fit this model"), HasSubstr("layers.0.self_attn.q_proj")));
  EXPECT_THAT(refusal({"--model", base}), HasSubstr("--lora"));
  EXPECT_THAT(refusal({"--model", base, "--lora", lora, "--dtype", "bf16"}), HasSubstr("keeps its dtype"));
  EXPECT_THAT(refusal({"--lora", lora, "--adapter", lora}), HasSubstr("--adapter alone"));
  EXPECT_THAT(refusal({"--adapter", lora}), HasSubstr("wanted peft_type DEHVF"));
  EXPECT_THROW(run_export({"--adapter", "/nowhere", "--out", out}), IoError);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  std::filesystem::create_directory(out);
  write_file(out / "mine", "x");
  EXPECT_THAT(message_of<IoError>([&] {
                run_export({"--model", base, "--lora", lora, "--out", out});
              }),
              HasSubstr("new or empty folder"));
  EXPECT_EQ(read_file(out / "mine"), "x");
}

struct Adapter : Module {
  Parameter keys{{5, 7}, {Initial::Kind::normal}}, bias{{7}, {Initial::Kind::normal}};
  void describe(Describer& describer) override {
    describer.parameter("keys", keys);
    describer.parameter("bias", bias);
  }
};

TEST(Export, PublishedAdaptersAreReadAgain) {
  const TemporaryFolder folder;
  Adapter adapter;
  initialise(adapter, 3);
  AdapterDescription description{.fusion = "dehvf"};
  description.base_model = "toy: \"llama\"";
  write_adapter_folder(folder / "own", adapter, description);
  for (const auto& [dtype, bound] : {std::pair("f32", 0.0), {"bf16", 1.0 / 256}, {"f16", 1.0 / 2048}}) {
    const auto out = folder / dtype;
    run_export({"--adapter", folder / "own", "--dtype", dtype, "--out", out, "--license", "apache-2.0",
                "--dataset", "scienceqa", "--metric", "accuracy"});
    Adapter again;
    load_adapter(out, again, true);
    EXPECT_LE(relative_error(again.keys.value(), adapter.keys.value()), bound) << dtype;
    EXPECT_EQ(again.keys.value().dtype(), DType::f32);
    EXPECT_EQ(SafetensorsFile(out / "adapter_model.safetensors").dtype("keys"), dtype_named(dtype));
    EXPECT_EQ(read_adapter_config(out), description);
    EXPECT_THAT(read_file(out / "README.md"),
                AllOf(HasSubstr("base_model: \"toy: \\\"llama\\\"\"\n"), HasSubstr("library_name: dehvf\n"),
                      HasSubstr("datasets:\n- \"scienceqa\"\n"), HasSubstr("metrics:\n- \"accuracy\"\n"),
                      HasSubstr("license: \"apache-2.0\"\n"), HasSubstr("tags:\n"),
                      HasSubstr("PEFT cannot load it"), HasSubstr("dehvf eval --config")));
  }
}

}  // namespace
}  // namespace dehvf::cli
