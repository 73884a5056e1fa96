// The runtime's own declarations of CUDA against cuda.h and cublasLt.h, on
// machines that have them.
#include "cuda/BlasLt.h"

#include <gtest/gtest.h>

#if __has_include(<cublasLt.h>)
#include <cublasLt.h>
#include <cuda.h>

// CUDA 13's header calls the second version by this name; the first, which
// every driver has, is declared alike.
#ifdef cuEventElapsedTime
#undef cuEventElapsedTime
extern "C" decltype(cuEventElapsedTime_v2) cuEventElapsedTime;
#endif

#include <type_traits>

namespace {

using namespace tnrt::cuda;

// Same number of parameters, each of the same size: what a call needs.
template <typename Ours, typename Theirs> struct Fits : std::false_type {};
template <typename R, typename S, typename... A, typename... B>
struct Fits<R (*)(A...), S (*)(B...)> {
  static constexpr bool value = [] {
    if constexpr (sizeof...(A) == sizeof...(B))
      return sizeof(R) == sizeof(S) &&
             (true && ... && (sizeof(A) == sizeof(B)));
    return false;
  }();
};

#define TNRT_CUDA(symbol, parameters)                                          \
  static_assert(Fits<decltype(Driver::symbol), decltype(&::symbol)>::value,    \
                #symbol);
#include "cuda/Driver.def"
#define TNRT_CUBLASLT(symbol, parameters)                                      \
  static_assert(Fits<decltype(BlasLt::symbol), decltype(&::symbol)>::value,    \
                #symbol);
#include "cuda/BlasLt.def"

static_assert(sizeof(CUtensorMap) == 128);
static_assert(sizeof(LaunchAttribute) == sizeof(CUlaunchAttribute));
static_assert(offsetof(LaunchAttribute, value) ==
              offsetof(CUlaunchAttribute, value));
static_assert(sizeof(LaunchConfig) == sizeof(CUlaunchConfig));
static_assert(offsetof(LaunchConfig, sharedBytes) ==
              offsetof(CUlaunchConfig, sharedMemBytes));
static_assert(offsetof(LaunchConfig, stream) ==
              offsetof(CUlaunchConfig, hStream));
static_assert(offsetof(LaunchConfig, attributes) ==
              offsetof(CUlaunchConfig, attrs));
static_assert(offsetof(LaunchConfig, numAttributes) ==
              offsetof(CUlaunchConfig, numAttrs));
static_assert(sizeof(LtHeuristic) == sizeof(cublasLtMatmulHeuristicResult_t));
static_assert(offsetof(LtHeuristic, workspaceBytes) ==
              offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize));

TEST(DriverTypes, ConstantsAreThoseOfCuda) {
  EXPECT_EQ(kSuccess, CUDA_SUCCESS);
  EXPECT_EQ(kErrorOutOfMemory, CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(kErrorNoDevice, CUDA_ERROR_NO_DEVICE);
  EXPECT_EQ(kAttributeComputeMajor,
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
  EXPECT_EQ(kAttributeComputeMinor,
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  EXPECT_EQ(kAttributeSharedBytesOptIn,
            CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
  EXPECT_EQ(kFunctionMaxThreads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
  EXPECT_EQ(kFunctionStaticSharedBytes, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES);
  EXPECT_EQ(kFunctionMaxDynamicSharedBytes,
            CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
  EXPECT_EQ(kLaunchProgrammaticSerialization,
            CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
  EXPECT_EQ(kJitErrorLogBuffer, CU_JIT_ERROR_LOG_BUFFER);
  EXPECT_EQ(kJitErrorLogBufferBytes, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES);
  EXPECT_EQ(kStreamNonBlocking, CU_STREAM_NON_BLOCKING);
  EXPECT_EQ(kCaptureRelaxed, CU_STREAM_CAPTURE_MODE_RELAXED);
  EXPECT_EQ(kEventDefault, CU_EVENT_DEFAULT);
  EXPECT_EQ(kEventDisableTiming, CU_EVENT_DISABLE_TIMING);
  EXPECT_EQ(kHostAllocPortable, CU_MEMHOSTALLOC_PORTABLE);
  EXPECT_EQ(kTensorMapFloat16, CU_TENSOR_MAP_DATA_TYPE_FLOAT16);
  EXPECT_EQ(kTensorMapFloat32, CU_TENSOR_MAP_DATA_TYPE_FLOAT32);
  EXPECT_EQ(kTensorMapBFloat16, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16);
  EXPECT_EQ(kTensorMapInterleaveNone, CU_TENSOR_MAP_INTERLEAVE_NONE);
  EXPECT_EQ(kTensorMapSwizzle128B, CU_TENSOR_MAP_SWIZZLE_128B);
  EXPECT_EQ(kTensorMapPromotion256B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B);
  EXPECT_EQ(kTensorMapFillZeros, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
}

TEST(DriverTypes, ConstantsAreThoseOfCublasLt) {
  EXPECT_EQ(kLtReal32F, CUDA_R_32F);
  EXPECT_EQ(kLtReal16BF, CUDA_R_16BF);
  EXPECT_EQ(kLtCompute32F, CUBLAS_COMPUTE_32F);
  EXPECT_EQ(kLtDescTransA, CUBLASLT_MATMUL_DESC_TRANSA);
  EXPECT_EQ(kLtDescTransB, CUBLASLT_MATMUL_DESC_TRANSB);
  EXPECT_EQ(kLtTranspose, CUBLAS_OP_T);
  EXPECT_EQ(kLtPreferenceMaxWorkspace,
            CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
  EXPECT_EQ(kLtPreferenceMinAlignmentA,
            CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
  EXPECT_EQ(kLtPreferenceMinAlignmentA + 3,
            CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
}

} // namespace

#else

TEST(DriverTypes, ComparedWithCudasHeaders) {
  GTEST_SKIP() << "cublasLt.h was not found when this was built";
}

#endif
