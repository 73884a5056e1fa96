// The manifest, which sizes everything that the runtime allocates.
#include "core/Manifest.h"

#include <cstdlib>

using namespace tnrt;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Result<Manifest> parsed =
      Manifest::parse({reinterpret_cast<const char *>(data), size});
  if (!parsed)
    return 0;
  // What was checked must be computable.
  for (const Manifest::Parameter &parameter : parsed->parameters)
    if (packedBytes(parameter.shape, parameter.dtype, parameter.layout) < 0)
      std::abort();
  for (const Manifest::State &state : parsed->states)
    if (state.elements() < 1)
      std::abort();
  return 0;
}
