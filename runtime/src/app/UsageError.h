// One clear line for each mistake on the command line.
#ifndef TNRT_APP_USAGEERROR_H
#define TNRT_APP_USAGEERROR_H

#include <string>

namespace CLI {
class App;
class ParseError;
} // namespace CLI

namespace tnrt {

// What is wrong, what was given and what was expected, for `error` of parsing
// with `app`.
std::string explainUsage(const CLI::App &app, const CLI::ParseError &error);

} // namespace tnrt

#endif // TNRT_APP_USAGEERROR_H
