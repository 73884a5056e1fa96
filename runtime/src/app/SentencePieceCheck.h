// What the sentencepiece library takes on trust.
#ifndef TNRT_APP_SENTENCEPIECECHECK_H
#define TNRT_APP_SENTENCEPIECECHECK_H

#include <string_view>

namespace tnrt {

// Whether the normalisation tables of a serialised sentencepiece model
// (sentencepiece_model.proto: NormalizerSpec.precompiled_charsmap) lead nowhere outside
// themselves. The library walks them without a look at their size, so that a model
// made for it would read any memory. False for bytes that are no protobuf, too.
bool areCharsMapsSound(std::string_view model);

} // namespace tnrt

#endif // TNRT_APP_SENTENCEPIECECHECK_H
