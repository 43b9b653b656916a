#include "models/safetensors_header.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/json.h"

namespace dehvf {
namespace {

constexpr size_t kMaxFileRank = 8;

// Every element type of the format with its bits, in the writers' order: larger elements come first in a
// file.
struct Kind {
  std::string_view name;
  int bits;
  std::optional<DType> dtype;
};
constexpr std::array kKinds{Kind{"U64", 64, {}},
                            Kind{"I64", 64, DType::i64},
                            Kind{"F64", 64, DType::f64},
                            Kind{"C64", 64, {}},
                            Kind{"F32", 32, DType::f32},
                            Kind{"U32", 32, {}},
                            Kind{"I32", 32, DType::i32},
                            Kind{"BF16", 16, DType::bf16},
                            Kind{"F16", 16, DType::f16},
                            Kind{"U16", 16, {}},
                            Kind{"I16", 16, {}},
                            Kind{"F8_E8M0", 8, {}},
                            Kind{"F8_E4M3", 8, DType::f8e4m3},
                            Kind{"F8_E4M3FNUZ", 8, {}},
                            Kind{"F8_E5M2", 8, {}},
                            Kind{"F8_E5M2FNUZ", 8, {}},
                            Kind{"I8", 8, {}},
                            Kind{"U8", 8, DType::u8},
                            Kind{"F6_E3M2", 6, {}},
                            Kind{"F6_E2M3", 6, {}},
                            Kind{"F4", 4, {}},
                            Kind{"BOOL", 8, DType::u8}};

const Kind* kind_named(std::string_view name) {
  const auto found =
      std::find_if(kKinds.begin(), kKinds.end(), [&](const Kind& kind) { return kind.name == name; });
  return found == kKinds.end() ? nullptr : &*found;
}

// Fills a header from parser events. The grammar is two objects deep, so the state is what the next value
// means.
class HeaderSax : public nlohmann::json_sax<Json> {
 public:
  HeaderSax(SafetensorsHeader& header, std::string_view what) : header_(header), what_(what) {}

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("true or false"); }
  bool number_integer(number_integer_t value) override { return unexpected(concat(value)); }
  bool number_float(number_float_t, const string_t& text) override { return unexpected(text); }
  bool binary(binary_t&) override { return unexpected("binary"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::shape) {
      auto& shape = entry().shape;
      check(shape.size() < kMaxFileRank, "has more than ", kMaxFileRank, " axes");
      check(value <= uint64_t(std::numeric_limits<int64_t>::max()), "axis of ", value, " elements overflows");
      shape.push_back(int64_t(value));
    } else if (place_ == Place::offsets && offsets_ < 2) {
      (offsets_++ == 0 ? entry().begin : entry().end) = value;
    } else {
      return unexpected(concat(value));
    }
    return true;
  }

  bool string(string_t& value) override {
    if (place_ == Place::metadata_value) {
      const bool fresh = header_.metadata.emplace(std::move(name_), std::move(value)).second;
      require<IoError>(fresh, what_, ": a key of __metadata__ stands twice");
      place_ = Place::metadata;
    } else if (place_ == Place::dtype) {
      entry().dtype = std::move(value);
      place_ = Place::entry;
    } else {
      return unexpected("a string");
    }
    return true;
  }

  bool key(string_t& key) override {
    if (place_ == Place::top) {
      name_ = std::move(key);
      place_ = Place::top_value;
    } else if (place_ == Place::metadata) {
      require<IoError>(header_.metadata.size() < kSafetensorsEntryLimit, what_,
                       ": __metadata__ has too many keys");
      name_ = std::move(key);
      place_ = Place::metadata_value;
    } else {
      constexpr std::array<std::string_view, 3> kFields{"dtype", "shape", "data_offsets"};
      const auto field = size_t(std::find(kFields.begin(), kFields.end(), key) - kFields.begin());
      check(field < 3, "wanted dtype, shape and data_offsets, found key '", printable(key), "'");
      check((seen_ >> field & 1) == 0, "key '", key, "' stands twice");
      seen_ |= 1 << field;
      place_ = field == 0 ? Place::dtype : field == 1 ? Place::shape_start : Place::offsets_start;
    }
    return true;
  }

  bool start_object(size_t) override {
    if (place_ == Place::start) {
      place_ = Place::top;
    } else if (place_ == Place::top_value && name_ == "__metadata__") {
      require<IoError>(!had_metadata_, what_, ": key '__metadata__' stands twice");
      had_metadata_ = true;
      place_ = Place::metadata;
    } else if (place_ == Place::top_value) {
      require<IoError>(header_.tensors.size() < kSafetensorsEntryLimit, what_, ": has more than ",
                       kSafetensorsEntryLimit, " tensors");
      header_.tensors.emplace_back().name = std::move(name_);
      seen_ = offsets_ = 0;
      place_ = Place::entry;
    } else {
      return unexpected("an object");
    }
    return true;
  }

  bool end_object() override {
    if (place_ == Place::entry) check(seen_ == 7, "wanted dtype, shape and data_offsets, one is missing");
    place_ = place_ == Place::top ? Place::start : Place::top;
    return true;
  }

  bool start_array(size_t) override {
    if (place_ != Place::shape_start && place_ != Place::offsets_start) return unexpected("an array");
    place_ = place_ == Place::shape_start ? Place::shape : Place::offsets;
    return true;
  }

  bool end_array() override {
    check(place_ != Place::offsets || offsets_ == 2, "data_offsets: wanted two numbers, found ", offsets_);
    place_ = Place::entry;
    return true;
  }

  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& error) override {
    fail<IoError>(what_, ": invalid header: ", printable(error.what(), 200));
  }

 private:
  enum class Place {
    start,
    top,
    top_value,
    metadata,
    metadata_value,
    entry,
    dtype,
    shape_start,
    shape,
    offsets_start,
    offsets
  };

  SafetensorsInfo& entry() { return header_.tensors.back(); }

  template <class... Parts>
  void check(bool ok, const Parts&... parts) {
    require<IoError>(ok, what_, ": tensor '", printable(entry().name), "': ", parts...);
  }

  bool unexpected(const std::string& found) const {
    const bool metadata =
        place_ == Place::metadata_value || (place_ == Place::top_value && name_ == "__metadata__");
    if (metadata) fail<IoError>(what_, ": __metadata__: wanted strings, found ", printable(found));
    const bool inside = place_ != Place::top_value;
    const std::string& name = inside ? header_.tensors.back().name : name_;
    const char* wanted = !inside                  ? "an object"
                         : place_ == Place::dtype ? "a string as dtype"
                         : place_ == Place::shape ? "whole numbers as shape"
                                                  : "lists of whole numbers as shape and data_offsets";
    fail<IoError>(what_, ": tensor '", printable(name), "': wanted ", wanted, ", found ", printable(found));
  }

  SafetensorsHeader& header_;
  std::string_view what_;
  Place place_ = Place::start;
  std::string name_;
  int seen_ = 0, offsets_ = 0;
  bool had_metadata_ = false;
};

// Zero-sized axes count as 1: the product of the others must be representable too.
void check_size(const SafetensorsInfo& info, std::string_view what) {
  const Kind* kind = kind_named(info.dtype);
  uint64_t bits = kind ? uint64_t(kind->bits) : 8;
  bool fits = true, empty = false;
  for (int64_t size : info.shape) {
    empty |= size == 0;
    fits &= !__builtin_mul_overflow(bits, uint64_t(std::max<int64_t>(size, 1)), &bits);
  }
  const auto name = [&] { return concat(what, ": tensor '", printable(info.name), "'"); };
  if (!fits || bits > uint64_t(std::numeric_limits<int64_t>::max()))
    fail<IoError>(name(), ": its shape has more elements than 64 bits can count");
  if (!kind) return;
  if (empty) bits = 0;
  if (bits % 8 != 0) fail<IoError>(name(), ": ", info.dtype, " elements do not end on a whole byte");
  if (bits / 8 != info.end - info.begin)
    fail<IoError>(name(), ": dtype and shape give ", bits / 8, " bytes, data_offsets ",
                  info.end - info.begin);
}

void check_names(const std::vector<SafetensorsInfo>& tensors, std::string_view what) {
  std::vector<std::string_view> names;
  names.reserve(tensors.size());
  for (const auto& info : tensors) names.push_back(info.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) fail<IoError>(what, ": tensor '", printable(*twice), "' stands twice");
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text, uint64_t data_bytes,
                                           std::string_view what) {
  require<IoError>(!text.empty() && text[0] == '{', what, ": wanted a header that starts with '{'");
  // The parser takes a zero byte for the end of its input.
  require<IoError>(text.find('\0') == text.npos, what, ": invalid header: contains a zero byte");
  SafetensorsHeader header;
  HeaderSax sax(header, what);
  Json::sax_parse(text.begin(), text.end(), &sax);
  check_names(header.tensors, what);
  std::stable_sort(header.tensors.begin(), header.tensors.end(), [](const auto& a, const auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t covered = 0;
  for (const auto& info : header.tensors) {
    if (info.begin != covered || info.end < info.begin || info.end > data_bytes)
      fail<IoError>(what, ": tensor '", printable(info.name), "': data_offsets [", info.begin, ", ", info.end,
                    ") leave a hole, overlap or pass the end; wanted to go on at ", covered, " of ",
                    data_bytes);
    check_size(info, what);
    covered = info.end;
  }
  require<IoError>(covered == data_bytes, what, ": its tensors cover ", covered, " bytes of data, found ",
                   data_bytes);
  return header;
}

std::optional<DType> dtype_of_safetensors(std::string_view dtype) {
  const Kind* kind = kind_named(dtype);
  return kind ? kind->dtype : std::nullopt;
}

size_t safetensors_rank_of(DType dtype) {
  return size_t(
      std::find_if(kKinds.begin(), kKinds.end(), [&](const Kind& kind) { return kind.dtype == dtype; }) -
      kKinds.begin());
}

std::string_view safetensors_name_of(DType dtype) { return kKinds[safetensors_rank_of(dtype)].name; }

}  // namespace dehvf
