
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "models/llama_config.h"
#include "models/vision_config.h"
#include "support/message.h"
#include "support/temporary_folder.h"

namespace dehvf {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct ReadLlama {
  LlamaConfig config;
  std::vector<std::string> notes;
};

ReadLlama read_text(const std::string& text, const char* name = "config.json") {
  const TemporaryFolder folder;
  spill(folder / name, text);
  ReadLlama result;
  result.config = read_llama_config(folder.path(), result.notes);
  return result;
}

TEST(LlamaConfig, AbsentKeysTakeTheDefaultsOfTheClass) {
  const auto read = read_text("{}");
  EXPECT_EQ(read.config, llama_7b());
  EXPECT_THAT(read.notes, IsEmpty());
  const auto small =
      read_text(R"({"hidden_size":48,"num_attention_heads":6,"num_key_value_heads":null})").config;
  EXPECT_EQ(small.kv_heads, 6);
  EXPECT_EQ(small.head_dim, 8);
}

TEST(LlamaConfig, Llama31IsReadInOldAndNewSpelling) {
  const std::string shape = R"("vocab_size":128256,"hidden_size":4096,"intermediate_size":14336,
    "num_key_value_heads":8,"rms_norm_eps":1e-05,"max_position_embeddings":131072,"bos_token_id":128000,
    "eos_token_id":[128001,128008,128009],)";
  const std::string scaling =
      R"("rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,
    "original_max_position_embeddings":8192)";
  const auto old = read_text(
      "{" + shape + R"("torch_dtype":"bfloat16","rope_theta":500000.0,"rope_scaling":{)" + scaling + "}}");
  const auto renamed = read_text(
      "{" + shape + R"("dtype":"bfloat16","rope_parameters":{"rope_theta":500000.0,)" + scaling + "}}");
  EXPECT_EQ(old.config, renamed.config);
  EXPECT_EQ(old.config.kv_heads, 8);
  EXPECT_EQ(old.config.dtype, "bf16");
  EXPECT_THAT(old.config.eos, ElementsAre(128001, 128008, 128009));
  EXPECT_EQ(old.config.rope, (RopeOptions{RopeKind::llama3, 5e5, 8, 1, 4, 8192}));
  EXPECT_THAT(old.notes, IsEmpty());
}

TEST(LlamaConfig, OldestRopeSpellingAndFaultyIdsAreCorrectedWithNotes) {
  const auto read =
      read_text(R"({"bos_token_id":0,"eos_token_id":1,"pad_token_id":-1,"max_sequence_length":64,
    "pretraining_tp":2,"rope_scaling":{"type":"linear","factor":2.5}})");
  EXPECT_EQ(read.config.rope, (RopeOptions{RopeKind::linear, 1e4, 2.5}));
  EXPECT_EQ(read.config.context, 64);
  EXPECT_EQ(read.config.bos, 1);
  EXPECT_THAT(read.config.eos, ElementsAre(2));
  EXPECT_EQ(read.config.pad, -1);
  EXPECT_THAT(read.notes, ElementsAre(HasSubstr("max_sequence_length"), HasSubstr("faulty conversion"),
                                      HasSubstr("pretraining_tp")));
}

TEST(LlamaConfig, UnusualIdsThatAreNotTheFaultyOnesStay) {
  const auto own = read_text(R"({"bos_token_id":0,"eos_token_id":1,"pad_token_id":null})");
  EXPECT_EQ(own.config.bos, 0);
  EXPECT_THAT(own.config.eos, ElementsAre(1));
  EXPECT_THAT(own.notes, IsEmpty());
  EXPECT_THAT(read_text(R"({"pad_token_id":-1})").notes, ElementsAre(HasSubstr("no pad token")));
  EXPECT_THAT(read_text(R"({"eos_token_id":null})").config.eos, IsEmpty());
}

TEST(LlamaConfig, EndTokensOfGenerationAreAdded) {
  const TemporaryFolder folder;
  spill(folder / "config.json", R"({"eos_token_id":2})");
  spill(folder / "generation_config.json", R"({"eos_token_id":[2,7]})");
  std::vector<std::string> notes;
  EXPECT_THAT(read_llama_config(folder.path(), notes).eos, ElementsAre(2, 7));
  EXPECT_THAT(notes, ElementsAre(HasSubstr("adds 7")));
}

TEST(LlamaConfig, WhatIsNotComputedIsRefusedByName) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"model_type":"mistral"})", "model_type 'mistral'"},
      {R"({"hidden_act":"gelu"})", "hidden_act 'gelu'"},
      {R"({"attention_bias":true})", "attention_bias"},
      {R"({"mlp_bias":true})", "mlp_bias"},
      {R"({"quantization_config":{}})", "quantization_config"},
      {R"({"rope_scaling":{"rope_type":"yarn","factor":4}})", "rope type 'yarn'"},
      {R"({"rope_scaling":{"type":"dynamic","factor":4}})", "rope type 'dynamic'"},
      {R"({"rope_parameters":{"rope_type":"longrope"}})", "rope type 'longrope'"},
  };
  for (const auto& [text, message] : cases)
    EXPECT_THAT(message_of<ConfigError>([&] { read_text(text); }), HasSubstr(message)) << text;
}

TEST(LlamaConfig, DamagedFilesAreRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "invalid JSON"},
      {"[]", "wanted a JSON object"},
      {R"({"hidden_size":"4096"})", "'hidden_size': wanted an integer"},
      {R"({"hidden_size":0})", "wanted 1 to 2^30, found 0"},
      {R"({"hidden_size":18446744073709551615})", "wanted 1 to 2^30"},
      {R"({"hidden_size":1073741824})", "larger than any LLaMA"},
      {R"({"num_hidden_layers":65537})", "at most 65536"},
      {R"({"num_attention_heads":33})", "no multiple of 33 heads"},
      {R"({"num_key_value_heads":5})", "no multiple of the key/value heads"},
      {R"({"head_dim":7})", "head_dim"},
      {R"({"rms_norm_eps":0})", "above 0"},
      {R"({"rms_norm_eps":-1e-5})", "above 0"},
      {R"({"rope_scaling":"linear"})", "wanted a JSON object"},
      {R"({"rope_scaling":{"type":"linear"}})", "key 'factor' is missing"},
      {R"({"rope_scaling":{"type":"llama3","factor":8}})", "key 'low_freq_factor' is missing"},
      {R"({"rope_scaling":{"type":"llama3","factor":8,"low_freq_factor":4,"high_freq_factor":1,
          "original_max_position_embeddings":8192}})",
       "low_freq_factor below"},
      {R"({"eos_token_id":["2"]})", "wanted a token id"},
      {R"({"bos_token_id":1e3})", "wanted a token id"},
      {R"({"bos_token_id":9999999999})", "wanted a token id"},
      {R"({"tie_word_embeddings":1})", "wanted true or false"},
  };
  for (const auto& [text, message] : cases)
    EXPECT_THAT(message_of<IoError>([&] { read_text(text); }), HasSubstr(message)) << text;
  EXPECT_THAT(message_of<IoError>([] { read_text("", "other"); }), HasSubstr("config.json"));
}

TEST(LlamaConfig, MetaParameters) {
  const auto params = [](const std::string& text) { return read_text(text, "params.json"); };
  auto read =
      params(R"({"dim":4096,"multiple_of":256,"n_heads":32,"n_layers":32,"norm_eps":1e-06,"vocab_size":-1})");
  EXPECT_THAT(read.notes, ElementsAre(HasSubstr("context length; 2048")));
  EXPECT_EQ(read.config.vocab, 0);
  EXPECT_EQ(read.config.dtype, "f16");
  match_vocab(read.config, 32000, read.notes);
  EXPECT_EQ(read.notes.size(), 1u);
  read.config.dtype = "f32";
  EXPECT_EQ(read.config, llama_7b());
  EXPECT_EQ(params(R"({"dim":5120,"multiple_of":256,"n_heads":40,"n_layers":40})").config.ffn, 13824);
  const auto third = params(R"({"dim":4096,"n_layers":32,"n_heads":32,"n_kv_heads":8,"vocab_size":128256,
    "ffn_dim_multiplier":1.3,"multiple_of":1024,"norm_eps":1e-05,"rope_theta":500000.0,"use_scaled_rope":true})")
                         .config;
  EXPECT_EQ(third.ffn, 14336);
  EXPECT_EQ(third.rope, (RopeOptions{RopeKind::llama3, 5e5, 8, 1, 4, 8192}));
  EXPECT_EQ(third.bos, 128000);
  EXPECT_THAT(message_of<IoError>([&] { params("{}"); }), HasSubstr("'dim' is missing"));
  EXPECT_THAT(message_of<IoError>([&] { params(R"({"dim":10,"n_layers":1,"n_heads":3})"); }),
              HasSubstr("no multiple"));
}

TEST(LlamaConfig, EmbeddingRowsWinOverTheVocabulary) {
  LlamaConfig config = llama_7b();
  std::vector<std::string> notes;
  match_vocab(config, 32000, notes);
  EXPECT_THAT(notes, IsEmpty());
  match_vocab(config, 32001, notes);
  EXPECT_EQ(config.vocab, 32001);
  EXPECT_THAT(notes, ElementsAre(HasSubstr("32001 rows")));
}

TEST(LlamaConfig, WrittenFilesReadEqual) {
  LlamaConfig odd{
      .vocab = 61, .width = 40, .ffn = 24, .layers = 3, .heads = 6, .kv_heads = 2, .head_dim = 10};
  odd.tied = true;
  odd.norm_eps = 3e-7;
  odd.eos = {5, 6};
  odd.pad = 0;
  odd.bos = 4;
  odd.dtype = "bf16";
  odd.rope = {RopeKind::llama3, 123.5, 8, 1.5, 4.25, 20};
  LlamaConfig linear = llama_13b();
  linear.rope = {RopeKind::linear, 1e4, 3};
  linear.eos = {};
  for (const auto& config : {llama_7b(), odd, linear}) {
    const TemporaryFolder folder;
    write_llama_config(folder.path(), config);
    std::vector<std::string> notes;
    EXPECT_EQ(read_llama_config(folder.path(), notes), config);
    EXPECT_THAT(notes, IsEmpty());
  }
}

VisionConfig read_vision_text(const std::string& text) {
  const TemporaryFolder folder;
  spill(folder / "config.json", text);
  return read_vision_config(folder.path());
}

TEST(VisionConfigs, JointAndVisionOnlyAndDefaults) {
  const VisionConfig b32{.width = 768, .mlp = 3072, .layers = 12, .heads = 12, .patch = 32};
  EXPECT_EQ(read_vision_text(R"({"model_type":"clip_vision_model"})"), b32);
  const std::string l14 = R"({"hidden_size":1024,"intermediate_size":4096,"num_attention_heads":16,
    "num_hidden_layers":24,"patch_size":14})";
  EXPECT_EQ(read_vision_text(
                R"({"model_type":"clip","hidden_size":7,"text_config":{"hidden_size":8},"vision_config":)" +
                l14 + "}"),
            clip_l14());
  EXPECT_EQ(
      read_vision_text(R"({"model_type":"clip","vision_config":null,"vision_config_dict":)" + l14 + "}"),
      clip_l14());
  EXPECT_EQ(clip_l14().patches(), 256);
}

TEST(VisionConfigs, SiglipAndDinov2AsPublished) {
  EXPECT_EQ(read_vision_text(R"({"model_type":"siglip","text_config":{},"vision_config":{"hidden_size":1152,
    "image_size":384,"intermediate_size":4304,"model_type":"siglip_vision_model","num_attention_heads":16,
    "num_hidden_layers":27,"patch_size":14}})"),
            siglip_so400m());
  EXPECT_EQ(siglip_so400m().tokens(), 729);
  EXPECT_EQ(read_vision_text(R"({"model_type":"dinov2","hidden_size":1024,"image_size":518,"mlp_ratio":4,
    "num_attention_heads":16,"num_hidden_layers":24,"patch_size":14,"use_swiglu_ffn":false})"),
            dinov2_l14());
  EXPECT_EQ(dinov2_l14().tokens(), 1370);
  const VisionConfig with = read_vision_text(R"({"model_type":"dinov2_with_registers","patch_size":14})");
  EXPECT_EQ(with.registers, 4);
  EXPECT_EQ(with.tokens(), 257);
  EXPECT_EQ(with.mlp, 4 * 768);
  EXPECT_EQ(read_vision_text(R"({"model_type":"siglip_vision_model"})").norm_eps, 1e-6);
}

TEST(VisionConfigs, WrittenFilesReadEqual) {
  VisionConfig config{
      .width = 24, .mlp = 36, .layers = 2, .heads = 3, .patch = 7, .image = 21, .norm_eps = 1e-6};
  for (const auto activation : {Activation::gelu, Activation::gelu_tanh, Activation::gelu_quick}) {
    const TemporaryFolder folder;
    config.activation = activation;
    write_vision_config(folder.path(), config);
    EXPECT_EQ(read_vision_config(folder.path()), config);
  }
  VisionConfig registers = dinov2_l14();
  registers.registers = 4;
  for (const VisionConfig& published : {siglip_so400m(), dinov2_l14(), registers}) {
    const TemporaryFolder folder;
    write_vision_config(folder.path(), published);
    EXPECT_EQ(read_vision_config(folder.path()), published);
  }
  config.activation = Activation::relu;
  EXPECT_THROW(write_vision_config(".", config), ConfigError);
}

TEST(VisionConfigs, BadFilesAreRefused) {
  const auto config_error = [](const char* text) {
    return message_of<ConfigError>([&] { read_vision_text(text); });
  };
  const auto io_error = [](const char* text) { return message_of<IoError>([&] { read_vision_text(text); }); };
  EXPECT_THAT(config_error(R"({"model_type":"vit"})"),
              HasSubstr("model_type 'vit' is no tower; known are clip"));
  EXPECT_THAT(config_error(R"({"model_type":"dinov2","use_swiglu_ffn":true})"), HasSubstr("giant"));
  EXPECT_THAT(config_error(R"({"model_type":"dinov2","qkv_bias":false})"), HasSubstr("qkv_bias"));
  EXPECT_THAT(io_error(R"({"model_type":"dinov2","mlp_ratio":-4})"), HasSubstr("mlp_ratio"));
  EXPECT_THAT(io_error(R"({"model_type":"dinov2_with_registers","num_register_tokens":-1})"),
              HasSubstr("num_register_tokens"));
  EXPECT_THAT(io_error(R"({"model_type":"siglip"})"), HasSubstr("vision_config"));
  EXPECT_THAT(config_error(R"({"hidden_act":"relu\u001b"})"), HasSubstr("hidden_act 'relu\\x1b'"));
  EXPECT_THAT(config_error(R"({"num_channels":4})"), HasSubstr("num_channels"));
  EXPECT_THAT(io_error(R"({"model_type":"clip"})"), HasSubstr("vision_config"));
  EXPECT_THAT(io_error(R"({"hidden_size":-1})"), HasSubstr("hidden_size"));
  EXPECT_THAT(io_error(R"({"hidden_size":100})"), HasSubstr("no multiple"));
  EXPECT_THAT(io_error(R"({"patch_size":300})"), HasSubstr("above image_size"));
  EXPECT_THAT(io_error(R"({"layer_norm_eps":-1.0})"), HasSubstr("layer_norm_eps"));
}

TEST(GoldenConfigs, FixtureFoldersAreRead) {
  const std::filesystem::path golden = DEHVF_SOURCE_DIR "/tests/golden";
  if (!std::filesystem::exists(golden / "llama")) GTEST_SKIP() << "no fixtures";
  std::vector<std::string> notes;
  const auto read = [&](const char* name) { return read_llama_config(golden / "llama" / name, notes); };
  EXPECT_EQ(read("mha_f32").kv_heads, 6);
  EXPECT_EQ(read("mha_f32").norm_eps, 1e-6);
  EXPECT_EQ(read("gqa_f32").rope.theta, 500);
  EXPECT_EQ(read("gqa_f32").head_dim, 16);
  EXPECT_TRUE(read("tied_f32").tied);
  EXPECT_EQ(read("llama3_rope_f32").rope.kind, RopeKind::llama3);
  EXPECT_EQ(read("bf16").dtype, "bf16");
  EXPECT_THAT(notes, IsEmpty());
  EXPECT_EQ(read("linear_rope_f32").bos, 1);
  EXPECT_EQ(notes.size(), 2u);
  EXPECT_EQ(read("meta_2").ffn, read("mha_f32").ffn);
  EXPECT_EQ(read_vision_config(golden / "clip/joint_f32").width, 24);
  EXPECT_EQ(read_vision_config(golden / "clip/vision_f32").patches(), 16);
}

}  // namespace
}  // namespace dehvf
