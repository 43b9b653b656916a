// Exceptions of the library. Messages say operation, wanted, found, and the name or path concerned.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace dehvf {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct ShapeError : Error {
  using Error::Error;
};
struct DTypeError : Error {
  using Error::Error;
};
struct DeviceError : Error {
  using Error::Error;
};
struct IoError : Error {  // a file that is missing, damaged or not what it claims to be
  using Error::Error;
};
struct ConfigError : Error {  // a key, value or combination that the user can correct
  using Error::Error;
};

template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return std::move(out).str();
}

template <class E = Error, class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw E(concat(parts...));
}

/// Throws E with the concatenated parts unless `ok`; the message is formatted only then.
template <class E = ShapeError, class... Parts>
void require(bool ok, const Parts&... parts) {
  if (!ok) [[unlikely]]
    fail<E>(parts...);
}

}  // namespace dehvf
