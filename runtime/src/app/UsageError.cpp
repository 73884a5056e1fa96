// CLI11's errors in words. They carry an option's name only as the beginning of
// their text, so that is where it is taken from.
#include "UsageError.h"

#include "Utf8.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace tnrt {
namespace {

std::string inQuotes(const std::string &text) {
  return "\"" + escapeForLine(text) + "\"";
}

// "info, generate or score"
std::string commandList(const CLI::App &app) {
  auto commands = app.get_subcommands([](const CLI::App *) { return true; });
  std::string list;
  for (size_t i = 0; i < commands.size(); ++i) {
    if (i > 0)
      list += i + 1 == commands.size() ? " or " : ", ";
    list += commands[i]->get_name();
  }
  return list;
}

// The option that `message` is about: its name, then `end`.
const CLI::Option *findOption(const CLI::App &app, const std::string &message,
                              const std::string &end) {
  std::string name = message.substr(0, message.find(end));
  for (const CLI::App *command : app.get_subcommands())
    if (const CLI::Option *option = command->get_option_no_throw(name))
      return option;
  return app.get_option_no_throw(name);
}

std::string valueText(const CLI::Option &option) {
  std::string type = option.get_type_name();
  if (type == "INT")
    return "an integer";
  if (type == "FLOAT")
    return "a number";
  if (type == "FILE")
    return "a file name";
  if (type == "PATH")
    return "a path";
  if (type == "PART")
    return "logits, hidden or state";
  return "a text";
}

std::string explainMissing(const CLI::App &app, const std::string &message) {
  if (message.rfind("A subcommand", 0) == 0)
    return "no command given: expected " + commandList(app);
  const CLI::Option *option = findOption(app, message, " is required");
  if (!option)
    return message;
  std::string name = option->get_positional()
                         ? option->get_type_name()
                         : option->get_name() + " " + option->get_type_name();
  return name + " is missing: expected " + option->get_description();
}

std::string explainCount(const CLI::App &app, const std::string &message) {
  const CLI::Option *option = findOption(app, message, ": ");
  if (!option)
    return message;
  const std::string &name = option->get_name();
  const std::string received = "received ";
  size_t at = message.find(received);
  if (at == std::string::npos)
    return name + " has no value: expected " + valueText(*option);
  return name + " is given " + message.substr(at + received.size()) +
         " times: expected once";
}

std::string explainConversion(const CLI::App &app, const std::string &message) {
  const std::string begin = "Could not convert: ", equals = " = ";
  if (message.rfind(begin, 0) != 0)
    return message;
  std::string rest = message.substr(begin.size());
  const CLI::Option *option = findOption(app, rest, equals);
  if (!option)
    return message;
  std::string found =
      ", found " + inQuotes(rest.substr(rest.find(equals) + equals.size()));
  bool isFlag = option->get_expected_max() == 0;
  return option->get_name() + ": expected " +
         (isFlag ? "no value" : valueText(*option)) + found;
}

std::string explainExtra(const CLI::App &app) {
  auto rest = app.remaining(/*recurse=*/true);
  std::string first = rest.empty() ? "" : rest.front();
  bool isOption = first.size() > 1 && first[0] == '-';
  if (isOption)
    return "unknown option " + inQuotes(first);
  if (app.get_subcommands().empty())
    return "unknown command " + inQuotes(first) + ": expected " +
           commandList(app);
  return "unexpected argument " + inQuotes(first);
}

std::string onOneLine(std::string message) {
  for (char &c : message)
    if (c == '\n')
      c = ' ';
  return message;
}

} // namespace

std::string explainUsage(const CLI::App &app, const CLI::ParseError &error) {
  std::string message = error.what();
  bool hasRest = !app.remaining(/*recurse=*/true).empty();
  bool isMissing = dynamic_cast<const CLI::RequiredError *>(&error) != nullptr;
  // A command or an option that is mistyped is more than that it is missing.
  if (dynamic_cast<const CLI::ExtrasError *>(&error) ||
      (isMissing && hasRest && app.get_subcommands().empty()))
    return explainExtra(app);
  if (isMissing)
    return onOneLine(explainMissing(app, message));
  if (dynamic_cast<const CLI::ArgumentMismatch *>(&error))
    return onOneLine(explainCount(app, message));
  if (dynamic_cast<const CLI::ConversionError *>(&error))
    return onOneLine(explainConversion(app, message));
  return onOneLine(message);
}

} // namespace tnrt
