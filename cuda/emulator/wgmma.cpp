#include "cuda/emulator/wgmma.h"

#include <algorithm>
#include <bit>

#include "cuda/emulator/bytes.h"
#include "cuda/emulator/grid_state.h"

namespace dehvf::simt {
namespace {

constexpr int kRows = 64, kInner = 16;

// A descriptor taken apart again.
struct Operand {
  uint32_t start, leading, stride;
  Swizzle swizzle;

  explicit Operand(uint64_t d)
      : start(uint32_t(d & 0x3fff) << 4),
        leading(uint32_t(d >> 16 & 0x3fff) << 4),
        stride(uint32_t(d >> 32 & 0x3fff) << 4),
        swizzle(d >> 62 == 0 ? Swizzle::none : Swizzle(4 - (d >> 62))) {}

  // Of the 16 bytes that hold element (mn, k), of which the major one is a multiple of 8.
  uint32_t piece(Major major, uint32_t mn, uint32_t k) const {
    const uint32_t row = cuda::swizzle_bytes(swizzle), elements = row / 2;
    uint32_t at = start;
    if (swizzle == Swizzle::none)
      at += major == Major::k ? mn % 8 * 16 + mn / 8 * stride + k / 8 * leading
                              : k % 8 * 16 + mn / 8 * stride + k / 8 * leading;
    else
      at += major == Major::k ? mn % 8 * row + mn / 8 * stride + k * 2
                              : mn % elements * 2 + mn / elements * leading + k % 8 * row + k / 8 * stride;
    return uint32_t(cuda::swizzled(swizzle, at));
  }
};

// fn(piece, mn, k) for all pieces of [rows, 16], in the same order each time.
template <class Fn>
void for_each_piece(uint64_t descriptor, Major major, int rows, const Fn& fn) {
  const Operand operand(descriptor);
  const int mn_step = major == Major::k ? 1 : 8, k_step = major == Major::k ? 8 : 1;
  for (int mn = 0; mn < rows; mn += mn_step)
    for (int k = 0; k < kInner; k += k_step) fn(operand.piece(major, uint32_t(mn), uint32_t(k)), mn, k);
}

std::vector<const unsigned char*> pieces_of(const Product& product, uint64_t descriptor, Major major,
                                            int rows) {
  const Block& block = *current().block;
  std::vector<const unsigned char*> pieces;
  for_each_piece(descriptor, major, rows, [&](uint32_t address, int, int) {
    const unsigned char* const piece = block.arena.at(address);
    if (!block.arena.holds(piece, 16))
      fault(current(), concat(product.site, ": the descriptor reaches outside of the block's shared memory, ",
                              current()));
    check_async_read(product.site, block, extent(piece, 16));
    pieces.push_back(piece);
  });
  return pieces;
}

std::vector<uint16_t> elements_of(const std::vector<const unsigned char*>& pieces, uint64_t descriptor,
                                  Major major, int rows) {
  std::vector<uint16_t> elements(size_t(rows) * kInner);
  auto piece = pieces.begin();
  for_each_piece(descriptor, major, rows, [&](uint32_t, int mn, int k) {
    uint16_t eight[8];
    move_bytes(eight, *piece++, sizeof eight);
    for (int i = 0; i < 8; ++i)
      elements[size_t(major == Major::k ? mn * kInner + k + i : (mn + i) * kInner + k)] = eight[i];
  });
  return elements;
}

float widened(uint16_t bits, bool half) {
  if (!half) return std::bit_cast<float>(uint32_t(bits) << 16);
  _Float16 value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return float(value);
}

// Element i of d of a thread of the warpgroup, in [64, n].
size_t place_in_sums(unsigned thread, int n, int i) {
  const unsigned row = thread / 32 * 16 + thread % 32 / 4 + 8 * unsigned(i / 2 % 2);
  return row * size_t(n) + 8 * unsigned(i / 4) + 2 * (thread % 4) + unsigned(i % 2);
}

void give_sums(const Sums& sums, int n) {
  for (unsigned t = 0; t < kWarpgroup; ++t)
    for (int i = 0; i < n / 2; ++i) sums.of_thread[t][i] = sums.values[place_in_sums(t, n, i)];
}

void multiply_add(Product& product) {
  const WgmmaCall& call = product.call;
  const size_t n = size_t(call.n);
  std::vector<float> b(kInner * n);
  for (size_t j = 0; j < n; ++j)
    for (size_t k = 0; k < kInner; ++k) b[k * n + j] = widened(product.b[j * kInner + k], call.half);
  auto& sums = product.sums->values;
  if (!call.accumulate) std::ranges::fill(sums, 0.0f);
  for (size_t i = 0; i < kRows; ++i)
    for (size_t k = 0; k < kInner; ++k) {
      const float a = widened(product.a[i * kInner + k], call.half);
      for (size_t j = 0; j < n; ++j) sums[i * n + j] += a * b[k * n + j];
    }
}

// All threads have asked for it.
void begin(Product& product, const void* code) {
  Thread& thread = current();
  Warpgroup& group = thread.block->warpgroups[thread.linear / kWarpgroup];
  const WgmmaCall& call = product.call;
  sanitizer::acquire(&group.asked_token);
  if (!call.a_in_registers) {
    product.a_pieces = pieces_of(product, call.a, call.a_major, kRows);
    product.a = elements_of(product.a_pieces, call.a, call.a_major, kRows);
  }
  product.b_pieces = pieces_of(product, call.b, call.b_major, call.n);
  product.b = elements_of(product.b_pieces, call.b, call.b_major, call.n);
  std::vector<Touch> touches;
  for (const auto* pieces : {&product.a_pieces, &product.b_pieces})
    for (const unsigned char* piece : *pieces)
      touches.push_back({const_cast<unsigned char*>(piece), 16, false});
  const bool eager = thread.grid->delivery == Delivery::eager;
  product.work.start(product.site, touches, code, [&product, eager] {
    multiply_add(product);
    if (eager) give_sums(*product.sums, product.call.n);
  });
}

// Somebody has waited for the oldest product.
void end_oldest(Warpgroup& group) {
  Product& product = group.products.front();
  const WgmmaCall& call = product.call;
  const bool same =
      elements_of(product.b_pieces, call.b, call.b_major, call.n) == product.b &&
      (call.a_in_registers || elements_of(product.a_pieces, call.a, call.a_major, kRows) == product.a);
  if (!same)
    fault(current(),
          concat("shared memory that ", product.site, " reads was overwritten before the wait, ", current()));
  product.work.arrive();
  if (--product.sums->products == 0) give_sums(*product.sums, call.n);
  sanitizer::release(&group.over_token);
  group.products.pop_front();
  ++group.first;
}

void take_registers(Product& product, unsigned thread, const uint32_t* a) {
  product.a.resize(kRows * kInner);
  for (unsigned r = 0; r < 4; ++r) {
    const unsigned row = thread / 32 * 16 + thread % 32 / 4 + r % 2 * 8, k = thread % 4 * 2 + r / 2 * 8;
    product.a[row * kInner + k] = uint16_t(a[r]);
    product.a[row * kInner + k + 1] = uint16_t(a[r] >> 16);
  }
}

// The thread's d becomes part of the product's sums, where it is not yet.
void take_sums(Product& product, Warpgroup& group, unsigned thread, float* d, bool late) {
  const int n = product.call.n;
  if (!product.sums) {
    const auto same = std::ranges::find_if(group.products, [&](const Product& other) {
      return other.sums && other.sums->of_thread[thread] == d && other.call.n == n;
    });
    product.sums = same != group.products.end() ? same->sums : std::make_shared<Sums>();
    product.sums->values.resize(size_t(kRows * n));
    ++product.sums->products;
  }
  float*& own = product.sums->of_thread[thread];
  if (own && own != d)
    fault(current(),
          concat(product.site, ": the accumulators are others than those of the warpgroup, ", current()));
  if (own) return;
  own = d;
  for (int i = 0; i < n / 2; ++i) product.sums->values[place_in_sums(thread, n, i)] = d[i];
  if (late) fill_bytes(d, kUnset, size_t(n) / 2 * sizeof(float));
}

}  // namespace

uint32_t operand_address(const Site& site, const void* shared) {
  demand_shared(site, shared, 16, 16);
  const uint32_t address = current().block->arena.address(shared);
  demand(address < (1u << 18), site, "an operand behind the first 256 KiB of shared memory");
  return address;
}

void wgmma(const Site& site, const WgmmaCall& call, const uint32_t* a, float* d) {
  const sanitizer::Unseen unseen;
  Thread& thread = current();
  Warpgroup& group = group_of(site, thread);
  if (!thread.products.fenced)
    fault(thread, concat(site, ": no wgmma_fence since the beginning or the last wait, ", thread));
  const size_t index = thread.products.asked++ - group.first;
  if (index == group.products.size()) {
    demand_all_alive(site, thread);
    Product& product = group.products.emplace_back();
    product.site = site;
    product.call = call;
  }
  Product& product = group.products[index];
  if (!(product.call == call) || !(product.site == site))
    fault(thread, concat("divergent warpgroup: ", thread, " is at ", site,
                         " with other operands than those at ", product.site));
  const unsigned place = thread.linear % kWarpgroup;
  if (a) take_registers(product, place, a);
  take_sums(product, group, place, d, thread.grid->delivery == Delivery::late);
  sanitizer::release(&group.asked_token);
  if (++product.asked == kWarpgroup) begin(product, __builtin_return_address(0));
}

void wgmma_fence() { current().products.fenced = true; }

void wgmma_commit() {
  auto& products = current().products;
  products.groups.push_back(products.asked);
}

void wgmma_wait(const Site& site, size_t left) {
  Thread& thread = current();
  ProductsOfThread& own = thread.products;
  Warpgroup& group = group_of(site, thread);
  for (; own.groups.size() > left; own.groups.pop_front()) own.waited = own.groups.front();
  const auto begun = [&] {
    for (size_t i = group.first; i < own.waited; ++i)
      if (group.products[i - group.first].asked < kWarpgroup) return false;
    return true;
  };
  wait_until(site, begun);
  const sanitizer::Unseen unseen;
  while (group.first < own.waited) end_oldest(group);
  sanitizer::acquire(&group.over_token);
  own.fenced = false;
}

}  // namespace dehvf::simt
