// A generation on disk: states, positions and all that it takes to go on with
// exactly the tokens an uninterrupted run would have given.
//
// A safetensors file with metadata {"format": "tnllm-state-1", "fingerprint",
// "model", "sampler": JSON, "text": JSON} and, for B sequences,
//
// - state.<l>, F32 [B, H, Dk, Dv]: right before the pending tokens
// - position, I64 [B]
// - pending, I32 [B, P]: -1 past a row's end
// - recent, I32 [B, R]: for the repeat penalty; -1 past a row's end
// - seed and sampled, I64 [B]: the random counter
// - in_prompt, I64 [B]: 1 when the pending tokens are of a prompt
// - ended, I64 [B]: 1 when eos or a stop string has come
#ifndef TNRT_APP_STATEFILE_H
#define TNRT_APP_STATEFILE_H

#include "Generator.h"

#include "tnrt/formats/Safetensors.h"

#include <optional>

namespace tnrt {

// A sequence and its unfinished text (TextStream::partialBytes, partialStop).
struct SavedSequence {
  Sequence sequence; // without `text`
  std::string partialBytes, partialStop;
};

class StateFile {
public:
  // Errors: not a state file, or one of another model (every difference in
  // shapes is named).
  static Result<StateFile> open(const std::string &path,
                                const Manifest &manifest);

  const std::vector<SavedSequence> &sequences() const { return saved; }
  const SamplerOptions &sampler() const { return options; }
  // Written by an executable with another fingerprint, of the same shapes.
  bool otherBuild() const { return foreignFingerprint; }
  // Copies states and positions into `session`, of as many sequences.
  Status restore(Session &session) const;

private:
  explicit StateFile(SafetensorsFile file) : file(std::move(file)) {}
  Status checkModel(const Manifest &manifest);
  Status readSequences(const Manifest &manifest);
  Status readMetadata();
  Error error(const std::string &what) const;

  SafetensorsFile file;
  std::vector<SavedSequence> saved;
  SamplerOptions options;
  bool foreignFingerprint = false;
};

// Writes atomically. Each row of `session` stands right before its sequence's
// pending tokens.
Status saveState(const std::string &path, const Manifest &manifest,
                 Session &session, const std::vector<SavedSequence> &sequences,
                 const SamplerOptions &sampler);

} // namespace tnrt

#endif // TNRT_APP_STATEFILE_H
