// Signal dispositions of an executable.
#include "Signals.h"

#include "Environment.h"

#include "tnrt/formats/AtomicFile.h"

#include <csignal>
#include <cstddef>
#include <unistd.h>

namespace tnrt {
namespace {

// Composed beforehand: a handler may only make system calls.
char busMessage[1024];
size_t busMessageBytes = 0;

void onBusError(int signal, siginfo_t *info, void *) {
  if (info->si_code != BUS_ADRERR) { // not a page without a file behind it
    endBySignal(signal);
    return;
  }
  removeTemporaryFiles();
  // Nothing can be done about a failure to say it.
  ssize_t written = ::write(2, busMessage, busMessageBytes);
  (void)written;
  ::_exit(kBadInput);
}

void endUnlessIgnored(int signal) {
  struct sigaction before;
  if (sigaction(signal, nullptr, &before) == 0 && before.sa_handler == SIG_DFL)
    std::signal(signal, endBySignal);
}

} // namespace

// The signal waits until its handler has returned.
void endBySignal(int signal) {
  removeTemporaryFiles();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void handleSignals(const std::string &program) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  std::string message =
      program.substr(0, 512) +
      ": a mapped file was truncated or could not be read while in use; "
      "expected the weights and inputs to stay as they are until the end\n";
  busMessageBytes = message.copy(busMessage, sizeof busMessage);
  struct sigaction action{};
  action.sa_sigaction = onBusError;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, nullptr);
  for (int signal : {SIGINT, SIGTERM, SIGHUP})
    endUnlessIgnored(signal);
}

} // namespace tnrt
