// What an operator says to keys and values that it does not know.
#include <algorithm>

#include "train/contract/lists.h"

namespace dehvf::contract {
namespace {

std::string complaint(const std::string& fusion, const std::map<std::string, std::string>& options) {
  try {
    FusionConfig config(options);
    make_fusion(fusion, fusion_shapes(llama_7b(), clip_l14()), config);
    return "(no complaint)";
  } catch (const ConfigError& error) {
    return error.what();
  }
}

void expect_named(Verdict& verdict, const std::string& message, const std::string& word) {
  verdict.expect(message.find(word) != std::string::npos, "wanted '", word,
                 "' in the message, found: ", message);
}

void unknown_keys(const tiny::Case& c, Verdict& verdict) {
  const std::string message = complaint(c.fusion, {{"colour", "1"}});
  expect_named(verdict, message, "fusion.colour");
  expect_named(verdict, message, c.fusion);
  const auto keys = tiny::keys_of(c.fusion);
  for (const std::string& key : keys) expect_named(verdict, message, key);
  if (keys.empty()) expect_named(verdict, message, "it has none");
}

void wrong_values(const tiny::Case& c, Verdict& verdict) {
  const auto keys = tiny::keys_of(c.fusion);
  for (const std::string& key : keys)
    for (const char* value : {"nonsense", "", "1 2", "nan"}) {
      const std::string message = complaint(c.fusion, {{key, value}});
      expect_named(verdict, message, "fusion." + key);
      expect_named(verdict, message, "wanted");
    }
  for (const char* size :
       {"slots", "rank", "groups", "positions", "level", "embedding", "hidden", "width", "heads", "blocks",
        "queries", "cross_every", "prompts", "layers", "levels", "dim", "pooled", "images"})
    if (std::ranges::find(keys, size) != keys.end())
      for (const char* value : {"0", "-3", "99999999999999999999"})
        expect_named(verdict, complaint(c.fusion, {{size, value}}), concat("fusion.", size));
}

void defaults(const tiny::Case& c, Verdict& verdict) {
  FusionConfig first_config;
  const auto shapes = fusion_shapes(llama_7b(), clip_l14());
  const auto first = make_fusion(c.fusion, shapes, first_config);
  FusionConfig second_config(first_config.resolved());
  const auto second = make_fusion(c.fusion, shapes, second_config);
  verdict.expect(first_config.resolved() == second_config.resolved(), "the resolved keys changed");
  verdict.expect(first->cost().live == second->cost().live, "wanted ", first->cost().live,
                 " live parameters, found ", second->cost().live);
}

}  // namespace

std::vector<Check> config_checks() {
  return {{"unknown_keys", "an unknown key is answered with the known ones", unknown_keys, true},
          {"wrong_values", "no key takes nonsense, no size is below one", wrong_values, true},
          {"defaults", "what the defaults resolve to makes the same operator again", defaults, true}};
}

}  // namespace dehvf::contract
