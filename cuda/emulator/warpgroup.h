// Four warps that act as one.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <vector>

#include "cuda/emulator/async.h"
#include "cuda/emulator/wgmma.h"

namespace dehvf::simt {

struct Thread;

inline constexpr unsigned kWarpgroup = 128;

/// The accumulators of products, from the first of them to the wait for the last.
struct Sums {
  std::array<float*, kWarpgroup> of_thread{};
  std::vector<float> values;  // [64, n]
  unsigned products = 0;      // that nobody has waited for
};

/// A product that the threads have begun to ask for.
struct Product {
  Site site;
  WgmmaCall call;
  unsigned asked = 0;  // threads that have
  std::shared_ptr<Sums> sums;
  std::vector<uint16_t> a, b;                            // [64, 16] and [n, 16]
  std::vector<const unsigned char*> a_pieces, b_pieces;  // 16 bytes each, where they lie
  Batch work;
};

/// How far a thread is in the sequence of its warpgroup's products.
struct ProductsOfThread {
  size_t asked = 0, waited = 0;
  std::deque<size_t> groups;  // `asked` at each commit that was not waited for
  bool fenced = false;
};

struct Warpgroup {
  struct RegisterChange {
    unsigned count;  // of each thread from then on
    Site site;
  };
  std::vector<RegisterChange> register_changes;
  std::deque<Product> products;  // that nobody has waited for
  size_t first = 0;              // how many are over
  char asked_token = 0, over_token = 0;
};

void set_registers(const Site& site, unsigned count);

/// The group of the running thread. demand_all_alive is for the first of it that comes to a call of all.
Warpgroup& group_of(const Site& site, const Thread& thread);
void demand_all_alive(const Site& site, const Thread& thread);

void check_warpgroup_left(const Thread& thread);

}  // namespace dehvf::simt
