#include "cuda/emulator/access.h"

#include <algorithm>

#include "cuda/emulator/grid_state.h"

namespace dehvf::simt {
namespace {

template <class Accesses>
const Site* met(const Accesses& accesses, const Extent& bytes) {
  const auto found =
      std::ranges::find_if(accesses, [&](const Access& access) { return access.bytes.meets(bytes); });
  return found == accesses.end() ? nullptr : &found->site;
}

const Site* copy_into(const Block& block, const Extent& bytes) {
  for (const auto& [at, barrier] : block.mbarriers)
    for (const auto& copies : barrier.unobserved)
      if (const Site* site = met(copies, bytes)) return site;
  return nullptr;
}

const Site* read_of(const Block& block, const Extent& bytes) {
  for (const Thread& thread : block.threads) {
    if (!thread.stores) continue;
    for (const StoreGroup& group : *thread.stores)
      for (const auto& sent : group.sent)
        if (sent->from.bytes.meets(bytes)) return &sent->from.site;
  }
  for (const Warpgroup& group : block.warpgroups)
    for (const Product& product : group.products)
      for (const auto* pieces : {&product.a_pieces, &product.b_pieces})
        for (const unsigned char* piece : *pieces)
          if (bytes.meets(extent(piece, 16))) return &product.site;
  return nullptr;
}

}  // namespace

void check_async_read(const Site& site, const Block& block, const Extent& bytes) {
  if (const Site* copy = copy_into(block, bytes))
    fault(current(),
          concat(site, ": reads what ", *copy, " brings, but nobody has waited for that, ", current()));
  if (!block.arena.published(bytes.begin, size_t(bytes.end - bytes.begin)))
    fault(current(),
          concat(site, ": reads what threads stored without a fence_proxy_async behind it, ", current()));
}

void check_async_write(const Site& site, const Block& block, const Extent& bytes) {
  if (const Site* copy = copy_into(block, bytes))
    fault(current(),
          concat(site, ": overwrites what ", *copy, " brings, but nobody has waited for that, ", current()));
  if (const Site* reader = read_of(block, bytes))
    fault(current(),
          concat(site, ": overwrites what ", *reader, " reads, but nobody has waited for that, ", current()));
}

}  // namespace dehvf::simt
