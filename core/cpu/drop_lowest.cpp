#include "core/ops/drop_lowest.h"

#include <compare>
#include <numeric>

#include "core/cpu/chunks.h"

namespace dehvf::cpu {
namespace {

template <class T>
void drop_lowest_as(const Tensor& x, int64_t dropped, const Tensor& y, const Tensor& kept) {
  const int64_t width = x.size(1);
  for_rows(x.size(0), 16 * width, [&](int64_t row) {
    const T* in = x.data<T>() + row * width;
    T* out = y.data<T>() + row * width;
    auto* const keep = kept.data<uint8_t>() + row * width;
    std::vector<int32_t> order(static_cast<size_t>(width));
    std::iota(order.begin(), order.end(), 0);
    std::nth_element(order.begin(), order.begin() + dropped, order.end(), [&](int32_t a, int32_t b) {
      const auto compared = std::strong_order(Compute<T>(in[a]), Compute<T>(in[b]));  // total, NaN included
      return compared < 0 || (compared == 0 && a < b);
    });
    std::copy_n(in, width, out);
    std::fill_n(keep, width, uint8_t(1));
    for (int64_t i = 0; i < dropped; ++i) {
      out[order[size_t(i)]] = T(Compute<T>(0));
      keep[order[size_t(i)]] = 0;
    }
  });
}

void drop_lowest(const Tensor& x, int64_t dropped, const Tensor& y, const Tensor& kept) {
  visit_float(x.dtype(), [&]<class T>(std::type_identity<T>) { drop_lowest_as<T>(x, dropped, y, kept); });
}

void drop_lowest_backward(const Tensor& kept, const Tensor& dy, const Tensor& dx) {
  visit_float(dy.dtype(), [&]<class T>(std::type_identity<T>) {
    const uint8_t* keep = kept.data<uint8_t>();
    parallel_ranges(dy.count(), kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) dx.data<T>()[i] = keep[i] ? dy.data<T>()[i] : T(Compute<T>(0));
    });
  });
}

const Provide<DropLowest> provide_drop_lowest{{DeviceKind::cpu}, drop_lowest};
const Provide<DropLowestBackward> provide_drop_lowest_backward{{DeviceKind::cpu}, drop_lowest_backward};

}  // namespace
}  // namespace dehvf::cpu
