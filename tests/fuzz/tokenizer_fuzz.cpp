// A tokenizer file of any bytes is read or refused by an Error; one that is read encodes and decodes any
// bytes. Input: the file, then the text, its length in the last byte.
#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "core/error.h"
#include "models/tokenizer.h"
#include "models/tokenizer/model.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size - 1);
  const size_t text_bytes = std::min<size_t>(data[size - 1], input.size());
  const std::string_view file = input.substr(0, input.size() - text_bytes);
  try {
    const dehvf::Tokenizer tokenizer(dehvf::read_tokenizer(file, "input"));
    const auto ids = tokenizer.encode(input.substr(file.size()), tokenizer.bos() >= 0);
    for (const int32_t id : ids)
      if (id < 0 || id >= tokenizer.vocab_size()) std::abort();
    tokenizer.decode(ids);
    std::vector<int32_t> all(size_t(tokenizer.vocab_size()));
    std::iota(all.begin(), all.end(), 0);
    tokenizer.decode(all);
  } catch (const dehvf::Error&) {
  }
  return 0;
}
