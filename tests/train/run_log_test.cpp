#include "train/run_log.h"

#include <cmath>
#include <cstring>

#include <gmock/gmock.h>

#include "core/io/file.h"
#include "support/message.h"
#include "support/temporary_folder.h"

namespace dehvf {
namespace {

using testing::HasSubstr;

TEST(EventFile, ChecksumIsCastagnoliMasked) {
  // The check value of CRC-32C is e3069283; rotated right by 15 and with the constant added.
  EXPECT_EQ(masked_crc32c("123456789"), ((0xe3069283u >> 15) | (0xe3069283u << 17)) + 0xa282ead8u);
  EXPECT_EQ(masked_crc32c(""), 0xa282ead8u);
}

// Payloads of a record file; a checksum that does not match ends the test.
std::vector<std::string> records(const std::string& bytes) {
  std::vector<std::string> payloads;
  for (size_t at = 0; at < bytes.size();) {
    uint64_t length = 0;
    uint32_t length_crc = 0, crc = 0;
    std::memcpy(&length, &bytes[at], 8);
    std::memcpy(&length_crc, &bytes[at + 8], 4);
    EXPECT_EQ(length_crc, masked_crc32c(bytes.substr(at, 8)));
    payloads.push_back(bytes.substr(at + 12, length));
    std::memcpy(&crc, &bytes[at + 12 + length], 4);
    EXPECT_EQ(crc, masked_crc32c(payloads.back()));
    at += 16 + length;
  }
  return payloads;
}

// Byte for byte what `protoc --encode` makes of the same event.
TEST(EventFile, HoldsAVersionAndTheScalars) {
  const TemporaryFolder folder;
  EventFile file(folder.path(), 2.0);
  file.add(300, 1.0, {{"loss", 1.5}, {"lr", 0.25}});
  const auto payloads = records(read_file(file.path()));
  ASSERT_EQ(payloads.size(), 2u);
  const std::string two("\x09\0\0\0\0\0\0\0\x40", 9), one("\x09\0\0\0\0\0\0\xf0\x3f", 9);
  EXPECT_EQ(payloads[0], two + "\x1a\x0d" + "brain.Event:2");
  const std::string loss("\x0a\x0b\x0a\x04loss\x15\0\0\xc0\x3f", 13);
  const std::string lr("\x0a\x09\x0a\x02lr\x15\0\0\x80\x3e", 11);
  EXPECT_EQ(payloads[1], one + "\x10\xac\x02" + "\x2a\x18" + loss + lr);
  EXPECT_THAT(file.path().filename().string(), HasSubstr("tfevents"));
  EXPECT_NE(EventFile(folder.path(), 2.0).path(), file.path());  // the same second
}

TEST(RunLog, WritesWhatIsNotFiniteAsNull) {
  const TemporaryFolder folder;
  {
    RunLog log(folder / "log");
    log.begin(0);
    log.scalars(3, {{"loss", NAN}, {"lr", 0.5}});
    log.note(4, "a\nline \xff");
  }
  EXPECT_EQ(read_file(folder / "log" / "log.jsonl"),
            "{\"loss\":null,\"lr\":0.5,\"step\":3}\n{\"note\":\"a\\nline \xef\xbf\xbd\",\"step\":4}\n");
}

TEST(RunLog, WithoutAFolderItIsSilentAndAFileInTheWayIsAnError) {
  RunLog silent;
  silent.begin(0);
  silent.scalars(1, {{"loss", 1}});
  const TemporaryFolder folder;
  write_file(folder / "file", "x");
  RunLog blocked(folder / "file");
  EXPECT_THAT(message_of<IoError>([&] { blocked.begin(0); }), HasSubstr("file"));
}

}  // namespace
}  // namespace dehvf
