// The manifest that an executable carries: docs/Manifest.md states its schema,
// runtime/src/core/Manifest.cpp reads it.
#ifndef TNLLM_TARGET_MANIFEST_H
#define TNLLM_TARGET_MANIFEST_H

#include "tnllm/Spec/ModelSpec.h"
#include "tnllm/Target/CPUTarget.h"
#include "tnllm/Target/DType.h"
#include "tnllm/Target/GPUTarget.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tnllm {

// How the generated code reads a parameter.
struct ParameterLayout {
  // RowScales: not the tensor [N, K] itself but the N scales that its rows are
  // quantised by where another parameter reads it as I8; the dtype is F32.
  // RowScalesF8: the same, as F8. GroupScales: as I4, [N, K / width].
  enum Kind { Rows, Panels, RowScales, RowScalesF8, GroupScales } kind = Rows;
  int64_t width = 0; // Panels: rows of W in one panel; GroupScales: see there
  int64_t step = 0;  // Panels: columns that stand together, 2 for bf16 pairs
};

struct ProgramParameter {
  std::string tensor;         // its name in the checkpoint
  std::vector<int64_t> shape; // its shape in the checkpoint
  DType dtype = DType::F32;   // what the generated code reads
  ParameterLayout layout;
  ParameterInit init = {ParameterInit::Normal, 0.02};
};

// One sequence's state of one layer: f32 [heads, keyWidth, valueWidth].
struct ProgramState {
  int64_t heads, keyWidth, valueWidth;
};

// What the pipeline decided, as far as the runtime must know it.
struct ProgramInfo {
  int64_t prefillRows = 0; // most batch * length of one prefill call
  int64_t decodeRows = 0;  // largest batch of one decode call
  int64_t headRows = 0;    // most rows of one head call
  // Of a training program, 0 in others: most tokens (batch * length) and most
  // sequences of one call.
  int64_t trainTokens = 0, trainSequences = 0;
  bool mixedPrecision = false;      // of it: products take bf16 operands
  int64_t arenaBytes = 0;           // of the static memory plan
  std::vector<ProgramState> states; // one a layer
  // In the order of tnrt_param's index.
  std::vector<ProgramParameter> parameters;
  std::vector<std::string> probes; // names, by tnrt_probe's index
  // What one token of each probe is; empty: the width of the model for all.
  std::vector<std::vector<int64_t>> probeShapes;
};

struct WeightsSource {
  enum Kind { Link, Embed, Random } kind = Link;
  std::string path;  // Link: absolute, a file or a directory
  uint64_t seed = 0; // Random
};

struct TokenizerSource {
  enum Kind { Bytes, SentencePiece } kind = Bytes;
  std::string path; // SentencePiece: absolute; not used with Embed
};

// "tnllm 0.1.0, LLVM 22.1.8"
std::string getCompilerVersion();

// 32 hex digits over spec, target, dtype and compiler version: equal inputs
// give equal fingerprints on every machine. With a GPU, `target` is the CPU
// that its schedule runs on. `mixedPrecision` as in ProgramInfo.
std::string getFingerprint(const ModelSpec &spec, const CPUTarget &target,
                           DType dtype, const GPUTarget *gpu = nullptr,
                           bool mixedPrecision = false);

// The manifest as one line of JSON.
std::string buildManifest(const ModelSpec &spec, const CPUTarget &target,
                          DType dtype, const ProgramInfo &program,
                          const WeightsSource &weights,
                          const TokenizerSource &tokenizer,
                          const GPUTarget *gpu = nullptr);

} // namespace tnllm

#endif // TNLLM_TARGET_MANIFEST_H
