// LaVIN's adapter (arXiv 2305.15023): one way down and two ways up, in groups, between which a router
// decides.
#pragma once

#include "layers/linear.h"

namespace dehvf {

class RoutedAdapter : public Module {
 public:
  /// `groups` must divide both widths. The ways up begin as zero.
  RoutedAdapter(int64_t width, int64_t dim, int64_t groups)
      : down(width, dim),
        router(width, 2),
        up_{Linear(dim / groups, width, Bias::zeros, {}), Linear(dim / groups, width, Bias::zeros, {})},
        width_(width),
        dim_(dim),
        groups_(groups) {}
  void describe(Describer& describer) override;  // down, up.0, up.1, router

  /// softmax(router(x) / temperature), [rows, 2]
  Variable weights(const Variable& x, double temperature) const;
  /// What is added to each row: of `low` [rows, dim], down(x) perhaps with dropout, and its weights [rows, 2]
  /// the sum of weight_b (up_b low + bias_b); group g of the output is made of group g of low.
  Variable up(const Variable& low, const Variable& weights) const;
  int64_t parameters() const { return (width_ + 1) * (dim_ + 2) + 2 * width_ * (dim_ / groups_ + 1); }
  double flops_per_row() const {  // of down() and up()
    return 2.0 * double(width_ * (dim_ + 2 * dim_ / groups_ + 2));
  }

  Linear down, router;

 private:
  Linear up_[2];
  int64_t width_, dim_, groups_;
};

}  // namespace dehvf
