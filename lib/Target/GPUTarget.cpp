// The GPUs that tnllmc compiles for, by table.
#include "tnllm/Target/GPUTarget.h"

using namespace llvm;

namespace tnllm {
namespace {

struct Chip {
  const char *name;
  const char *features;
  int64_t multiprocessors, sharedBytes;
  bool warpgroupProducts;
};

// Shared memory: CUDA C++ programming guide, "technical specifications per compute
// capability", less the KiB that the system keeps. PTX 8.0 is the first with
// sm_90a; drivers of CUDA 12.0 and later take it.
constexpr Chip chips[] = {
    {"sm_80", "+ptx80", 108, 163 << 10, false}, // A100
    {"sm_90a", "+ptx80", 132, 227 << 10, true}, // H100, H200
};

} // namespace

std::string listGPUTargets() {
  std::string names;
  for (const Chip &chip : chips)
    names += (names.empty() ? "" : ", ") + std::string(chip.name);
  return names;
}

FailureOr<GPUTarget> getGPUTarget(StringRef name,
                                  function_ref<void(const Twine &)> emitError) {
  for (const Chip &chip : chips) {
    if (name != chip.name)
      continue;
    GPUTarget target;
    target.chip = chip.name;
    target.features = chip.features;
    target.multiprocessors = chip.multiprocessors;
    target.sharedBytes = chip.sharedBytes;
    target.hasWarpgroupProducts = chip.warpgroupProducts;
    return target;
  }
  emitError("unknown GPU '" + name + "', expected one of " + listGPUTargets());
  return failure();
}

} // namespace tnllm
