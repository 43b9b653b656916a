// A folder for files a test writes, removed with everything in it.
#pragma once

#include <filesystem>
#include <string>

#include <gtest/gtest.h>

namespace dehvf {

class Scratch {
 public:
  Scratch() {
    std::string name = testing::TempDir() + "dehvf_tokenizer_XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  ~Scratch() { std::filesystem::remove_all(path_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::filesystem::path operator/(const char* name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace dehvf
