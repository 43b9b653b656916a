// SentencePiece models, by the library: it is the reference for LLaMA-1 and 2.
#include <bit>

#include <sentencepiece_processor.h>

#include "core/error.h"
#include "core/io/file.h"
#include "core/text/utf8.h"
#include "models/tokenizer/model.h"

namespace dehvf {
namespace {

struct SentencePieceModel : TokenizerModel {
  sentencepiece::SentencePieceProcessor processor;

  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> ids;
    const auto status = processor.Encode({text.data(), text.size()}, &ids);
    require<IoError>(status.ok(), "SentencePiece encode: ", printable(status.ToString()));
    return ids;
  }

  std::string decode(std::span<const int32_t> ids) const override {
    std::string text;
    const auto status = processor.Decode(std::vector<int>(ids.begin(), ids.end()), &text);
    require<IoError>(status.ok(), "SentencePiece decode: ", printable(status.ToString()));
    return replace_invalid_utf8(text);
  }
};

}  // namespace

std::unique_ptr<TokenizerModel> read_sentencepiece(std::string_view bytes, std::string_view path) {
  auto model = std::make_unique<SentencePieceModel>();
  auto& processor = model->processor;
  const auto status = processor.LoadFromSerializedProto({bytes.data(), bytes.size()});
  require<IoError>(status.ok(), path, ": wanted a SentencePiece model, found ", printable(status.ToString()));
  model->kind = "sentencepiece";
  std::string scores;
  for (int id = 0; id < processor.GetPieceSize(); ++id) {
    model->pieces.push_back(processor.IdToPiece(id));
    model->special.push_back(processor.IsControl(id));
    scores += std::to_string(std::bit_cast<uint32_t>(processor.GetScore(id)));
    scores += processor.IsByte(id) ? 'b' : processor.IsUnused(id) ? 'u' : ' ';
  }
  model->bos = processor.bos_id(), model->eos = processor.eos_id();
  model->pad = processor.pad_id(), model->unk = processor.unk_id();
  model->set_fingerprint(scores);
  return model;
}

}  // namespace dehvf
