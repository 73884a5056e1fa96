// The GPUs that tnllmc compiles for, by table.
#include "tnllm/Target/GPUTarget.h"

using namespace llvm;

namespace tnllm {
namespace {

struct Chip {
  const char *name;
  const char *features;
  int64_t multiprocessors, sharedBytes;
  bool warpgroupProducts, overlap;
};

// Shared memory: CUDA C++ programming guide, "technical specifications per compute
// capability", less the KiB that the system keeps. PTX 8.0 is the first with
// sm_90a; drivers of CUDA 12.0 and later take it.
constexpr Chip chips[] = {
    {"sm_80", "+ptx80", 108, 163 << 10, false, false}, // A100
    {"sm_90a", "+ptx80", 132, 227 << 10, true, true}, // H100, H200
};

struct Feature {
  const char *name;
  bool GPUFeatures::*member;
};

constexpr Feature features[] = {
    {"overlap", &GPUFeatures::overlap},
    {"segments", &GPUFeatures::segments},
    {"row-products", &GPUFeatures::rowProducts},
    {"fold-norms", &GPUFeatures::foldNorms},
    {"join-gates", &GPUFeatures::joinGates},
    {"tiled-linears", &GPUFeatures::tiledLinears},
};

} // namespace

bool GPUFeatures::turnOff(StringRef name) {
  for (const Feature &feature : features)
    if (name == feature.name) {
      this->*feature.member = false;
      return true;
    }
  return false;
}

std::string listGPUFeatures() {
  std::string names;
  for (const Feature &feature : features)
    names += (names.empty() ? "" : ", ") + std::string(feature.name);
  return names;
}

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
    target.overlapsLaunches = chip.overlap;
    return target;
  }
  emitError("unknown GPU '" + name + "', expected one of " + listGPUTargets());
  return failure();
}

} // namespace tnllm
