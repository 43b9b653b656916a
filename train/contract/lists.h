// The checks of each file, and what several of them use.
#pragma once

#include "train/contract/check.h"

namespace dehvf::contract {

std::vector<Check> config_checks();
std::vector<Check> gradient_checks();
std::vector<Check> meaning_checks();
std::vector<Check> sample_checks();
std::vector<Check> decode_checks();
std::vector<Check> product_checks();
std::vector<Check> device_checks();
std::vector<Check> replay_checks();

inline const ForwardOptions kTraining{.training = true, .seed = 3, .step = 5};
/// The same sums in another order, f64: a few hundred terms, each rounded to 1.1e-16.
inline constexpr double kReordered = 1e-12;

/// Largest |found - wanted|, relative to the largest |wanted|, or to 1e-3 where that is smaller; infinite for
/// another number of elements and for NaN.
double difference(const Tensor& found, const Tensor& wanted);
bool same_bits(const Tensor& a, const Tensor& b);
double norm(const Tensor& a);
double norm_of_difference(const Tensor& a, const Tensor& b);

/// Finds a difference() of `bound` or more.
void expect_close(Verdict& verdict, const Tensor& found, const Tensor& wanted, double bound,
                  std::string_view what);

}  // namespace dehvf::contract
