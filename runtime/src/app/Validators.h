// Checks of option values, with one clear line each, and options that take
// texts as they are.
#ifndef TNRT_APP_VALIDATORS_H
#define TNRT_APP_VALIDATORS_H

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tnrt {

// More than anyone counts to: the upper end of counts.
constexpr int64_t kMany = 1000000000;

// "expected NAME, found ..." for what is no number from `low` to `high`.
CLI::Validator numberIn(double low, double high, std::string name);
CLI::Validator integerIn(int64_t low, int64_t high);
CLI::Validator countFrom(int64_t low); // up to kMany
CLI::Validator oneOf(std::vector<std::string> names);

// An option that may be given several times, one value each. The raw values are
// taken: CLI11's conversion gives "{}" and brackets a meaning of its own.
CLI::Option *addList(CLI::App &app, const std::string &name,
                     std::vector<std::string> &values, const std::string &help);
// The same for one text.
CLI::Option *addText(CLI::App &app, const std::string &name,
                     std::optional<std::string> &value,
                     const std::string &help);

} // namespace tnrt

#endif // TNRT_APP_VALIDATORS_H
