// Ctrl-C: the first one asks for an orderly end, the second one kills.
#ifndef TNRT_APP_INTERRUPT_H
#define TNRT_APP_INTERRUPT_H

namespace tnrt {

// While it lives, SIGINT and SIGTERM set a flag; afterwards they act as before.
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
