#include "models/tokenizer/model.h"

#include <xxhash.h>

namespace dehvf {

int TokenizerModel::find_special(std::span<const std::string_view> names) const {
  for (const std::string_view name : names)
    for (size_t id = 0; id < pieces.size(); ++id)
      if (special[id] && pieces[id] == name) return int(id);
  return -1;
}

void TokenizerModel::set_fingerprint(std::string_view rest) {
  std::string all = kind;
  for (size_t id = 0; id < pieces.size(); ++id) {
    all += '\n' + std::to_string(pieces[id].size()) + (special[id] ? 's' : ' ');
    all += pieces[id];
  }
  all += '\n';
  all += rest;
  uint64_t hash = XXH3_64bits(all.data(), all.size());
  fingerprint.assign(16, '0');
  for (size_t i = 16; i-- > 0; hash >>= 4) fingerprint[i] = "0123456789abcdef"[hash & 15];
}

}  // namespace dehvf
