// What code generation must know about the NVIDIA GPU it compiles for.
#ifndef TNLLM_TARGET_GPUTARGET_H
#define TNLLM_TARGET_GPUTARGET_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/LogicalResult.h"

#include <cstdint>
#include <string>

namespace tnllm {

struct GPUTarget {
  std::string chip;     // as LLVM, ptxas and --target name it: sm_90a
  std::string features; // LLVM feature string: the PTX version, "+ptx83"

  // The largest of this kind of chip; a smaller one runs the same code.
  int64_t multiprocessors = 0;
  int64_t sharedBytes = 0; // most that one block may ask for

  // Warpgroup products (wgmma) and bulk tensor copies (TMA).
  bool hasWarpgroupProducts = false;
  // A kernel may start while the one before it runs (griddepcontrol).
  bool overlapsLaunches = false;

  static constexpr int64_t warpThreads = 32;
  // Of one block, for kernels that treat rows: more make reductions slower, and
  // fewer leave wide rows to too few loads in flight.
  static constexpr int64_t maxRowThreads = 256;
  // Of every linear map, for activations to be kept as bf16. Their rounding costs
  // models of 2 to 4 layers 1e-2 to 2.5e-2 of the largest value from here on, and up to
  // 1.7e-1 below (Rationale/TNRT.md).
  static constexpr int64_t minBF16Depth = 128;
};

// What a GPU's code may do to be faster, each to be left out so that its gain can be
// measured.
struct GPUFeatures {
  bool overlap = true;     // kernels start while the one before runs
  bool segments = true;    // attention of few heads cuts sequences in segments
  bool rowProducts = true; // few rows multiply on tensor cores
  bool foldNorms = true;   // in these, norms are scales of rows
  bool joinGates = true;   // and two maps that are multiplied are one kernel
  bool tiledLinears = true; // many rows multiply in kernels of our own where faster

  // Turns off the feature of this name: overlap, segments, row-products,
  // fold-norms, join-gates or tiled-linears. False for another.
  bool turnOff(llvm::StringRef name);
};

// The names that turnOff knows, with commas.
std::string listGPUFeatures();

// The names that getGPUTarget knows: "sm_80, sm_90a".
std::string listGPUTargets();

// The target of this name. Calls `emitError` once with one clear line and fails
// for an unknown one.
llvm::FailureOr<GPUTarget>
getGPUTarget(llvm::StringRef chip,
             llvm::function_ref<void(const llvm::Twine &)> emitError);

} // namespace tnllm

#endif // TNLLM_TARGET_GPUTARGET_H
