#include "autograd/ops/patchify.h"
#include "autograd/ops/rows.h"
#include "op_cases.h"

namespace dehvf {
namespace {

Tensor indices(const std::vector<int32_t>& values) { return tensor_of(values); }

// out[i] = in[0][source(i)]
Op picked(const Shape& shape, std::function<int64_t(int64_t)> source) {
  return plain(shape, [source](const Doubles& in, std::span<double> out) {
    for (size_t i = 0; i < out.size(); ++i) out[i] = in[0][size_t(source(int64_t(i)))];
  });
}

const std::vector<int32_t> kPicks{4, 0, 4, 2, 4, 0, 6};
const AddCase gather_case({"gather_rows",
                           {{"x", {7, 3, 5}}},
                           [](auto in) { return gather_rows(in[0], indices(kPicks)); },
                           picked({7, 3, 5},
                                  [](int64_t i) { return kPicks[size_t(i / 15)] * 15 + i % 15; })});
const AddCase embedding_case({"embedding",
                              {{"table", {211, 601}}},
                              [](auto in) { return embedding(indices({210}), in[0]); },
                              picked({1, 601}, [](int64_t i) { return 210 * 601 + i; })});
const AddCase scatter_case({"scatter_add_rows",
                            {{"rows", {7, 130}, -1, 1, false}},
                            [](auto in) {
                              const Tensor rows = in[0].value();
                              return Variable(scatter_add_rows(rows, indices(kPicks), 131, rows.dtype()));
                            },
                            plain({131, 130},
                                  [](const Doubles& in, std::span<double> out) {
                                    std::ranges::fill(out, 0.0);
                                    for (size_t i = 0; i < in[0].size(); ++i)
                                      out[size_t(kPicks[i / 130]) * 130 + i % 130] += in[0][i];
                                  }),
                            3});
const AddCase slice_rows_case({"slice_rows",
                               {{"x", {11, 3}}},
                               [](auto in) { return slice_rows(in[0], 2, 9); },
                               picked({7, 3}, [](int64_t i) { return i + 6; })});
const AddCase slice_columns_case({"slice_columns",
                                  {{"x", {5, 3, 1031}}},
                                  [](auto in) { return slice_columns(in[0], 17, 1030); },
                                  picked({5, 3, 1013},
                                         [](int64_t i) { return i / 1013 * 1031 + i % 1013 + 17; })});
const AddCase concat_rows_case({"concat_rows",
                                {{"a", {2, 3, 5}}, {"b", {1, 3, 5}}, {"c", {4, 3, 5}}},
                                [](auto in) { return concat_rows(in); },
                                plain({7, 3, 5}, [](const Doubles& in, std::span<double> out) {
                                  auto to = out.begin();
                                  for (const auto& piece : in) to = std::ranges::copy(piece, to).out;
                                })});
const AddCase concat_columns_case({"concat_columns",
                                   {{"a", {3, 7, 1}}, {"b", {3, 7, 13}}, {"c", {3, 7, 4}}},
                                   [](auto in) { return concat_columns(in); },
                                   plain({3, 7, 18}, [](const Doubles& in, std::span<double> out) {
                                     for (size_t row = 0; row < 21; ++row) {
                                       out[row * 18] = in[0][row];
                                       std::copy_n(&in[1][row * 13], 13, &out[row * 18 + 1]);
                                       std::copy_n(&in[2][row * 4], 4, &out[row * 18 + 14]);
                                     }
                                   })});

// Element (b, y / p, x / p), (c, y % p, x % p) of the patches is pixel (b, c, y, x).
Op cut(int64_t batch, int64_t channels, int64_t height, int64_t width, int64_t p) {
  const int64_t across = width / p, down = height / p, row = channels * p * p;
  return picked({batch * down * across, row}, [=](int64_t i) {
    const int64_t patch = i / row, c = i % row / (p * p), y = i % (p * p) / p, x = i % p;
    const int64_t b = patch / (down * across), top = patch / across % down * p, left = patch % across * p;
    return ((b * channels + c) * height + top + y) * width + left + x;
  });
}
const AddCase patchify_case({"patchify",
                             {{"images", {2, 3, 21, 35}}},
                             [](auto in) { return patchify(in[0], 7); },
                             cut(2, 3, 21, 35, 7)});
const AddCase patchify_pixels_case({"patchify_single_pixels",
                                    {{"images", {1, 1, 1, 5}}},
                                    [](auto in) { return patchify(in[0], 1); },
                                    cut(1, 1, 1, 5, 1)});

}  // namespace
}  // namespace dehvf
