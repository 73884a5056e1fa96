// What the sentencepiece library takes on trust.
#ifndef TNRT_APP_SENTENCEPIECECHECK_H
#define TNRT_APP_SENTENCEPIECECHECK_H

#include <string_view>

namespace tnrt {

// Whether a serialised sentencepiece model (sentencepiece_model.proto) is one
// that the library can take. Its normalisation tables
// (NormalizerSpec.precompiled_charsmap) lead nowhere outside themselves: the
// library walks them without a look at their size, so that a model made for it
// would read any memory. No piece has a zero byte: the library measures pieces
// as C strings, and throws where one begins with it. False for bytes that are
// no protobuf, too.
bool isSentencePieceSound(std::string_view model);

} // namespace tnrt

#endif // TNRT_APP_SENTENCEPIECECHECK_H
