// Where the states of a session lie in one block of memory.
#ifndef TNRT_CORE_STATELAYOUT_H
#define TNRT_CORE_STATELAYOUT_H

#include "Manifest.h"
#include "tnrt/Result.h"

#include <cstdint>
#include <vector>

namespace tnrt {

// Per layer f32 [batch, H, Dk, Dv]; offsets in bytes, aligned to 64.
struct StateLayout {
  std::vector<int64_t> offsets;
  int64_t bytes = 0;
};

// Errors: the sizes overflow.
Result<StateLayout> layOutStates(const Manifest &manifest, int64_t batch);

} // namespace tnrt

#endif // TNRT_CORE_STATELAYOUT_H
