#include "train/contract/check.h"

#include <cmath>
#include <cstring>

#include "core/ops/elementwise.h"
#include "train/contract/lists.h"

namespace dehvf::contract {
namespace {

constexpr size_t kLinesShown = 4;

std::string lines(const std::vector<std::string>& wrong) {
  std::string text;
  for (size_t i = 0; i < std::min(wrong.size(), kLinesShown); ++i) text += (i == 0 ? "" : "\n") + wrong[i];
  if (wrong.size() > kLinesShown) text += concat("\nand ", wrong.size() - kLinesShown, " more");
  return text;
}

std::vector<Check> all_checks() {
  std::vector<Check> all;
  for (auto list : {config_checks, gradient_checks, meaning_checks, sample_checks, decode_checks,
                    product_checks, device_checks, replay_checks})
    for (const Check& check : list()) all.push_back(check);
  return all;
}

}  // namespace

std::span<const Check> checks() {
  static const std::vector<Check> all = all_checks();
  return all;
}

Result run_check(const Check& check, const tiny::Case& c) {
  Verdict verdict;
  try {
    check.run(c, verdict);
  } catch (const std::exception& error) {
    verdict.expect(false, "stopped by: ", error.what());
  }
  return {.passed = verdict.wrong().empty(), .skipped = verdict.skipped(), .detail = lines(verdict.wrong())};
}

double difference(const Tensor& found, const Tensor& wanted) {
  if (found.count() != wanted.count()) return INFINITY;
  const Tensor a = cast(found, DType::f64), b = cast(wanted, DType::f64);
  double largest = 1e-3, error = 0;
  for (int64_t i = 0; i < b.count(); ++i) {
    largest = std::max(largest, std::fabs(b.data<double>()[i]));
    const double off = std::fabs(a.data<double>()[i] - b.data<double>()[i]);
    error = std::isnan(off) ? INFINITY : std::max(error, off);
  }
  return error / largest;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

double norm_of_difference(const Tensor& a, const Tensor& b) {
  const Tensor x = cast(a.to(kCpu), DType::f64), y = cast(b.to(kCpu), DType::f64);
  double sum = 0;
  for (int64_t i = 0; i < x.count(); ++i) sum += std::pow(x.data<double>()[i] - y.data<double>()[i], 2);
  return std::sqrt(sum);
}

double norm(const Tensor& a) { return norm_of_difference(a, zeros(a.shape(), a.dtype())); }

void expect_close(Verdict& verdict, const Tensor& found, const Tensor& wanted, double bound,
                  std::string_view what) {
  const double off = difference(found, wanted);
  verdict.expect(off < bound, what, ": wanted a relative difference below ", bound, ", found ", off);
}

}  // namespace dehvf::contract
