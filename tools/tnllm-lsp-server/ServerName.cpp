// Hands on what the server writes, with another name in its first message.
#include "ServerName.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace llvm;

// Writes all of it to standard output; false when nobody reads there.
static bool writeAll(StringRef text) {
  while (!text.empty()) {
    ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno != EINTR)
      return false;
    text = text.drop_front(written < 0 ? 0 : static_cast<size_t>(written));
  }
  return true;
}

// Appends what comes next; false at the end.
static bool readMore(int from, std::string &text) {
  char buffer[65536];
  ssize_t size;
  while ((size = read(from, buffer, sizeof(buffer))) < 0 && errno == EINTR)
    ;
  if (size > 0)
    text.append(buffer, static_cast<size_t>(size));
  return size > 0;
}

// The body of a message with the name in it; as it was where it has no place
// for one.
static std::string named(StringRef body, StringRef name, StringRef version) {
  Expected<json::Value> message = json::parse(body);
  if (!message) {
    consumeError(message.takeError());
    return body.str();
  }
  json::Object *object = message->getAsObject();
  json::Object *result = object ? object->getObject("result") : nullptr;
  if (!result || !result->get("serverInfo"))
    return body.str();
  (*result)["serverInfo"] = json::Object{{"name", name}, {"version", version}};
  return formatv("{0}", *message).str();
}

// Hands on the first message: a header of lines, an empty one, the body.
static bool relayFirst(int from, StringRef name, StringRef version) {
  constexpr StringLiteral field = "Content-Length: ", end = "\r\n\r\n";
  std::string text;
  size_t header = 0, length = 0;
  do {
    header = StringRef(text).find(end);
    StringRef start = StringRef(text).take_front(field.size());
    if (start != field.take_front(start.size()))
      return writeAll(text); // no message: --help, for instance
    if (header == StringRef::npos)
      continue;
    StringRef digits = StringRef(text).substr(field.size()).split("\r\n").first;
    if (digits.getAsInteger(10, length))
      return writeAll(text);
    header += end.size();
    if (text.size() - header < length)
      continue;
    StringRef body = StringRef(text).substr(header, length);
    std::string mine = named(body, name, version);
    return writeAll(formatv("Content-Length: {0}\r\n\r\n", mine.size()).str()) &&
           writeAll(mine) &&
           writeAll(StringRef(text).drop_front(header + length));
  } while (readMore(from, text));
  return writeAll(text);
}

static void relay(int from, StringRef name, StringRef version) {
  bool isRead = relayFirst(from, name, version);
  for (std::string text; isRead && readMore(from, text); text.clear())
    isRead = writeAll(text);
}

void tnllm::answerAs(StringRef name, StringRef version) {
  int ends[2];
  if (pipe(ends) != 0)
    return;
  pid_t server = fork();
  if (server < 0) {
    close(ends[0]);
    close(ends[1]);
    return;
  }
  if (server == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    return;
  }
  close(ends[1]);
  signal(SIGPIPE, SIG_IGN);
  relay(ends[0], name, version);
  close(ends[0]); // the server learns that nobody reads
  int status = 0;
  while (waitpid(server, &status, 0) < 0 && errno == EINTR)
    ;
  std::exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}
