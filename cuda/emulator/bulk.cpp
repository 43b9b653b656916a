#include "cuda/emulator/bulk.h"

#include <algorithm>

#include "cuda/emulator/bytes.h"
#include "cuda/emulator/grid_state.h"

namespace dehvf::simt {
namespace {

using cuda::swizzle_bytes;
using cuda::swizzled;

// Where a box begins in its tensor: along axis 0 in bytes.
struct Corner {
  int64_t at[4] = {};
};

Corner corner(const Site& site, const TensorMap& map, std::span<const int> at) {
  if (at.size() != map.rank)
    fault(current(),
          concat(site, ": wanted ", int(map.rank), " coordinates, found ", at.size(), ", ", current()));
  Corner corner;
  for (size_t i = 0; i < at.size(); ++i) corner.at[i] = int64_t(at[i]) * (i == 0 ? map.element : 1);
  return corner;
}

size_t box_bytes(const TensorMap& map) { return size_t(map.box[0]) * map.box[1] * map.box[2] * map.box[3]; }

// A row of a box: where it begins in the box and in the tensor, and which of its bytes the tensor has.
struct Row {
  size_t offset;
  unsigned char* global;
  size_t begin, end;
};

template <class Fn>
void for_each_row(const TensorMap& map, const Corner& corner, const Fn& fn) {
  const int64_t x = corner.at[0], begin = std::clamp<int64_t>(-x, 0, map.box[0]);
  const int64_t end = std::clamp<int64_t>(int64_t(map.sizes[0]) - x, begin, map.box[0]);
  size_t offset = 0;
  for (unsigned k = 0; k < map.box[3]; ++k)
    for (unsigned j = 0; j < map.box[2]; ++j)
      for (unsigned i = 0; i < map.box[1]; ++i, offset += map.box[0]) {
        const int64_t at[] = {corner.at[1] + i, corner.at[2] + j, corner.at[3] + k};
        int64_t distance = x;
        bool inside = true;
        for (int axis = 0; axis < 3; ++axis) {
          inside = inside && at[axis] >= 0 && uint64_t(at[axis]) < map.sizes[axis + 1];
          distance += at[axis] * int64_t(map.strides[axis + 1]);
        }
        fn(Row{offset, map.data + distance, size_t(begin), size_t(inside ? end : begin)});
      }
}

// The 16-byte pieces of a row and what the tensor has of each: fn(offset in shared memory, global, skipped,
// bytes).
template <class Fn>
void for_each_piece(const TensorMap& map, const Row& row, const Fn& fn) {
  for (size_t c = 0; c < map.box[0]; c += 16) {
    const size_t begin = std::clamp(row.begin, c, c + 16), end = std::clamp(row.end, begin, c + 16);
    fn(swizzled(map.swizzle, row.offset + c), row.global + begin, begin - c, end - begin);
  }
}

void load_rows(const TensorMap& map, const Corner& corner, unsigned char* shared) {
  for_each_row(map, corner, [&](const Row& row) {
    for_each_piece(map, row, [&](size_t offset, const unsigned char* global, size_t skipped, size_t bytes) {
      fill_bytes(shared + offset, 0, 16);
      move_bytes(shared + offset + skipped, global, bytes);
    });
  });
}

void store_rows(const TensorMap& map, const Corner& corner, const unsigned char* bytes_of_box) {
  for_each_row(map, corner, [&](const Row& row) {
    for_each_piece(map, row, [&](size_t offset, unsigned char* global, size_t skipped, size_t bytes) {
      move_bytes(global, bytes_of_box + offset + skipped, bytes);
    });
  });
}

std::vector<Touch> rows_of(const TensorMap& map, const Corner& corner, bool written) {
  std::vector<Touch> touches;
  for_each_row(map, corner, [&](const Row& row) {
    if (row.begin < row.end) touches.push_back({row.global + row.begin, row.end - row.begin, written});
  });
  return touches;
}

void demand_multiple(const Site& site, const char* what, uint64_t value, uint64_t of) {
  if (value % of != 0)
    fault(current(), concat(site, ": wanted ", what, " of a multiple of ", of, ", ", current()));
}

void demand_place(const Site& site, const TensorMap& map, const void* shared) {
  const size_t alignment = std::max<size_t>(128, 8 * swizzle_bytes(map.swizzle));
  demand_shared(site, shared, box_bytes(map), alignment);
}

// One copy into the shared memory of `block`.
void load(const Site& site, Block& block, const Transfer& transfer) {
  const Touch& to = transfer.touches.front();
  check_async_write(site, block, extent(to.data, to.bytes));
  mbarrier_transfer(site, transfer);
}

StoreGroups& stores_of(Thread& thread) {
  if (!thread.stores) thread.stores = std::make_unique<StoreGroups>(1);
  return *thread.stores;
}

template <class Write>
void store(const Site& site, const void* shared, size_t bytes, std::span<const Touch> written,
           const void* code, const Write& write) {
  const sanitizer::Unseen unseen;
  Thread& thread = current();
  const Extent from = extent(shared, bytes);
  check_async_read(site, *thread.block, from);
  StoreGroup& group = stores_of(thread).back();
  const auto sent = std::make_shared<StoreGroup::Sent>();
  sent->from = {from, site};
  sent->bytes.resize(bytes);
  move_bytes(sent->bytes.data(), shared, bytes);
  group.sent.push_back(sent);
  const Touch read[] = {{const_cast<void*>(shared), bytes, false}};
  group.reads.start(site, read, code, [] {});
  group.writes.start(site, written, code, [sent, write] { write(sent->bytes.data()); });
}

void wait_for_reading(const Thread& thread, StoreGroup& group) {
  for (const auto& sent : group.sent)
    if (!same_bytes(sent->bytes.data(), sent->from.bytes.begin, sent->bytes.size()))
      fault(thread, concat("shared memory that ", sent->from.site, " reads was overwritten before the wait, ",
                           thread));
  group.sent.clear();
  group.reads.arrive();
}

}  // namespace

void load_box(const Site& site, void* shared, const TensorMap& map, uint64_t* barrier,
              std::span<const int> at, unsigned blocks) {
  const sanitizer::Unseen unseen;
  const Corner from = corner(site, map, at);
  demand_place(site, map, shared);
  std::vector<Touch> touches = rows_of(map, from, false);
  touches.insert(touches.begin(), Touch{});
  for (unsigned rank = 0; rank < 16; ++rank) {
    const bool own = blocks == 0;
    if (own ? rank > 0 : !(blocks >> rank & 1)) continue;
    Block& block = own ? *current().block : peer(site, rank);
    auto* const to = static_cast<unsigned char*>(counterpart(site, shared, block));
    touches.front() = {to, box_bytes(map), true};
    Block* const into = &block;
    load(site, block,
         {block, static_cast<uint64_t*>(counterpart(site, barrier, block)), unsigned(box_bytes(map)), touches,
          __builtin_return_address(0), [=, map = map] {
            load_rows(map, from, to);
            into->arena.publish(to, box_bytes(map));
          }});
  }
}

void load_bytes(const Site& site, void* shared, const void* global, unsigned bytes, uint64_t* barrier) {
  Block& block = *current().block;
  demand_shared(site, shared, bytes, 16);
  demand_multiple(site, "an address in global memory", reinterpret_cast<uintptr_t>(global), 16);
  demand_multiple(site, "a number of bytes", bytes, 16);
  const Touch touches[] = {{shared, bytes, true}, {const_cast<void*>(global), bytes, false}};
  load(site, block, {block, barrier, bytes, touches, __builtin_return_address(0), [=, &block] {
                       move_bytes(shared, global, bytes);
                       block.arena.publish(shared, bytes);
                     }});
}

void store_box(const Site& site, const TensorMap& map, const void* shared, std::span<const int> at) {
  const Corner to = corner(site, map, at);
  demand_place(site, map, shared);
  store(site, shared, box_bytes(map), rows_of(map, to, true), __builtin_return_address(0),
        [to, map = map](const unsigned char* bytes) { store_rows(map, to, bytes); });
}

void store_bytes(const Site& site, void* global, const void* shared, unsigned bytes) {
  demand_shared(site, shared, bytes, 16);
  demand_multiple(site, "an address in global memory", reinterpret_cast<uintptr_t>(global), 16);
  demand_multiple(site, "a number of bytes", bytes, 16);
  const Touch touches[] = {{global, bytes, true}};
  store(site, shared, bytes, touches, __builtin_return_address(0),
        [=](const unsigned char* sent) { move_bytes(global, sent, bytes); });
}

void close_stores() {
  const sanitizer::Unseen unseen;
  stores_of(current()).emplace_back();
}

void wait_for_stores(size_t left, bool read_only) {
  const sanitizer::Unseen unseen;
  Thread& thread = current();
  StoreGroups& groups = stores_of(thread);
  for (size_t i = 0; i + left + 1 < groups.size(); ++i) {
    wait_for_reading(thread, groups[i]);
    if (!read_only) groups[i].writes.arrive();
  }
  if (!read_only)
    while (groups.size() > left + 1) groups.pop_front();
}

void finish_stores(Thread& thread) {
  if (!thread.stores) return;
  for (StoreGroup& group : *thread.stores) {
    if (!group.sent.empty())
      fault(thread,
            concat(thread, " has ended and did not wait until ", group.sent.front()->from.site, " was read"));
    group.writes.arrive();
  }
}

}  // namespace dehvf::simt
