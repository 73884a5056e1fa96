// Keeps an output from replacing what the program reads or is.
#ifndef TNRT_APP_OUTPUTGUARD_H
#define TNRT_APP_OUTPUTGUARD_H

#include "tnrt/Result.h"

#include <string>
#include <vector>

namespace tnrt {

struct Environment;

struct InputFile {
  std::string path; // "-" is standard input; empty: none
  std::string role; // "the input", as in "... is the input: ..."
};

// Errors: `output`, the value of `option`, is the same file (device and inode,
// links followed) as one of `inputs`, this executable, its tokenizer, or a file
// of the linked weights; the weights cannot be opened.
Status checkOutput(const Environment &environment, const std::string &option,
                   const std::string &output, std::vector<InputFile> inputs);

} // namespace tnrt

#endif // TNRT_APP_OUTPUTGUARD_H
