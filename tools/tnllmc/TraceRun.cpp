// Runs a traced executable.
#include "TraceRun.h"

#include "tnllm/Spec/Printable.h"
#include "tnrt/formats/Safetensors.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"

#include <random>
#include <vector>

using namespace llvm;
using tnllm::printable;

namespace tnllmc {
namespace {

// A chunk of the attention and the beginning of the next.
constexpr int64_t defaultLength = 70;

std::string inFolder(const TraceRun &run, StringRef name) {
  SmallString<128> path(run.directory);
  sys::path::append(path, name);
  return std::string(path);
}

Error fromStatus(const tnrt::Status &status) {
  return status ? Error::success()
                : createStringError(printable(status.message()));
}

// One sequence of tokens, the same for each model of a vocabulary.
Error writeDefaultInput(const std::string &path, int64_t vocabSize) {
  std::mt19937_64 random(0);
  std::vector<int32_t> tokens(defaultLength);
  for (int32_t &token : tokens)
    token = static_cast<int32_t>(random() % static_cast<uint64_t>(vocabSize));
  auto file = tnrt::SafetensorsWriter::create(
      path, {{"input_ids", tnrt::DType::I32, {1, defaultLength}}});
  if (!file)
    return createStringError(printable(file.message()));
  if (Error error = fromStatus(
          file->write(tokens.data(), tokens.size() * sizeof tokens[0])))
    return error;
  return fromStatus(file->commit());
}

Error placeInput(const TraceRun &run, const std::string &path) {
  if (run.input.empty())
    return writeDefaultInput(path, run.vocabSize);
  if (sys::fs::equivalent(run.input, path))
    return Error::success();
  if (std::error_code code = sys::fs::copy_file(run.input, path))
    return createStringError("--trace-input: cannot copy " +
                             printable(run.input) + " to " + printable(path) +
                             ": " + code.message());
  return Error::success();
}

} // namespace

Error runTrace(const TraceRun &run) {
  std::string input = inFolder(run, traceInputName);
  std::string output = inFolder(run, traceFileName);
  if (Error error = placeInput(run, input))
    return error;
  SmallString<128> program(run.executable);
  if (std::error_code code = sys::fs::make_absolute(program))
    return createStringError("cannot run " + printable(run.executable) + ": " +
                             code.message());
  StringRef arguments[] = {program, "run",      "--quiet", "--input",
                           input,   "--output", output};
  std::string reason;
  int status = sys::ExecuteAndWait(program, arguments, /*Env=*/std::nullopt,
                                   /*Redirects=*/{}, /*SecondsToWait=*/0,
                                   /*MemoryLimit=*/0, &reason);
  if (status == 0)
    return Error::success();
  return createStringError("--trace-tensors: the run of " +
                           printable(run.executable) + " failed" +
                           (reason.empty() ? "" : ": " + printable(reason)));
}

} // namespace tnllmc
