// The few types and constants of CUDA's driver interface that the runtime uses,
// so that it builds where there is no CUDA. DriverTypesTest compares them with
// cuda.h where there is one.
#ifndef TNRT_CUDA_DRIVERTYPES_H
#define TNRT_CUDA_DRIVERTYPES_H

#include <cstddef>
#include <cstdint>

namespace tnrt::cuda {

// CUdeviceptr is an integer as wide as a pointer.
using DevicePointer = unsigned long long;
using CUresult = int;
using CUdevice = int;
using CUcontext = struct CUctx_st *;
using CUmodule = struct CUmod_st *;
using CUfunction = struct CUfunc_st *;
using CUstream = struct CUstream_st *;
using CUevent = struct CUevent_st *;
using CUgraph = struct CUgraph_st *;
using CUgraphExec = struct CUgraphExec_st *;

// CUlaunchAttribute and CUlaunchConfig.
struct LaunchAttribute {
  int id;
  int padding;
  int value;             // of attributes that are integers
  char rest[64 - sizeof(int)];
};
struct LaunchConfig {
  unsigned gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes;
  CUstream stream;
  LaunchAttribute *attributes;
  unsigned numAttributes;
};

inline constexpr CUresult kSuccess = 0;
inline constexpr CUresult kErrorOutOfMemory = 2;
inline constexpr CUresult kErrorNoDevice = 100;

inline constexpr int kAttributeComputeMajor = 75;
inline constexpr int kAttributeComputeMinor = 76;
inline constexpr int kAttributeSharedBytesOptIn = 97;

inline constexpr int kFunctionMaxThreads = 0;
inline constexpr int kFunctionStaticSharedBytes = 1;
inline constexpr int kFunctionMaxDynamicSharedBytes = 8;

inline constexpr int kJitErrorLogBuffer = 5;
inline constexpr int kJitErrorLogBufferBytes = 6;

inline constexpr int kLaunchProgrammaticSerialization = 6;

inline constexpr unsigned kStreamNonBlocking = 1;
inline constexpr int kCaptureRelaxed = 2;
inline constexpr unsigned kEventDefault = 0;
inline constexpr unsigned kEventDisableTiming = 2;
inline constexpr unsigned kHostAllocPortable = 1;

inline constexpr int kTensorMapFloat16 = 6;
inline constexpr int kTensorMapFloat32 = 7;
inline constexpr int kTensorMapBFloat16 = 9;
inline constexpr int kTensorMapInterleaveNone = 0;
inline constexpr int kTensorMapSwizzle128B = 3;
inline constexpr int kTensorMapPromotion256B = 3;
inline constexpr int kTensorMapFillZeros = 0;

} // namespace tnrt::cuda

#endif // TNRT_CUDA_DRIVERTYPES_H
