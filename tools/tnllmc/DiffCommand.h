// tnllmc diff: which tensor of two traces is the first to differ?
#ifndef TNLLMC_DIFFCOMMAND_H
#define TNLLMC_DIFFCOMMAND_H

namespace tnllmc {

// True where the arguments ask for this command; a model of that name is
// ./diff.
bool isDiffCommand(int argc, char **argv);

// Returns the exit status: 0 nothing differs, 1 something does, 2 bad input,
// said in one line.
int runDiffCommand(int argc, char **argv);

} // namespace tnllmc

#endif // TNLLMC_DIFFCOMMAND_H
