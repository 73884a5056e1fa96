// Offsets of the states.
#include "StateLayout.h"

namespace tnrt {

Result<StateLayout> layOutStates(const Manifest &manifest, int64_t batch) {
  constexpr int64_t align = 16; // floats: 64 bytes
  StateLayout layout;
  int64_t total = 0;
  for (const Manifest::State &state : manifest.states) {
    layout.offsets.push_back(total * static_cast<int64_t>(sizeof(float)));
    int64_t elements = 0;
    if (__builtin_mul_overflow(state.elements(), batch, &elements) ||
        __builtin_add_overflow(total, elements + align, &total) ||
        total > INT64_MAX / static_cast<int64_t>(sizeof(float)))
      return Error{"the states of " + std::to_string(batch) +
                   " sequences are too large"};
    total = total / align * align;
  }
  layout.bytes = total * static_cast<int64_t>(sizeof(float));
  return layout;
}

} // namespace tnrt
