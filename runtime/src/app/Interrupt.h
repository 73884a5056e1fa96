// Ctrl-C: the first one asks for an orderly end, the second one kills.
#ifndef TNRT_APP_INTERRUPT_H
#define TNRT_APP_INTERRUPT_H

namespace tnrt {

// While it lives, SIGINT, SIGTERM and SIGHUP set a flag (SIGHUP unless it is
// ignored, as nohup has it); afterwards they act as before.
class InterruptScope {
public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope &) = delete;
  InterruptScope &operator=(const InterruptScope &) = delete;
};

bool interrupted();
// The exit code that goes with the signal: 128 + its number.
int interruptCode();

} // namespace tnrt

#endif // TNRT_APP_INTERRUPT_H
