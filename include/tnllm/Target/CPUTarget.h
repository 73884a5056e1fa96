// What code generation must know about the CPU it compiles for: LLVM's names
// for it, the vector width, the register tile of the matrix kernels and what
// the runtime checks before it runs the code.
#ifndef TNLLM_TARGET_CPUTARGET_H
#define TNLLM_TARGET_CPUTARGET_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/LogicalResult.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tnllm {

struct CPUTarget {
  std::string triple; // e.g. x86_64-unknown-linux-gnu
  std::string march;  // as the user named it: native, x86-64-v3, x86-64-v4
  std::string cpu;    // LLVM's CPU name: x86-64-v4, znver5, ...
  std::string
      features; // LLVM feature string: "+avx2,-avx512fp16,..."; may be empty
  // CPU features that the generated code uses beyond x86-64, by the names that
  // /proc/cpuinfo-like checks use ("avx2", "avx512f", "avx512bf16", ...). The
  // runtime refuses to start where one is missing (manifest: target.requires).
  std::vector<std::string> requiredFeatures;

  int64_t vectorBits = 256; // 512 with AVX-512, else 256
  bool hasBF16Dot = false;  // AVX512_BF16: vdpbf16ps
  bool hasByteDot = false;  // AVX512_VNNI or AVX-VNNI: vpdpbusd

  int64_t l1Bytes = 32 << 10;   // data cache of one core
  int64_t l2Bytes = 1024 << 10; // of one core

  // Register tile of the matrix kernels: tileRows x panelWidth f32
  // accumulators. 512 bits: 6 x 64 = 24 of 32 registers; 256 bits: 6 x 16 = 12
  // of 16.
  int64_t tileRows = 6;
  int64_t panelWidth = 16;

  int64_t vectorLanes() const { return vectorBits / 32; } // of f32

  // Positions of a chunk of the chunked attention: the largest power of two
  // whose f32 scores [C, C] take at most half of the first cache, where they
  // are written, masked and read again; the rows they meet pass through the
  // other half. From 16 to 256.
  int64_t attentionChunk() const;
};

// The target for `march`: native, x86-64-v3 or x86-64-v4. Calls `emitError`
// once with one clear line and fails for an unknown name, and for `native` on a
// CPU without AVX2 and FMA.
llvm::FailureOr<CPUTarget>
getCPUTarget(llvm::StringRef march,
             llvm::function_ref<void(const llvm::Twine &)> emitError);

} // namespace tnllm

#endif // TNLLM_TARGET_CPUTARGET_H
