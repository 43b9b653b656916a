#include "models/pickle_machine.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "core/error.h"
#include "core/io/file.h"

namespace dehvf {
namespace {

constexpr size_t kMaxValues = 1'000'000;  // in the table, on the stack and in the memo

struct StorageClass {
  std::string_view name;
  DType dtype;
};
constexpr std::array kStorages{
    StorageClass{"torch.HalfStorage", DType::f16},  StorageClass{"torch.BFloat16Storage", DType::bf16},
    StorageClass{"torch.FloatStorage", DType::f32}, StorageClass{"torch.DoubleStorage", DType::f64},
    StorageClass{"torch.LongStorage", DType::i64},  StorageClass{"torch.IntStorage", DType::i32},
    StorageClass{"torch.ByteStorage", DType::u8},   StorageClass{"torch.BoolStorage", DType::u8}};
constexpr std::string_view kOrderedDict = "collections.OrderedDict", kNamespace = "argparse.Namespace",
                           kRebuildTensor = "torch._utils._rebuild_tensor_v2",
                           kRebuildParameter = "torch._utils._rebuild_parameter";

const StorageClass* storage_named(std::string_view name) {
  const auto found =
      std::find_if(kStorages.begin(), kStorages.end(), [&](const auto& s) { return s.name == name; });
  return found == kStorages.end() ? nullptr : &*found;
}

bool allowed(std::string_view name) {
  return name == kOrderedDict || name == kNamespace || name == kRebuildTensor || name == kRebuildParameter ||
         storage_named(name) != nullptr;
}

}  // namespace

void PickleMachine::damaged(std::string_view why) const {
  fail<IoError>(what_, ": damaged pickle at byte ", at_, ": ", why);
}

std::string_view PickleMachine::take(size_t bytes) {
  if (bytes > text_.size() - at_) damaged("it ends too early");
  at_ += bytes;
  return text_.substr(at_ - bytes, bytes);
}

std::string_view PickleMachine::take_line() {
  const size_t end = text_.find('\n', at_);
  if (end == text_.npos) damaged("it ends too early");
  const auto line = text_.substr(at_, end - at_);
  at_ = end + 1;
  return line;
}

template <class T>
T PickleMachine::take_number() {
  T value;
  std::memcpy(&value, take(sizeof value).data(), sizeof value);
  return value;
}

void PickleMachine::push_id(PickleId id) {
  if (stack_.size() >= kMaxValues) damaged("its stack is too high");
  stack_.push_back(id);
}

void PickleMachine::push(PickleValue value) {
  if (values_.size() >= kMaxValues) damaged("it has too many values");
  values_.push_back(std::move(value));
  push_id(PickleId(values_.size() - 1));
}

PickleId PickleMachine::top() const {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) damaged("a value is missing on its stack");
  return stack_.back();
}

PickleId PickleMachine::pop() {
  const PickleId id = top();
  stack_.pop_back();
  return id;
}

std::vector<PickleId> PickleMachine::pop_count(size_t count) {
  std::vector<PickleId> items(count);
  for (size_t i = count; i-- > 0;) items[i] = pop();
  return items;
}

std::vector<PickleId> PickleMachine::pop_to_mark() {
  if (marks_.empty()) damaged("a mark is missing on its stack");
  const std::vector<PickleId> items(stack_.begin() + std::ptrdiff_t(marks_.back()), stack_.end());
  stack_.resize(marks_.back());
  marks_.pop_back();
  return items;
}

template <class T>
const T& PickleMachine::get(PickleId id, const char* wanted) const {
  const T* found = std::get_if<T>(&values_[id]);
  if (!found) damaged(concat("wanted ", wanted));
  return *found;
}

PickleId PickleMachine::run() {
  for (;;) {
    const auto opcode = take_number<uint8_t>();
    if (opcode == '.') return pop();
    if (!step(opcode))
      damaged(concat("opcode ", int(opcode), " is not allowed; only dictionaries of tensors are read"));
  }
}

bool PickleMachine::step(uint8_t opcode) {
  switch (opcode) {
    case 0x80:  // PROTO
      if (const auto version = take_number<uint8_t>(); version < 2 || version > 3)
        damaged(concat("protocol ", int(version), ", wanted 2 or 3"));
      return true;
    case 'c':
      push_global();
      return true;
    case 'Q':
      push_storage();
      return true;
    case 'R':
      reduce();
      return true;
    case 0x81:
      new_object();
      return true;  // NEWOBJ
    case 'b':
      build();
      return true;
    default:
      return push_simple(opcode) || build_container(opcode) || use_memo(opcode);
  }
}

bool PickleMachine::push_simple(uint8_t opcode) {
  switch (opcode) {
    case 'N':
      push(PickleNone{});
      return true;
    case 0x88:
      push(true);
      return true;
    case 0x89:
      push(false);
      return true;
    case 'J':
      push(int64_t(take_number<int32_t>()));
      return true;
    case 'K':
      push(int64_t(take_number<uint8_t>()));
      return true;
    case 'M':
      push(int64_t(take_number<uint16_t>()));
      return true;
    case 0x8a:
      push_integer(take_number<uint8_t>());
      return true;  // LONG1
    case 'X':
      push(std::string(take(take_number<uint32_t>())));
      return true;
    case 'U':
      push(std::string(take(take_number<uint8_t>())));
      return true;
    case 'G': {  // BINFLOAT, big-endian
      push(std::bit_cast<double>(__builtin_bswap64(take_number<uint64_t>())));
      return true;
    }
    default:
      return false;
  }
}

bool PickleMachine::build_container(uint8_t opcode) {
  switch (opcode) {
    case '(':
      if (marks_.size() >= kMaxValues) damaged("it has too many marks");
      marks_.push_back(stack_.size());
      return true;
    case ')':
      push_tuple({});
      return true;
    case 0x85:
    case 0x86:
    case 0x87:
      push_tuple(pop_count(opcode - 0x84));
      return true;  // TUPLE1 to TUPLE3
    case 't':
      push_tuple(pop_to_mark());
      return true;
    case ']':
      push(PickleList{{}, false});
      return true;
    case 'a':
      append_items(pop_count(1));
      return true;
    case 'e':
      append_items(pop_to_mark());
      return true;
    case '}':
      push(PickleDict{{}, false});
      return true;
    case 's':
      set_items(pop_count(2));
      return true;
    case 'u':
      set_items(pop_to_mark());
      return true;
    default:
      return false;
  }
}

bool PickleMachine::use_memo(uint8_t opcode) {
  const bool put = opcode == 'q' || opcode == 'r';
  if (!put && opcode != 'h' && opcode != 'j') return false;
  const uint32_t slot = opcode == 'q' || opcode == 'h' ? take_number<uint8_t>() : take_number<uint32_t>();
  if (put) {
    if (memo_.size() >= kMaxValues) damaged("its memo is too large");
    memo_[slot] = top();
  } else {
    const auto found = memo_.find(slot);
    if (found == memo_.end()) damaged(concat("memo ", slot, " is not set"));
    push_id(found->second);
  }
  return true;
}

void PickleMachine::push_global() {
  const auto module = take_line();
  const std::string name = concat(module, ".", take_line());
  if (!allowed(name))
    fail<IoError>(
        what_, ": global ", printable(name),
        " is not allowed in a file of weights and was not executed; save a plain dictionary of tensors");
  push(PickleGlobal{name});
}

// Little-endian two's complement of any length; longer than 64 bits is refused.
void PickleMachine::push_integer(size_t bytes) {
  const auto text = take(bytes);
  if (bytes > 8) damaged("an integer has more than 64 bits");
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value |= uint64_t(uint8_t(text[i])) << (8 * i);
  if (bytes > 0 && bytes < 8 && (uint8_t(text.back()) & 0x80)) value |= ~uint64_t(0) << (8 * bytes);
  push(int64_t(value));
}

void PickleMachine::push_storage() {
  const auto parts = get<PickleList>(pop(), "a tuple that names a storage").items;
  if (parts.size() != 5 || get<std::string>(parts[0], "'storage'") != "storage")
    damaged("wanted ('storage', ...)");
  const auto& name = get<PickleGlobal>(parts[1], "a storage class").name;
  const auto* kind = storage_named(name);
  if (!kind) damaged(concat("wanted a storage class, found ", name));
  const int64_t count = get<int64_t>(parts[4], "the storage's size");
  if (count < 0 || count > (int64_t(1) << 48)) damaged(concat("a storage of ", count, " elements"));
  push(PickleStorage{kind->dtype, get<std::string>(parts[2], "the storage's key"), uint64_t(count)});
}

void PickleMachine::reduce() {
  const auto arguments = get<PickleList>(pop(), "a tuple of arguments").items;
  const std::string name = get<PickleGlobal>(pop(), "a function to call").name;
  if (name == kRebuildTensor) {
    rebuild_tensor(arguments);
  } else if (name == kRebuildParameter && !arguments.empty()) {
    get<TorchTensor>(arguments[0], "a parameter's tensor");
    push_id(arguments[0]);
  } else if (name == kOrderedDict && arguments.empty()) {
    push(PickleDict{{}, false});
  } else {
    damaged(concat(name, " called with ", arguments.size(), " arguments"));
  }
}

void PickleMachine::new_object() {
  const auto arguments = get<PickleList>(pop(), "a tuple of arguments").items;
  const auto& name = get<PickleGlobal>(pop(), "a class").name;
  if (name != kNamespace || !arguments.empty()) damaged(concat("an object of ", name));
  push(PickleDict{{}, true});
}

// A Namespace's state becomes its items; what an OrderedDict carries besides its items is passed over.
void PickleMachine::build() {
  const PickleId state = pop();
  auto* target = std::get_if<PickleDict>(&values_[top()]);
  if (!target) damaged("wanted a dictionary to give a state to");
  if (!target->attributes) return;
  const auto items = get<PickleDict>(state, "a dictionary of attributes").items;
  target->items.insert(target->items.end(), items.begin(), items.end());
  if (target->items.size() > kMaxValues) damaged("an object has too many attributes");
}

std::vector<int64_t> PickleMachine::sizes_of(PickleId id) const {
  std::vector<int64_t> sizes;
  const auto& items = get<PickleList>(id, "a tuple of sizes").items;
  if (items.size() > 8) damaged("a tensor has more than 8 axes");
  for (PickleId item : items) sizes.push_back(get<int64_t>(item, "a size"));
  return sizes;
}

void PickleMachine::rebuild_tensor(const std::vector<PickleId>& arguments) {
  if (arguments.size() < 4) damaged("a tensor wants storage, offset, sizes and strides");
  const auto& storage = get<PickleStorage>(arguments[0], "a tensor's storage");
  const int64_t offset = get<int64_t>(arguments[1], "a tensor's offset");
  TorchTensor tensor{"",
                     storage.dtype,
                     storage.key,
                     storage.count,
                     uint64_t(offset),
                     sizes_of(arguments[2]),
                     sizes_of(arguments[3])};
  if (tensor.stride.size() != tensor.shape.size()) damaged("a tensor has as many strides as sizes");
  int64_t last = offset, count = 1;  // the furthest element and the number of elements
  bool fits = offset >= 0, empty = false;
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    const int64_t size = tensor.shape[i], stride = tensor.stride[i];
    int64_t step = 0;
    empty |= size == 0;
    fits &= size >= 0 && stride >= 0 && !__builtin_mul_overflow(std::max<int64_t>(size, 1), count, &count) &&
            !__builtin_mul_overflow(std::max<int64_t>(size, 1) - 1, stride, &step) &&
            !__builtin_add_overflow(last, step, &last);
  }
  fits &= empty || (uint64_t(last) < storage.count && uint64_t(count) <= storage.count);
  if (!fits) damaged("a tensor reaches outside of its storage or has more elements than it");
  push(std::move(tensor));
}

void PickleMachine::set_items(const std::vector<PickleId>& items) {
  auto* dict = std::get_if<PickleDict>(&values_[top()]);
  if (!dict || items.size() % 2 != 0) damaged("wanted pairs for a dictionary");
  for (size_t i = 0; i < items.size(); i += 2) dict->items.emplace_back(items[i], items[i + 1]);
}

void PickleMachine::append_items(const std::vector<PickleId>& items) {
  auto* list = std::get_if<PickleList>(&values_[top()]);
  if (!list || list->tuple) damaged("wanted a list to append to");
  list->items.insert(list->items.end(), items.begin(), items.end());
}

}  // namespace dehvf
