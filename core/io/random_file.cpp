#include "core/io/random_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"

namespace dehvf {

RandomFile::RandomFile(std::filesystem::path path) : path_(std::move(path)) {
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a FIFO must not block
  require<IoError>(descriptor >= 0, path_.string(), ": cannot open: ", std::strerror(errno));
  struct stat info {};
  const bool regular = ::fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode);
  if (!regular) ::close(descriptor);
  require<IoError>(regular, path_.string(), ": wanted a regular file");
  descriptor_ = descriptor;
  size_ = uint64_t(info.st_size);
}

RandomFile::~RandomFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

RandomFile::RandomFile(RandomFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_) {}

void RandomFile::read_at(uint64_t offset, void* out, size_t bytes) const {
  require<IoError>(offset <= size_ && bytes <= size_ - offset, path_.string(), ": wanted ", bytes,
                   " bytes at ", offset, ", found a file of ", size_, " bytes");
  for (size_t done = 0; done < bytes;) {
    const ssize_t got =
        ::pread(descriptor_, static_cast<char*>(out) + done, bytes - done, off_t(offset + done));
    if (got < 0 && errno == EINTR) continue;
    require<IoError>(got >= 0, path_.string(), ": cannot read: ", std::strerror(errno));
    require<IoError>(got > 0, path_.string(), ": became shorter while it was open");
    done += size_t(got);
  }
}

}  // namespace dehvf
