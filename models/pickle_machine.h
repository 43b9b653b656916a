// The stack machine behind parse_torch_pickle(): turns a pickle's opcodes into values that can do nothing.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "models/pickle.h"

namespace dehvf {

/// Values live in one table and name each other by index, so that cyclic ones neither leak nor dangle.
using PickleId = uint32_t;

struct PickleNone {};
struct PickleGlobal {
  std::string name;  // "module.name"
};
struct PickleStorage {
  DType dtype;
  std::string key;
  uint64_t count;
};
struct PickleList {
  std::vector<PickleId> items;
  bool tuple;
};
struct PickleDict {
  std::vector<std::pair<PickleId, PickleId>> items;
  bool attributes;  // an object whose state becomes its items
};
using PickleValue = std::variant<PickleNone, bool, int64_t, double, std::string, PickleGlobal, PickleStorage,
                                 PickleList, PickleDict, TorchTensor>;

class PickleMachine {
 public:
  PickleMachine(std::string_view text, std::string_view what) : text_(text), what_(what) {}

  PickleId run();  // the value left at the end; throws IoError for anything damaged or not allowed
  const PickleValue& value(PickleId id) const { return values_[id]; }

 private:
  bool step(uint8_t opcode);  // false when the opcode is not known
  bool push_simple(uint8_t opcode);
  bool build_container(uint8_t opcode);
  bool use_memo(uint8_t opcode);
  void push_global();
  void push_integer(size_t bytes);
  void push_storage();
  void reduce();
  void new_object();
  void build();
  void rebuild_tensor(const std::vector<PickleId>& arguments);
  void set_items(const std::vector<PickleId>& items);
  void append_items(const std::vector<PickleId>& items);

  std::string_view take(size_t bytes);
  std::string_view take_line();
  template <class T>
  T take_number();
  void push(PickleValue value);
  void push_id(PickleId id);
  PickleId pop();
  PickleId top() const;
  std::vector<PickleId> pop_to_mark();
  std::vector<PickleId> pop_count(size_t count);
  void push_tuple(std::vector<PickleId> items) { push(PickleList{std::move(items), true}); }
  template <class T>
  const T& get(PickleId id, const char* wanted) const;
  std::vector<int64_t> sizes_of(PickleId id) const;
  [[noreturn]] void damaged(std::string_view why) const;

  std::string_view text_, what_;
  size_t at_ = 0;
  std::deque<PickleValue> values_;
  std::vector<PickleId> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, PickleId> memo_;
};

}  // namespace dehvf
