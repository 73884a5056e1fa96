// The command line of an executable that tnllmc emits.
#ifndef TNRT_APP_APP_H
#define TNRT_APP_APP_H

struct tnrt_module;

namespace tnrt {

// Parses the arguments and runs one command of `module`. Returns the exit code:
// 0 done, 1 an internal failure, 2 bad input or usage (one line on stderr), 128
// and the number of the signal that ended it, 141 where the reader of standard
// output has gone.
int runApp(int argc, const char *const *argv, const tnrt_module &module);

} // namespace tnrt

#endif // TNRT_APP_APP_H
