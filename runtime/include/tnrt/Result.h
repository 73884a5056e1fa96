// A value or an error message: how every fallible function of the runtime
// reports. No exceptions cross an interface, because the compiler, which shares
// the file formats, is built without them.
#ifndef TNRT_RESULT_H
#define TNRT_RESULT_H

#include <string>
#include <utility>
#include <variant>

namespace tnrt {

// What is wrong, where, and what was expected, as one line without a full stop.
struct Error {
  std::string message;
};

template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : storage(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : storage(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return storage.index() == 0; }
  T &operator*() { return std::get<0>(storage); }
  const T &operator*() const { return std::get<0>(storage); }
  T *operator->() { return &std::get<0>(storage); }
  const T *operator->() const { return &std::get<0>(storage); }
  const std::string &message() const { return std::get<1>(storage).message; }
  Error takeError() { return std::move(std::get<1>(storage)); }

private:
  std::variant<T, Error> storage;
};

// Success, or an error.
class [[nodiscard]] Status {
public:
  Status() = default;
  Status(Error error) : failed(true), error(std::move(error)) {}

  explicit operator bool() const { return !failed; }
  const std::string &message() const { return error.message; }
  Error takeError() { return std::move(error); }

private:
  bool failed = false;
  Error error;
};

} // namespace tnrt

#endif // TNRT_RESULT_H
