// Signals that would end the program without a word, or without tidying up.
#ifndef TNRT_APP_SIGNALS_H
#define TNRT_APP_SIGNALS_H

#include <string>

namespace tnrt {

// For the life of the process. SIGPIPE and SIGXFSZ are ignored, so that the
// write fails instead (EPIPE, EFBIG) and its error is reported like any other.
// SIGBUS from a mapped page that cannot be read (the file was truncated, or its
// disk fails) ends with one line that begins with `program`, and exit code 2.
// SIGINT, SIGTERM and SIGHUP end the process as ever, unless they are ignored.
// All that end it take the temporaries of unfinished output files away first.
void handleSignals(const std::string &program);

// What SIGINT does by default, for handlers: removes the temporaries and ends
// the process by `signal`.
void endBySignal(int signal);

} // namespace tnrt

#endif // TNRT_APP_SIGNALS_H
