#include "core/io/file.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"

namespace dehvf {
namespace {

[[noreturn]] void fail_io(const char* action, const std::filesystem::path& path) {
  const int code = errno;
  fail<IoError>(path.string(), ": cannot ", action, ": ", std::strerror(code));
}

struct Descriptor {
  int value;
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
};

// Length of the UTF-8 sequence at `text`, 0 when it is invalid.
size_t utf8_length(std::string_view text) {
  const auto lead = uint8_t(text[0]);
  const size_t length = lead < 0x80                   ? 1
                        : lead >= 0xc2 && lead < 0xe0 ? 2
                        : lead >= 0xe0 && lead < 0xf0 ? 3
                        : lead >= 0xf0 && lead < 0xf5 ? 4
                                                      : 0;
  if (length == 0 || length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((uint8_t(text[i]) & 0xc0) != 0x80) return 0;
  return length;
}

}  // namespace

std::string read_file(const std::filesystem::path& path, uint64_t max_bytes) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.value < 0) fail_io("open", path);
  struct stat info {};
  if (::fstat(file.value, &info) != 0) fail_io("inspect", path);
  require<IoError>(S_ISREG(info.st_mode), path.string(), ": wanted a regular file");
  require<IoError>(uint64_t(info.st_size) <= max_bytes, path.string(), ": has ", info.st_size,
                   " bytes, wanted at most ", max_bytes);
  std::string bytes(size_t(info.st_size), '\0');
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t got = ::read(file.value, bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_io("read", path);
    require<IoError>(got > 0, path.string(), ": became shorter while it was read");
    done += size_t(got);
  }
  return bytes;
}

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  std::string name = path_.string() + ".tmp.XXXXXX";
  descriptor_ = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor_ < 0) fail_io("create", path_);
  temporary_ = name;
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ::fchmod(descriptor_, 0666 & ~mask);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    const ssize_t put = ::write(descriptor_, static_cast<const char*>(data) + done, bytes - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail_io("write", path_);
    done += size_t(put);
  }
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) fail_io("flush", path_);
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (closed != 0) fail_io("close", path_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_io("rename a temporary file to it", path_);
  temporary_.clear();
  const auto folder = path_.has_parent_path() ? path_.parent_path() : std::filesystem::path(".");
  const Descriptor directory{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (directory.value < 0 || ::fsync(directory.value) != 0) fail_io("flush the folder of", path_);
}

void write_file(const std::filesystem::path& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

std::string printable(std::string_view text, size_t limit) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  while (!text.empty()) {
    if (out.size() >= limit) return out + "...";
    const size_t length = utf8_length(text);
    const auto lead = uint8_t(text[0]);
    // C1 control characters (U+0080 to U+009F) move a terminal's cursor too.
    const bool control =
        lead < 0x20 || lead == 0x7f || (lead == 0xc2 && length == 2 && uint8_t(text[1]) < 0xa0);
    if (length == 0 || control) {
      out += {'\\', 'x', kHex[lead >> 4], kHex[lead & 15]};
      text.remove_prefix(1);
      if (control && length == 2)
        out += {'\\', 'x', kHex[uint8_t(text[0]) >> 4], kHex[uint8_t(text[0]) & 15]}, text.remove_prefix(1);
    } else {
      out += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return out;
}

}  // namespace dehvf
