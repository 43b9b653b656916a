#include "train/adapter_folder.h"

#include <gmock/gmock.h>

#include "core/io/file.h"
#include "core/io/json.h"
#include "models/safetensors.h"
#include "support/message.h"
#include "support/temporary_folder.h"
#include "toy_mlp.h"

namespace dehvf {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

const AdapterDescription kDescription{.fusion = "dehvf",
                                      .fusion_options = {{"rank", "8"}, {"rows", "factored"}},
                                      .tower_adapters = true,
                                      .tower_adapter_options = {{"width", "4"}},
                                      .base_model = "folder \"of\" mine: 7B",
                                      .tower_model = "clip",
                                      .tokenizer = "tokenizer.model",
                                      .base_fingerprint = "00ff",
                                      .tower_fingerprint = "11ee",
                                      .tokenizer_fingerprint = "22dd",
                                      .image_recipe = "clip",
                                      .prompt_format = "QCM-A",
                                      .training_step = 77};

struct Saved {
  Saved() {
    initialise(toy, 4);
    write_adapter_folder(folder.path(), toy, kDescription, {.datasets = {"scienceqa"}, .license = "mit"});
  }
  TemporaryFolder folder;
  ToyMlp toy;
};

TEST(AdapterFolder, ReadsBackEqual) {
  Saved saved;
  EXPECT_EQ(read_adapter_config(saved.folder.path()), kDescription);
  verify_adapter_folder(saved.folder.path(), saved.toy, kDescription);
  ToyMlp loaded;
  load_adapter(saved.folder.path(), loaded, false);
  EXPECT_EQ(numbers(loaded.second.weight.value()), numbers(saved.toy.second.weight.value()));
  EXPECT_FALSE(loaded.first.bias.trainable());
  verify_adapter_folder(saved.folder.path(), loaded, kDescription);
}

TEST(AdapterFolder, VerifyNamesWhatDiffers) {
  Saved saved;
  saved.toy.second.bias.value().data<float>()[1] += 1e-6f;
  EXPECT_THAT(message_of<Error>([&] { verify_adapter_folder(saved.folder.path(), saved.toy, kDescription); }),
              HasSubstr("tensor second.bias does not read back"));
  auto other = kDescription;
  other.training_step = 78;
  EXPECT_THAT(message_of<Error>([&] { verify_adapter_folder(saved.folder.path(), saved.toy, other); }),
              HasSubstr("description"));
}

TEST(AdapterFolder, TheCardHasFrontMatter) {
  Saved saved;
  EXPECT_THAT(read_file(saved.folder / "README.md"),
              AllOf(StartsWith("---\nbase_model: \"folder \\\"of\\\" mine: 7B\"\nlicense: \"mit\"\n"
                               "library_name: dehvf\ndatasets:\n- \"scienceqa\"\ntags:\n- \"dehvf\"\n"),
                    HasSubstr("PEFT cannot load it"), HasSubstr("| rank | `8` |"),
                    HasSubstr("| tower_adapters.width | `4` |"), HasSubstr("| trained on | `scienceqa` |"),
                    HasSubstr("License: mit.")));
  write_adapter_folder(saved.folder.path(), saved.toy, kDescription);
  EXPECT_THAT(read_file(saved.folder / "README.md"), HasSubstr("License: not stated"));
}

TEST(AdapterFolder, OfAnotherModelListsEveryDifference) {
  Saved saved;
  ToyMlp wider(5, 14);
  EXPECT_THAT(
      message_of<ConfigError>([&] { load_adapter(saved.folder.path(), wider, true); }),
      AllOf(HasSubstr("3 of another shape"), HasSubstr("first.bias (wanted f32 [14], found f32 [13])")));
  EXPECT_FALSE(wider.first.bias.defined());
  Linear alone(13, 3);
  EXPECT_THAT(message_of<ConfigError>([&] { load_adapter(saved.folder.path(), alone, true); }),
              AllOf(HasSubstr("2 missing: bias, weight"), HasSubstr("4 not known here")));
}

TEST(AdapterFolder, DamageAndMixturesAreRefused) {
  Saved saved, other;
  initialise(other.toy, 5);
  write_adapter_folder(other.folder.path(), other.toy, kDescription);
  const auto weights = saved.folder / "adapter_model.safetensors",
             config = saved.folder / "adapter_config.json";
  const std::string whole = read_file(weights), text = read_file(config);
  const auto refusal = [&] {
    ToyMlp toy;
    return message_of<IoError>([&] { load_adapter(saved.folder.path(), toy, true); });
  };
  write_file(weights, whole.substr(0, whole.size() - 1));
  EXPECT_THAT(refusal(), StartsWith(weights.string()));
  write_file(weights, read_file(other.folder / "adapter_model.safetensors"));
  EXPECT_THAT(refusal(), HasSubstr("damaged or of another adapter"));
  write_file(weights, whole);
  EXPECT_EQ(refusal(), "(no exception)");
  for (size_t length = 0; length < text.rfind('}'); length += 7) {
    write_file(config, text.substr(0, length));
    EXPECT_THAT(refusal(), StartsWith(config.string() + ": ")) << length;
  }
  const Json original = parse_json(text, "config");
  for (const auto& [key, value] : original.items()) {
    if (key == "peft_type" || key == "format_version") continue;
    Json json = original;
    json[key] = Json::array({1});
    write_json(config, json);
    EXPECT_THAT(message_of<IoError>([&] {
                  read_adapter_config(saved.folder.path());
                  load_adapter(saved.folder.path(), saved.toy, true);
                }),
                HasSubstr("key '" + key + "'"));
  }
  Json json = original;
  json["peft_type"] = "LORA";
  write_json(config, json);
  EXPECT_THAT(message_of<ConfigError>([&] { read_adapter_config(saved.folder.path()); }),
              HasSubstr("wanted peft_type DEHVF, found 'LORA'"));
}

}  // namespace
}  // namespace dehvf
