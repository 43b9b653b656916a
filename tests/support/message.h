// What a call says when it fails, for tests of error messages.
#pragma once

#include <exception>
#include <string>

namespace dehvf {

/// The message of the E that `call` throws; a sentence that matches nothing when it returns or throws another
/// type.
template <class E, class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  } catch (const std::exception& error) {
    return std::string("(exception of another type: ") + error.what() + ")";
  }
  return "(no exception)";
}

}  // namespace dehvf
