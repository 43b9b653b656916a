#include <cmath>
#include <limits>

#include "autograd/ops/attention.h"
#include "op_cases.h"

namespace dehvf {
namespace {

struct Sizes {
  int64_t q_rows, k_rows, heads, kv_heads, dim;
};

// Softmax over the visible keys of every query, by loops.
Op reference(const Sizes& s, std::vector<int32_t> spans, bool causal, double scale) {
  return plain({s.q_rows, s.heads, s.dim}, [=](const Doubles& in, std::span<double> out) {
    std::ranges::fill(out, 0.0);
    for (size_t at = 0; at < spans.size(); at += 4)
      for (int64_t i = 0; i < spans[at + 1]; ++i)
        for (int64_t h = 0; h < s.heads; ++h) {
          const int64_t seen =
              causal ? std::max<int64_t>(0, spans[at + 3] - spans[at + 1] + i + 1) : spans[at + 3];
          const int64_t row = ((spans[at] + i) * s.heads + h) * s.dim, kv = h / (s.heads / s.kv_heads);
          const auto key = [&](int64_t j) { return ((spans[at + 2] + j) * s.kv_heads + kv) * s.dim; };
          std::vector<double> weight(size_t(seen), 0.0);
          double sum = 0;
          for (int64_t j = 0; j < seen; ++j) {
            for (int64_t d = 0; d < s.dim; ++d)
              weight[size_t(j)] += in[0][size_t(row + d)] * in[1][size_t(key(j) + d)];
            sum += weight[size_t(j)] = std::exp(scale * weight[size_t(j)]);
          }
          for (int64_t j = 0; j < seen; ++j)
            for (int64_t d = 0; d < s.dim; ++d)
              out[size_t(row + d)] += weight[size_t(j)] / sum * in[2][size_t(key(j) + d)];
        }
  });
}

OpCase attention_case(std::string name, const Sizes& s, std::vector<int32_t> spans, bool causal) {
  const double scale = 1 / std::sqrt(double(s.dim));
  const Shape shape{int64_t(spans.size()) / 4, 4};
  return {std::move(name),
          {{"q", {s.q_rows, s.heads, s.dim}},
           {"k", {s.k_rows, s.kv_heads, s.dim}},
           {"v", {s.k_rows, s.kv_heads, s.dim}},
           {"spans", shape, 0, 0, false, spans}},
          [=](auto in) {
            return attention(in[0], in[1], in[2], in[3].value(), {causal, scale});
          },
          reference(s, spans, causal, scale),
          double(s.dim + s.k_rows),
          2};
}

// Three packed samples of odd lengths, one of them a single token; one row of q in no span.
const AddCase packed(attention_case("attention_packed", {38, 37, 4, 2, 5},
                                    {0, 7, 0, 7, 7, 1, 7, 1, 8, 29, 8, 29}, true));
// Above one block of queries.
const AddCase long_case(attention_case("attention_above_a_block", {131, 131, 1, 1, 3}, {0, 131, 0, 131},
                                       true));
// Few new queries behind many cached keys; a sample that sees nothing yet.
const AddCase cached(attention_case("attention_cached", {4, 41, 6, 3, 8}, {0, 3, 0, 19, 3, 1, 25, 9}, true));
// More queries than keys: the first ones see no key.
const AddCase blind(attention_case("attention_blind_rows", {5, 3, 2, 1, 7}, {0, 5, 0, 3}, true));
// All spans read the same keys, as with a prefix; no mask.
const AddCase shared(attention_case("attention_shared_keys", {17, 6, 4, 4, 9},
                                    {0, 5, 0, 6, 5, 11, 0, 6, 16, 1, 2, 3}, false));
// Partly shared keys, out of order; queries in no span, keys in no span, a span without keys.
const AddCase partly_shared(
    attention_case("attention_partly_shared_keys", {41, 23, 2, 1, 5},
                   {30, 7, 9, 8, 0, 3, 0, 11, 5, 10, 0, 11, 15, 2, 4, 0, 17, 3, 20, 1}, false));
// Heads of whole vectors, few queries and keys in many places, as the fuser has them; and a tower's.
const AddCase cross(attention_case("attention_cross", {12, 18, 2, 2, 8},
                                   {0, 4, 0, 6, 4, 4, 6, 6, 8, 4, 12, 6}, false));
const AddCase tower(attention_case("attention_both_ways", {37, 37, 3, 3, 24}, {0, 37, 0, 37}, false));

}  // namespace
}  // namespace dehvf
