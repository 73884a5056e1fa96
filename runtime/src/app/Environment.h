// What the commands of an executable share.
#ifndef TNRT_APP_ENVIRONMENT_H
#define TNRT_APP_ENVIRONMENT_H

#include "Files.h"
#include "Tokenizer.h"

#include "core/Session.h"
#include "tnrt/abi.h"
#include "train/TrainBackend.h"

#include <memory>
#include <optional>
#include <string>

namespace tnrt {

// Exit codes. An interrupted command adds 128 + its signal (Interrupt.h); a
// closed pipe ends like the signal that would have come: 128 + 13.
enum ExitCode { kOk = 0, kInternal = 1, kBadInput = 2, kClosedPipe = 141 };

struct CommonOptions {
  int threads = 0;           // 0: one per available core
  std::optional<int> device; // of GPU programs; the first one by default
  std::string weightsPath;
  // Changes nothing: no CPU kernel has a faster form that lacks the property.
  bool deterministic = false;
  bool quiet = false;
};

// The bytes of a tokenizer.model and where they are from, for messages.
struct TokenizerFile {
  std::string bytes, origin;
};

struct Environment {
  const tnrt_module &module;
  Manifest manifest;
  CommonOptions options;
  Output out;

  // Of a GPU program, with memory for `batch` sequences.
  Result<std::unique_ptr<Model>> loadModel(int64_t batch) const;
  // Of a training program.
  Result<std::unique_ptr<TrainBackend>> loadTrainBackend() const;
  // From the payload of this executable, the path in the manifest, or
  // `tokenizer.model` beside --weights; bytes where the manifest says so.
  Result<std::unique_ptr<Tokenizer>> loadTokenizer() const;
  // The file that loadTokenizer() reads; nothing where there are only bytes.
  Result<std::optional<TokenizerFile>> readTokenizer() const;
  // Prints to stderr unless --quiet.
  void note(const std::string &line) const;
  // Ids of a text as the model expects them: with bos when the model adds it.
  Result<std::vector<int32_t>> encode(const Tokenizer &tokenizer,
                                      const std::string &text) const;
  // Beginning of an empty text: bos, or -1 where the model has none.
  int32_t bosToken(const Tokenizer &tokenizer) const;
};

} // namespace tnrt

#endif // TNRT_APP_ENVIRONMENT_H
