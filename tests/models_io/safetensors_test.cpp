#include "models/safetensors.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/file.h"
#include "support/message.h"
#include "support/temporary_folder.h"

namespace dehvf {
namespace {

using testing::HasSubstr;

// A file of the given header, followed by `data_bytes` bytes that count up.
std::string file_of(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string bytes(reinterpret_cast<const char*>(&length), 8);
  bytes += header;
  for (size_t i = 0; i < data_bytes; ++i) bytes += char(i * 7 + 1);
  return bytes;
}

std::string header_error(const std::string& header, uint64_t data_bytes) {
  return message_of<IoError>([&] { parse_safetensors_header(header, data_bytes, "f"); });
}

Tensor random_bytes(const Shape& shape, DType dtype, std::mt19937& random) {
  Tensor tensor(shape, dtype);
  for (size_t i = 0; i < tensor.bytes(); ++i)
    static_cast<unsigned char*>(tensor.raw())[i] = uint8_t(random());
  return tensor;
}

bool same(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

NamedTensors mixed_tensors(std::mt19937& random) {
  return {{"a.scalar", random_bytes({}, DType::f32, random)},
          {"z", random_bytes({3, 5}, DType::f16, random)},
          {"b \"quoted\" \xc3\xa9", random_bytes({7}, DType::u8, random)},
          {"empty", random_bytes({4, 0, 2}, DType::f32, random)},
          {"five", random_bytes({1, 2, 1, 3, 1}, DType::bf16, random)},
          {"i", random_bytes({2}, DType::i64, random)},
          {"j", random_bytes({3}, DType::i32, random)},
          {"d", random_bytes({2, 2}, DType::f64, random)},
          {"q", random_bytes({5}, DType::f8e4m3, random)},
          {"also empty", random_bytes({0}, DType::f16, random)}};
}

TEST(Safetensors, RoundTripKeepsEveryDtypeAndOrder) {
  std::mt19937 random(1);
  const TemporaryFolder folder;
  const auto tensors = mixed_tensors(random);
  write_safetensors(folder / "t.safetensors", tensors, {{"format", "pt"}, {"k\n", "v"}});
  const SafetensorsFile file(folder / "t.safetensors");
  EXPECT_EQ(file.tensors().size(), tensors.size());
  EXPECT_THAT(file.metadata(),
              testing::ElementsAre(testing::Pair("format", "pt"), testing::Pair("k\n", "v")));
  for (const auto& [name, tensor] : tensors) EXPECT_TRUE(same(file.load(name), tensor)) << name;
  EXPECT_THAT(file.names(), testing::ElementsAre("i", "d", "a.scalar", "empty", "j", "five", "also empty",
                                                 "z", "q", "b \"quoted\" \xc3\xa9"));
  EXPECT_EQ((read_file(folder / "t.safetensors").size() - 8 - 16 - 32 - 4 - 12 - 12 - 30 - 5 - 7) % 8, 0u);
  EXPECT_FALSE(file.contains("absent"));
  EXPECT_THAT(message_of<IoError>([&] { file.load("absent"); }), HasSubstr("has no tensor 'absent'"));
}

TEST(Safetensors, RewritingAFileOfTheOfficialWriterGivesItsBytes) {
  const std::filesystem::path golden = DEHVF_SOURCE_DIR "/tests/golden";
  const TemporaryFolder folder;
  for (const char* name : {"llama/mha_f32_expected.safetensors", "llama/bf16/model.safetensors",
                           "clip/joint_f32/model.safetensors", "images/expected.safetensors"}) {
    const SafetensorsFile file(golden / name);
    NamedTensors tensors;
    for (const auto& info : file.tensors()) tensors.emplace_back(info.name, file.load(info.name));
    std::reverse(tensors.begin(), tensors.end());
    write_safetensors(folder / "again", tensors, file.metadata());
    EXPECT_EQ(read_file(folder / "again"), read_file(golden / name)) << name;
  }
}

TEST(Safetensors, FileOutlivesNothingItReturns) {
  std::mt19937 random(2);
  const TemporaryFolder folder;
  const auto tensors = mixed_tensors(random);
  write_safetensors(folder / "t.safetensors", tensors);
  std::optional<SafetensorsFile> first(folder / "t.safetensors");
  const SafetensorsFile moved(std::move(*first));
  first.reset();
  for (const auto& [name, tensor] : tensors) EXPECT_TRUE(same(moved.load(name), tensor)) << name;
  EXPECT_EQ(load_safetensors(folder / "t.safetensors").size(), tensors.size());
}

TEST(Safetensors, WriterRefusesWhatReadersWould) {
  const TemporaryFolder folder;
  const Tensor one = zeros({1});
  const auto attempt = [&](const NamedTensors& tensors) {
    return message_of<IoError>([&] { write_safetensors(folder / "t", tensors); });
  };
  EXPECT_THAT(attempt({{"a", one}, {"a", one}}), HasSubstr("given twice"));
  EXPECT_THAT(attempt({{"__metadata__", one}}), HasSubstr("__metadata__"));
  EXPECT_THAT(attempt({{"\xff", one}}), HasSubstr("not UTF-8"));
  EXPECT_THAT(attempt({{"a", Tensor()}}), HasSubstr("empty"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Safetensors, OtherWritersOrderAndAlignmentAreRead) {
  // Unsorted entries, a header that is no multiple of 8, an f32 at an odd offset, trailing spaces, a BOOL.
  const std::string header =
      R"({"w":{"shape":[2],"data_offsets":[3,11],"dtype":"F32"},"m":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}}   )";
  const TemporaryFolder folder;
  const std::string bytes = file_of(header, 11);
  spill(folder / "t", bytes);
  const SafetensorsFile file(folder / "t");
  EXPECT_THAT(file.names(), testing::ElementsAre("m", "w"));
  EXPECT_EQ(file.load("m").dtype(), DType::u8);
  EXPECT_EQ(std::memcmp(file.load("w").raw(), bytes.data() + 8 + header.size() + 3, 8), 0);
}

TEST(Safetensors, EveryBrokenRuleIsNamed) {
  const auto entry = [](const char* dtype, const char* shape, const char* offsets) {
    return concat(R"({"a":{"dtype":")", dtype, R"(","shape":)", shape, R"(,"data_offsets":)", offsets, "}}");
  };
  const std::string good = entry("F32", "[1]", "[0,4]");
  EXPECT_EQ(header_error(good, 4), "(no exception)");
  struct Case {
    std::string header;
    uint64_t bytes;
    const char* message;
  };
  const std::string two = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                          R"("b":{"dtype":"U8","shape":[4],"data_offsets":)";
  const Case cases[] = {
      {"", 0, "starts with '{'"},
      {" " + good, 4, "starts with '{'"},
      {"[]", 0, "starts with '{'"},
      {"{\"\xff\":1}", 0, "invalid header"},
      {"{\"a\":", 0, "invalid header"},
      {good + "x", 4, "invalid header"},
      {good + std::string(4, '\0'), 4, "invalid header"},
      {entry("F32", "[1]", "[4,8]"), 8, "hole"},
      {entry("F32", "[1]", "[4,0]"), 4, "hole"},
      {entry("F32", "[1]", "[0,8]"), 4, "pass the end"},
      {entry("F32", "[1]", "[0,4]"), 5, "cover 4 bytes of data, found 5"},
      {two + "[3,7]}}", 7, "overlap"},
      {two + "[5,9]}}", 9, "hole"},
      {entry("F32", "[2]", "[0,4]"), 4, "dtype and shape give 8 bytes, data_offsets 4"},
      {entry("F32", "[4294967296,4294967296]", "[0,0]"), 0, "64 bits"},
      {entry("F32", "[4294967296,4294967296,0]", "[0,0]"), 0, "64 bits"},
      {entry("F32", "[9223372036854775808,0]", "[0,0]"), 0, "overflows"},
      {entry("F32", "[99999999999999999999]", "[0,4]"), 4, "wanted whole numbers"},
      {entry("F4", "[3]", "[0,2]"), 2, "whole byte"},
      {entry("F32", "[-1]", "[0,4]"), 4, "wanted whole numbers"},
      {entry("F32", "[1.0]", "[0,4]"), 4, "wanted whole numbers"},
      {entry("F32", "[[1]]", "[0,4]"), 4, "found an array"},
      {entry("F32", "1", "[0,4]"), 4, "found 1"},
      {entry("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "more than 8 axes"},
      {entry("F32", "[1]", "[0]"), 4, "wanted two numbers"},
      {entry("F32", "[1]", "[0,4,4]"), 4, "found 4"},
      {entry("F32", "[1]", "{}"), 4, "found an object"},
      {R"({"a":{"dtype":"F32","shape":[1]}})", 4, "one is missing"},
      {R"({"a":{"dtype":1,"shape":[1],"data_offsets":[0,4]}})", 4, "a string as dtype"},
      {R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4, "'dtype' stands twice"},
      {R"({"a":{"dtype":"F32","stride":1}})", 4, "found key 'stride'"},
      {R"({"a":null})", 0, "found null"},
      {R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
       0, "'a' stands twice"},
      {R"({"__metadata__":{"a":1}})", 0, "__metadata__: wanted strings, found 1"},
      {R"({"__metadata__":{"a":{}}})", 0, "__metadata__: wanted strings"},
      {R"({"__metadata__":"a"})", 0, "__metadata__: wanted strings"},
      {R"({"__metadata__":{"a":"1","a":"2"}})", 0, "stands twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", 0, "stands twice"},
      {"{\"\\u001b[2J\":null}", 0, "\\x1b[2J"},
  };
  for (const auto& c : cases) EXPECT_THAT(header_error(c.header, c.bytes), HasSubstr(c.message)) << c.header;
}

TEST(Safetensors, LengthsBeyondTheFileAreRefusedBeforeAllocating) {
  const TemporaryFolder folder;
  const auto attempt = [&](const std::string& bytes) {
    spill(folder / "t", bytes);
    return message_of<IoError>([&] { SafetensorsFile(folder / "t"); });
  };
  EXPECT_THAT(attempt(""), HasSubstr("wanted at least 8 bytes"));
  EXPECT_THAT(attempt("1234567"), HasSubstr("found 7"));
  EXPECT_THAT(attempt(std::string(8, '\xff')), HasSubstr("claims a header of 18446744073709551615"));
  EXPECT_THAT(attempt(std::string("\x03\0\0\0\0\0\0\0{}", 10)), HasSubstr("claims a header of 3 bytes"));
  EXPECT_THAT(attempt(std::string(8, '\0')), HasSubstr("starts with '{'"));
  EXPECT_EQ(attempt(std::string("\x02\0\0\0\0\0\0\0{}", 10)), "(no exception)");
  EXPECT_THAT(message_of<IoError>([&] { SafetensorsFile(folder.path()); }), HasSubstr("regular file"));
  EXPECT_THAT(message_of<IoError>([&] { SafetensorsFile(folder / "absent"); }), HasSubstr("cannot open"));
}

TEST(Safetensors, UnloadableTensorsDoNotHideTheOthers) {
  const TemporaryFolder folder;
  spill(folder / "t", file_of(R"({"odd":{"dtype":"F3","shape":[7],"data_offsets":[0,3]},)"
                              R"("c":{"dtype":"C64","shape":[1],"data_offsets":[3,11]},)"
                              R"("deep":{"dtype":"U8","shape":[1,1,1,1,1,2],"data_offsets":[11,13]},)"
                              R"("ok":{"dtype":"U8","shape":[2],"data_offsets":[13,15]}})",
                              15));
  const SafetensorsFile file(folder / "t");
  EXPECT_EQ(file.load("ok").data<uint8_t>()[0], uint8_t(13 * 7 + 1));
  EXPECT_THAT(message_of<IoError>([&] { file.load("odd"); }), HasSubstr("elements of F3"));
  EXPECT_THAT(message_of<IoError>([&] { file.load("c"); }), HasSubstr("elements of C64"));
  EXPECT_THAT(message_of<IoError>([&] { file.load("deep"); }), HasSubstr("has 6 axes"));
}

TEST(Safetensors, FileCutWhileOpenIsAnError) {
  std::mt19937 random(3);
  const TemporaryFolder folder;
  write_safetensors(folder / "t", {{"a", random_bytes({9000}, DType::f32, random)}});
  const SafetensorsFile file(folder / "t");
  std::filesystem::resize_file(folder / "t", 5000);
  EXPECT_THAT(message_of<IoError>([&] { file.load("a"); }), HasSubstr("became shorter"));
}

TEST(Safetensors, AHundredThousandOverlappingEntriesAreRefused) {
  std::string header = "{";
  for (int i = 0; i < 100'000; ++i)
    header += concat(i ? "," : "", "\"t", i, R"(":{"dtype":"U8","shape":[1000],"data_offsets":[0,1000]})");
  EXPECT_THAT(header_error(header + "}", 1000), HasSubstr("overlap"));
}

TEST(Safetensors, MoreEntriesThanTheCapAreRefused) {
  std::string header = "{";
  for (size_t i = 0; i <= kSafetensorsEntryLimit; ++i)
    header += concat(i ? "," : "", "\"", i, R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})");
  EXPECT_THAT(header_error(header + "}", 0), HasSubstr("more than 1000000 tensors"));
}

// One of a file's bytes, bits, lengths or ends changed.
std::string damaged(std::string bytes, size_t header_end, std::mt19937& random) {
  const auto below = [&](size_t n) { return size_t(random()) % n; };
  switch (below(8)) {
    case 0:
      bytes.resize(below(bytes.size()));
      break;
    case 1:
      bytes.append(1 + below(9), char(random()));
      break;
    case 2:
      bytes[below(8)] = char(random());
      break;
    case 3:
      bytes[below(8)] ^= char(1 << below(8));
      break;
    case 4:
      bytes.erase(below(header_end), 1 + below(12));
      break;
    case 5:
      bytes.insert(below(header_end), 1, "0123456789[]{}\",: \0\xff"[below(20)]);
      break;
    case 6:
      bytes[8 + below(header_end - 8)] = "0123456789[]{}\",:eE-.\\"[below(22)];
      break;
    default:
      bytes[8 + below(header_end - 8)] = char(random());
  }
  return bytes;
}

// Whatever opens must hand out exactly the bytes behind the header, in order.
void expect_consistent(const SafetensorsFile& file, const std::string& bytes) {
  uint64_t length;
  std::memcpy(&length, bytes.data(), 8);
  std::string data;
  for (const auto& info : file.tensors()) {
    if (!dtype_of_safetensors(info.dtype) || info.shape.size() > size_t(Shape::kMaxRank)) {
      EXPECT_THROW(file.load(info.name), IoError);
      data.resize(data.size() + info.end - info.begin);
      file.read_bytes(info, 0, std::as_writable_bytes(std::span(data).last(info.end - info.begin)));
    } else {
      const Tensor tensor = file.load(info.name);
      data.append(static_cast<const char*>(tensor.raw()), tensor.bytes());
    }
  }
  EXPECT_EQ(data, bytes.substr(8 + length));
}

TEST(Safetensors, TenThousandDamagedFilesThrowOrLoadEqual) {
  std::mt19937 random(4);
  const TemporaryFolder folder;
  write_safetensors(folder / "good", mixed_tensors(random), {{"format", "pt"}});
  const std::string good = read_file(folder / "good");
  uint64_t length;
  std::memcpy(&length, good.data(), 8);
  int opened = 0, refused = 0;
  const auto attempt = [&](const std::string& bytes) {
    spill(folder / "bad", bytes);
    try {
      expect_consistent(SafetensorsFile(folder / "bad"), bytes);
      ++opened;
    } catch (const IoError& error) {
      EXPECT_THAT(error.what(), HasSubstr("bad"));
      ++refused;
    }
  };
  for (size_t end = 0; end < good.size(); ++end) attempt(good.substr(0, end));
  EXPECT_EQ(opened, 0) << "a truncated file was accepted";
  while (opened + refused < 10'000) attempt(damaged(good, 8 + length, random));
  EXPECT_GT(opened, 100);
  EXPECT_GT(refused, 7000);
}

}  // namespace
}  // namespace dehvf
