// Validators on CLI11's terms: an empty text means that the value is fine.
#include "Validators.h"

#include "Utf8.h"

#include <algorithm>

namespace tnrt {
namespace {

std::string found(const std::string &text) {
  return ", found \"" + escapeForLine(text) + "\"";
}

// A value of type T in [low, high]; CLI11's own Range lets NaN pass, and its
// conversion comes after the checks, with a message of less use.
template <typename T> CLI::Validator valueIn(T low, T high, std::string name) {
  auto check = [=](std::string &text) -> std::string {
    T value = 0;
    bool isNumber = CLI::detail::lexical_cast(text, value);
    if (isNumber && value >= low && value <= high)
      return {};
    return "expected " + name + found(text);
  };
  return CLI::Validator(check, "");
}

} // namespace

CLI::Validator numberIn(double low, double high, std::string name) {
  return valueIn<double>(low, high, std::move(name));
}

CLI::Validator integerIn(int64_t low, int64_t high) {
  return valueIn<int64_t>(low, high,
                          "an integer from " + std::to_string(low) + " to " +
                              std::to_string(high));
}

CLI::Validator countFrom(int64_t low) { return integerIn(low, kMany); }

CLI::Validator oneOf(std::vector<std::string> names) {
  auto check = [names](std::string &text) -> std::string {
    if (std::find(names.begin(), names.end(), text) != names.end())
      return {};
    std::string list;
    for (size_t i = 0; i < names.size(); ++i) {
      if (i > 0)
        list += i + 1 == names.size() ? " or " : ", ";
      list += names[i];
    }
    return "expected " + list + found(text);
  };
  return CLI::Validator(check, "");
}

CLI::Option *addList(CLI::App &app, const std::string &name,
                     std::vector<std::string> &values,
                     const std::string &help) {
  CLI::callback_t store = [&values](const CLI::results_t &results) {
    values = results;
    return true;
  };
  return app.add_option(name, store, help)
      ->type_name("TEXT")
      ->type_size(1)
      ->expected(1, CLI::detail::expected_max_vector_size)
      ->allow_extra_args(false);
}

CLI::Option *addText(CLI::App &app, const std::string &name,
                     std::optional<std::string> &value,
                     const std::string &help) {
  CLI::callback_t store = [&value](const CLI::results_t &results) {
    value = results.back();
    return true;
  };
  return app.add_option(name, store, help)
      ->type_name("TEXT")
      ->type_size(1)
      ->expected(1);
}

} // namespace tnrt
