// Enough of a sentencepiece model file to tell it from any other file, without
// the library that the executables carry.
#ifndef TNLLM_LIB_SPEC_SENTENCEPIECEFILE_H
#define TNLLM_LIB_SPEC_SENTENCEPIECEFILE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>

namespace tnllm::spec {

// The number of pieces of a sentencepiece model: a protobuf message whose field
// 1 (sentencepiece_model.proto: ModelProto.pieces) is repeated and holds
// messages, each with a string as its own field 1. Fails with the reason alone,
// for the caller to name the file: the bytes are no protobuf, or there is no
// piece.
llvm::Expected<int64_t> countSentencePieces(llvm::StringRef bytes);

} // namespace tnllm::spec

#endif // TNLLM_LIB_SPEC_SENTENCEPIECEFILE_H
