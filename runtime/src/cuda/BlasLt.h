// Matrix products by cuBLASLt, loaded at run time.
#ifndef TNRT_CUDA_BLASLT_H
#define TNRT_CUDA_BLASLT_H

#include "Device.h"

#include "core/Executor.h"
#include "tnrt/Result.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <tuple>

namespace tnrt::cuda {

// cuBLASLt's types, as cublasLt.h has them.
using LtHandle = struct cublasLtContext *;
using LtMatmulDesc = struct cublasLtMatmulDescOpaque *;
using LtMatrixLayout = struct cublasLtMatrixLayoutOpaque *;
using LtPreference = struct cublasLtMatmulPreferenceOpaque *;
struct LtAlgo {
  uint64_t data[8];
};
struct LtHeuristic {
  LtAlgo algo;
  size_t workspaceBytes;
  int state;
  float wavesCount;
  int reserved[4];
};

inline constexpr int kLtReal32F = 0, kLtReal16BF = 14;
inline constexpr int kLtCompute32F = 68;
inline constexpr int kLtDescTransA = 3, kLtDescTransB = 4;
inline constexpr int kLtPreferenceMaxWorkspace = 1;
inline constexpr int kLtPreferenceMinAlignmentA = 5; // B, C and D: 6, 7 and 8
inline constexpr int kLtTranspose = 1;

struct BlasLt {
#define TNRT_CUBLASLT(symbol, parameters) int(*symbol) parameters = nullptr;
#include "BlasLt.def"
  const char *(*cublasLtGetStatusString)(int status) = nullptr;

  // Errors: the library is not there, or lacks a function.
  static Result<std::shared_ptr<const BlasLt>> load();
  // "cublasLtMatmul: CUBLAS_STATUS_NOT_SUPPORTED" where `code` is not success.
  Status check(const char *call, int code) const;
};

// Products on one stream. What cuBLASLt chooses for a shape is kept.
class Matmul {
public:
  // Loads the library and allocates the workspace. Errors: those of both.
  static Result<std::unique_ptr<Matmul>> create(std::shared_ptr<Device> device);
  ~Matmul();

  // Queues the product (tnrt/ABI.def, tnrt_matmul). Errors: types other than
  // F32 and BF16, sizes below 1, those of cuBLASLt.
  Status run(const MatmulCall &call, CUstream stream);

  static constexpr int64_t kWorkspaceBytes = int64_t(32) << 20;

private:
  struct Plan;
  using Key = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, uint32_t,
                         uint32_t, uint32_t, int64_t>;

  Matmul() = default;
  Result<const Plan *> plan(const MatmulCall &call);
  Status choose(const MatmulCall &call, const Key &key, Plan &plan);

  std::shared_ptr<const BlasLt> library;
  LtHandle handle = nullptr;
  DeviceMemory workspace;
  std::map<Key, std::unique_ptr<Plan>> plans;
};

} // namespace tnrt::cuda

#endif // TNRT_CUDA_BLASLT_H
