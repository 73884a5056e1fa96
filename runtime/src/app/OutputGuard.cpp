// Compares files by device and inode.
#include "OutputGuard.h"

#include "Environment.h"

#include "tnrt/formats/Safetensors.h"

#include <sys/stat.h>

namespace tnrt {
namespace {

bool isSame(const struct stat &output, const std::string &path) {
  struct stat info;
  if (path.empty())
    return false;
  if ((path == "-" ? ::fstat(0, &info) : ::stat(path.c_str(), &info)) != 0)
    return false;
  return info.st_dev == output.st_dev && info.st_ino == output.st_ino;
}

} // namespace

Status checkOutput(const Environment &environment, const std::string &option,
                   const std::string &output, std::vector<InputFile> inputs) {
  struct stat info;
  // What is not there yet, or no file at all, cannot hide an input.
  if (::stat(output.c_str(), &info) != 0 || !S_ISREG(info.st_mode))
    return {};
  inputs.push_back({"/proc/self/exe", "this executable"});
  const Manifest &manifest = environment.manifest;
  inputs.push_back({manifest.tokenizer.path, "the tokenizer"});
  std::string weights = environment.options.weightsPath;
  if (weights.empty() && manifest.weights.kind == Manifest::Weights::Kind::Link)
    weights = manifest.weights.path;
  if (!weights.empty()) {
    // A folder names its files only when it is opened.
    auto checkpoint = Checkpoint::open(weights);
    if (!checkpoint)
      return checkpoint.takeError();
    inputs.push_back({weights + "/tokenizer.model", "the tokenizer"});
    for (std::string &file : checkpoint->files())
      inputs.push_back({std::move(file), "a file of the weights"});
  }
  for (const InputFile &input : inputs)
    if (isSame(info, input.path))
      return Error{option + ": " + output + " is " + input.role +
                   ", which the result would replace: expected another file"};
  return {};
}

} // namespace tnrt
