// Signal handling for commands that end cleanly.
#include "Interrupt.h"

#include "Signals.h"

#include <csignal>

namespace tnrt {
namespace {

volatile std::sig_atomic_t flag = 0;
struct sigaction previousInt, previousTerm, previousHangup;

void onSignal(int signal) {
  if (flag != 0) // a second one ends the process
    endBySignal(signal);
  flag = signal;
}

} // namespace

InterruptScope::InterruptScope() {
  flag = 0;
  struct sigaction action{};
  action.sa_handler = onSignal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, &previousInt);
  sigaction(SIGTERM, &action, &previousTerm);
  sigaction(SIGHUP, nullptr, &previousHangup);
  if (previousHangup.sa_handler != SIG_IGN)
    sigaction(SIGHUP, &action, nullptr);
}

InterruptScope::~InterruptScope() {
  sigaction(SIGINT, &previousInt, nullptr);
  sigaction(SIGTERM, &previousTerm, nullptr);
  sigaction(SIGHUP, &previousHangup, nullptr);
}

bool interrupted() { return flag != 0; }
int interruptCode() { return 128 + flag; }

} // namespace tnrt
