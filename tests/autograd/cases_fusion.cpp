#include <algorithm>
#include <numeric>

#include "autograd/ops/drop_lowest.h"
#include "autograd/ops/dropout.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/group_mix.h"
#include "autograd/ops/visual_rows.h"
#include "autograd/reference.h"
#include "op_cases.h"

namespace dehvf {
namespace {

struct RowsCase {
  std::string name;
  std::vector<int32_t> lengths, image_of;
  int64_t slots, image_rows, rank, width;
  int64_t images = 3;
  double rate = 0;
  std::optional<Activation> activation = Activation::silu;
  double lowest = 0;   // share of the scores
  bool joins = false;  // a residual
};

VisualRowsPlan plan_of(const RowsCase& c) {  // when it runs: tensors need a Runtime
  std::vector<int32_t> offsets{0};
  std::vector<int64_t> ids;
  for (int32_t length : c.lengths) {
    offsets.push_back(offsets.back() + length);
    ids.push_back(int64_t(1) << 40 | int64_t(ids.size() * 7));
  }
  // Larger than in use, so that a lost lambda or image term is far outside every bound.
  return {tensor_of(offsets),
          tensor_of(c.image_of),
          0.5,
          0.75,
          c.activation,
          {c.rate, 5, 6, 7, tensor_of(ids)},
          c.lowest};
}

// rank 0: materialised; images 0: none at all; slots 0: none, the rows are the images'.
OpCase rows_case(const RowsCase& c) {
  const int64_t tokens = std::accumulate(c.lengths.begin(), c.lengths.end(), int64_t(0));
  std::vector<OpInput> inputs{{"x", {tokens, c.width}}};
  if (c.slots > 0) {
    inputs.push_back({"slot_keys", {c.slots, c.width}});
    inputs.push_back({"slot_values", {c.slots, c.width}});
  }
  if (c.images > 0) {
    const Shape shape{c.images, c.image_rows, c.rank > 0 ? c.rank : c.width};
    inputs.push_back({"image_keys", shape});
    inputs.push_back({"image_values", shape});
    if (c.rank > 0) {
      inputs.push_back({"basis", {c.width, c.rank}});
      inputs.push_back({"bias", {c.width}});
    }
  }
  if (c.joins) inputs.push_back({"residual", {tokens, c.width}});
  const auto rows_of = [c](std::span<const Variable> in) {
    const auto at = [&](size_t i) { return i < in.size() - (c.joins ? 1 : 0) ? in[i] : Variable(); };
    if (c.slots == 0) return VisualRows{{}, {}, at(1), at(2), at(3), at(4), plan_of(c)};
    return VisualRows{in[1], in[2], at(3), at(4), at(5), at(6), plan_of(c)};
  };
  const double key = double(c.width) * (1 + 0.25 * double(c.rank)),
               weights = double(std::max(c.slots, c.image_rows));
  const auto residual_of = [c](std::span<const Variable> in) { return c.joins ? in.back() : Variable(); };
  return {"visual_rows_" + c.name, inputs,
          [=](auto in) { return visual_rows(in[0], rows_of(in), residual_of(in)); },
          [=](auto in) {
            const VisualRows rows = rows_of(in);
            const Tensor mask = dropout_mask(std::max(c.slots, c.image_rows), rows.plan.sample_offsets,
                                             rows.plan.dropout, DType::f64);
            const Variable added = visual_rows_reference(in[0], rows, mask);
            return c.joins ? add(added, residual_of(in)) : added;
          },
          key + weights};
}

const std::vector<int32_t> kLengths{3, 4, 1, 71, 5, 0, 2};   // one sample above a block, one empty
const std::vector<int32_t> kImageOf{0, -1, 2, 0, -1, 1, 2};  // images shared by samples; image 1 has no token

const bool kRows = [] {
  for (const RowsCase& c : std::vector<RowsCase>{
           {"factored", kLengths, kImageOf, 11, 7, 5, 19},
           {"factored_dropout", kLengths, kImageOf, 11, 7, 5, 19, 3, 0.3},
           {"materialised", kLengths, kImageOf, 11, 7, 0, 19},
           {"materialised_dropout", kLengths, kImageOf, 11, 7, 0, 19, 3, 0.3},
           {"all_slots_real", {5, 8}, {1, 0}, 13, 13, 7, 17, 2},
           {"above_a_block_of_rows", {5, 67, 9}, {1, 0, 1}, 131, 67, 9, 33, 2},
           {"ones", {1}, {0}, 1, 1, 1, 1, 1},
           {"text_only", {3, 5}, {-1, -1}, 7, 5, 3, 9, 2},
           {"no_images", {3, 5}, {-1, -1}, 7, 0, 0, 9, 0},
           {"lowest_dropped", kLengths, kImageOf, 11, 7, 0, 19, 3, 0, {}, 0.3},
           {"no_slots", {3, 4, 0, 5}, {0, 2, 1, 0}, 0, 9, 0, 19, 3, 0.2, Activation::gelu, 0.25},
           {"joined", kLengths, kImageOf, 11, 7, 5, 19, 3, 0.3, Activation::silu, 0, true},
           {"joined_materialised", {3, 5}, {0, -1}, 7, 5, 0, 9, 1, 0, Activation::silu, 0, true},
           {"gelu", {3, 5}, {0, -1}, 7, 5, 3, 9, 1, 0.2, Activation::gelu},
       })
    AddCase(rows_case(c));
  return true;
}();

struct MixCase {
  std::string name;
  int64_t images, queries, group, levels, patches, rank;
  std::vector<int32_t> first;
};

OpCase mix_case(const MixCase& c) {
  return {"group_mix_" + c.name,
          {{"weights", {c.images, c.queries, c.group}},
           {"levels", {c.images, c.levels, c.patches, c.rank}},
           {"first_level", {c.queries}, 0, 0, false, c.first}},
          [](auto in) { return group_mix(in[0], in[1], in[2].value()); },
          plain({c.queries, c.images, c.patches, c.rank},
                [c](const Doubles& in, std::span<double> out) {
                  const int64_t plane = c.patches * c.rank;
                  for (int64_t q = 0; q < c.queries; ++q)
                    for (int64_t i = 0; i < c.images; ++i)
                      for (int64_t p = 0; p < plane; ++p) {
                        double sum = 0;
                        for (int64_t g = 0; g < c.group; ++g)
                          sum += in[0][size_t((i * c.queries + q) * c.group + g)] *
                                 in[1][size_t((i * c.levels + c.first[size_t(q)] + g) * plane + p)];
                        out[size_t((q * c.images + i) * plane + p)] = sum;
                      }
                }),
          double(c.group)};
}

const AddCase mix_overlapping(
    mix_case({"overlapping", 3, 5, 3, 7, 13, 43, {4, 0, 2, 4, 1}}));  // above a chunk
const AddCase mix_one(mix_case({"one", 1, 1, 1, 1, 1, 1, {0}}));
const AddCase mix_wide(mix_case({"wide", 2, 4, 6, 24, 17, 64, {0, 6, 12, 18}}));

std::vector<int64_t> kIds{9, 4, int64_t(1) << 33};
DropoutSpec dropout_spec() { return {0.25, 1, 2, 3, tensor_of(kIds)}; }
const AddCase dropout_case(
    {"dropout",
     {{"x", {23, 37}}},
     [](auto in) {
       return dropout(in[0], tensor_of(std::vector<int32_t>{0, 7, 7, 23}), dropout_spec());
     },
     [](auto in) {
       const Tensor offsets = tensor_of(std::vector<int32_t>{0, 7, 7, 23});
       return multiply(in[0], dropout_mask(37, offsets, dropout_spec(), DType::f64));
     }});
const AddCase drop_lowest_case({"drop_lowest",
                                {{"x", {31, 101}}},
                                [](auto in) { return drop_lowest(in[0], 0.3); },
                                plain({31, 101},
                                      [](const Doubles& in, std::span<double> out) {
                                        for (size_t r = 0; r < 31; ++r) {
                                          const auto row = in[0].subspan(r * 101, 101);
                                          std::vector<size_t> order(101);
                                          for (size_t i = 0; i < 101; ++i) order[i] = i;
                                          std::ranges::stable_sort(order, {},
                                                                   [&](size_t i) { return row[i]; });
                                          for (size_t i = 0; i < 101; ++i)
                                            out[r * 101 + order[i]] = i < 30 ? 0 : row[order[i]];
                                        }
                                      }),
                                1,
                                0,
                                1,
                                true,
                                1e-7});

}  // namespace
}  // namespace dehvf
