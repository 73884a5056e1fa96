// The manifest of docs/Manifest.md as a struct.
#ifndef TNRT_CORE_MANIFEST_H
#define TNRT_CORE_MANIFEST_H

#include "tnrt/Result.h"
#include "tnrt/formats/DType.h"
#include "tnrt/formats/Pack.h"
#include "tnrt/formats/RandomInit.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tnrt {

struct Manifest {
  struct Target {
    std::string triple, march, cpu;
    std::vector<std::string> required; // CPU features, under LLVM's names
    std::string chip; // of a GPU program: "sm_90a"; empty otherwise
    bool isGpu() const { return !chip.empty(); }
  };
  struct Capacity {
    int64_t prefillRows = 0, decodeRows = 0, headRows = 0;
  };
  // Of a training program: most tokens (batch * length) and most sequences of
  // one call. It has no other capacity, no states, and f32 parameters in rows.
  struct Training {
    enum class Amp { Off, BF16 }; // what products take their operands as
    int64_t maxTokens = 0, maxSequences = 0;
    Amp amp = Amp::Off;
  };
  struct State {
    int64_t heads = 0, keyWidth = 0, valueWidth = 0;
    int64_t elements() const { return heads * keyWidth * valueWidth; }
  };
  struct Parameter {
    std::string tensor;
    std::vector<int64_t> shape;
    DType dtype = DType::F32;
    Layout layout;
    InitSpec init;
  };
  struct Weights {
    enum class Kind { Link, Embed, Random };
    Kind kind = Kind::Link;
    std::string path;  // of Link
    uint64_t seed = 0; // of Random
  };
  struct Tokenizer {
    enum class Kind { Sentencepiece, Bytes };
    Kind kind = Kind::Bytes;
    std::string path; // of Sentencepiece; empty when embedded
  };

  // Errors name the key: "manifest: capacity.prefill_rows: expected an integer
  // of at least 1".
  static Result<Manifest> parse(std::string_view json);

  int64_t abi = 0;
  std::string compiler, fingerprint;
  Target target;
  DType dtype = DType::F32; // of the matrices: F32, BF16, I8, F8E4M3 or I4
  // From `model`, of which `raw["model"]` holds every key.
  std::string name;
  int64_t vocabSize = 0;
  int64_t width = 0; // decoder_embed_dim
  int64_t layers = 0;
  int64_t padTokenId = -1, bosTokenId = -1, eosTokenId = -1; // -1: none
  bool addBosToken = false;
  int64_t maxPositions = 0; // of a sequence; 0: any number
  Capacity capacity;
  Training training; // zeros in programs that run a model
  bool isTraining() const { return training.maxTokens > 0; }
  int64_t arenaBytes = 0;
  std::vector<State> states; // one a layer
  std::vector<Parameter> parameters;
  std::vector<std::string> probes;
  // What one token of probe i is: [width] unless the manifest says otherwise.
  std::vector<std::vector<int64_t>> probeShapes;
  Weights weights;
  Tokenizer tokenizer;
  nlohmann::ordered_json raw; // the whole manifest, for `info --json`
};

} // namespace tnrt

#endif // TNRT_CORE_MANIFEST_H
