#include "data/scorers/caption_score.h"

#include <cmath>
#include <map>
#include <set>

#include "core/error.h"
#include "data/scorers/unicode_text.h"

namespace dehvf {
namespace {

constexpr size_t kOrders = 4;
using Counts = std::array<std::map<std::string, int64_t>, kOrders>;  // n-gram -> how often, by n - 1

struct Sentence {
  Counts counts;
  int64_t length = 0;
};

Sentence read_sentence(const std::string& text) {
  const std::vector<std::string> words = words_of(text);
  Sentence sentence{.counts = {}, .length = int64_t(words.size())};
  for (size_t i = 0; i < words.size(); ++i) {
    std::string gram;
    for (size_t n = 0; n < kOrders && i + n < words.size(); ++n) {
      gram += (n == 0 ? "" : " ") + words[i + n];
      ++sentence.counts[n][gram];
    }
  }
  return sentence;
}

struct Picture {
  Sentence candidate;
  std::vector<Sentence> references;
};

// What BLEU adds up: of one picture or of all.
struct BleuCounts {
  std::array<int64_t, kOrders> matches{}, grams{};
  int64_t length = 0, reference_length = 0;

  std::array<double, kOrders> bleu() const {
    constexpr double kSmall = 1e-9, kTiny = 1e-15;
    const double ratio = (double(length) + kTiny) / (double(reference_length) + kSmall);
    std::array<double, kOrders> result;
    double product = 1;
    for (size_t n = 0; n < kOrders; ++n) {
      product *= (double(matches[n]) + kTiny) / (double(grams[n]) + kSmall);
      result[n] = std::pow(product, 1.0 / double(n + 1)) * (ratio < 1 ? std::exp(1 - 1 / ratio) : 1);
    }
    return result;
  }

  void add(const BleuCounts& other) {
    for (size_t n = 0; n < kOrders; ++n) matches[n] += other.matches[n], grams[n] += other.grams[n];
    length += other.length;
    reference_length += other.reference_length;
  }
};

BleuCounts count_bleu(const Picture& picture) {
  BleuCounts result{.length = picture.candidate.length, .reference_length = picture.references[0].length};
  for (const Sentence& reference : picture.references) {
    const int64_t distance = std::abs(reference.length - result.length),
                  best = std::abs(result.reference_length - result.length);
    if (distance < best || (distance == best && reference.length < result.reference_length))
      result.reference_length = reference.length;
  }
  for (size_t n = 0; n < kOrders; ++n) {
    result.grams[n] = std::max<int64_t>(0, result.length - int64_t(n));
    for (const auto& [gram, count] : picture.candidate.counts[n]) {
      int64_t most = 0;
      for (const Sentence& reference : picture.references)
        if (const auto found = reference.counts[n].find(gram); found != reference.counts[n].end())
          most = std::max(most, found->second);
      result.matches[n] += std::min(count, most);
    }
  }
  return result;
}

// Weights of a sentence's n-grams by term frequency and inverse document frequency.
struct Weights {
  std::array<std::map<std::string, double>, kOrders> values;
  std::array<double, kOrders> norms{};
  int64_t bigrams = 0;
};

class Cider {
 public:
  explicit Cider(std::span<const Picture> pictures) : log_count_(std::log(double(pictures.size()))) {
    for (const Picture& picture : pictures)
      for (size_t n = 0; n < kOrders; ++n) {
        std::set<std::string> grams;
        for (const Sentence& reference : picture.references)
          for (const auto& entry : reference.counts[n]) grams.insert(entry.first);
        for (const std::string& gram : grams) ++frequencies_[n][gram];
      }
  }

  double score(const Picture& picture) const {
    constexpr double kVariance = 36;  // of the length penalty
    const Weights candidate = weigh(picture.candidate);
    double sum = 0;
    for (const Sentence& sentence : picture.references) {
      const Weights reference = weigh(sentence);
      const double delta = double(candidate.bigrams - reference.bigrams);
      for (size_t n = 0; n < kOrders; ++n)
        sum += similarity(candidate, reference, n) * std::exp(-delta * delta / (2 * kVariance));
    }
    return 10 * sum / double(kOrders) / double(picture.references.size());
  }

 private:
  Weights weigh(const Sentence& sentence) const {
    Weights result;
    for (size_t n = 0; n < kOrders; ++n) {
      for (const auto& [gram, count] : sentence.counts[n]) {
        const auto found = frequencies_[n].find(gram);
        const double frequency = found == frequencies_[n].end() ? 1 : double(found->second);
        const double weight = double(count) * (log_count_ - std::log(frequency));
        result.values[n][gram] = weight;
        result.norms[n] += weight * weight;
        if (n == 1) result.bigrams += count;
      }
      result.norms[n] = std::sqrt(result.norms[n]);
    }
    return result;
  }

  static double similarity(const Weights& candidate, const Weights& reference, size_t n) {
    double sum = 0;
    for (const auto& [gram, weight] : candidate.values[n])
      if (const auto found = reference.values[n].find(gram); found != reference.values[n].end())
        sum += std::min(weight, found->second) * found->second;
    const double norms = candidate.norms[n] * reference.norms[n];
    return norms == 0 ? sum : sum / norms;
  }

  double log_count_;
  std::array<std::map<std::string, int64_t>, kOrders> frequencies_;  // pictures that have the n-gram
};

}  // namespace

CaptionScore score_captions(std::span<const CaptionTokens> pictures) {
  require<ConfigError>(!pictures.empty(), "captions: wanted at least one picture to score, found none");
  std::vector<Picture> read;
  for (const CaptionTokens& texts : pictures) {
    require<Error>(!texts.references.empty(), "captions: a picture without references");
    Picture& picture = read.emplace_back();
    picture.candidate = read_sentence(texts.candidate);
    for (const std::string& text : texts.references) picture.references.push_back(read_sentence(text));
  }
  CaptionScore result;
  BleuCounts total;
  const Cider cider(read);
  for (const Picture& picture : read) {
    const BleuCounts counts = count_bleu(picture);
    result.bleus.push_back(counts.bleu());
    total.add(counts);
    result.ciders.push_back(cider.score(picture));
    result.cider += result.ciders.back() / double(read.size());
  }
  result.bleu = total.bleu();
  return result;
}

}  // namespace dehvf
