// cuBLASLt counts in columns: y^T[n, rows] = w^T' x^T, where the row-major w[n,
// k] is a column-major matrix of k rows that is transposed.
#include "BlasLt.h"

#include "tnrt/abi.h"

#include "tnrt/formats/DType.h"

#include <algorithm>

namespace tnrt::cuda {

namespace {

// Shapes that are remembered before all are forgotten: prompts of every length
// must not fill the memory.
constexpr size_t kMaxPlans = 4096;

// The largest power of two up to 256 that divides the address.
uint32_t alignmentOf(const void *pointer) {
  const uintptr_t bits = reinterpret_cast<uintptr_t>(pointer) | 256;
  return static_cast<uint32_t>(bits & (~bits + 1));
}

bool isSupported(int64_t type) {
  return type == static_cast<int64_t>(DType::F32) ||
         type == static_cast<int64_t>(DType::BF16);
}

int realType(int64_t type) {
  return type == static_cast<int64_t>(DType::BF16) ? kLtReal16BF : kLtReal32F;
}

std::string shapeOf(const MatmulCall &call) {
  return std::to_string(call.rows) + " x " + std::to_string(call.n) + " x " +
         std::to_string(call.k);
}

} // namespace

#define TNRT_LT_CALL(library, symbol, ...)                                     \
  (library).check(#symbol, (library).symbol(__VA_ARGS__))

Result<std::shared_ptr<const BlasLt>> BlasLt::load() {
  Result<Library> opened = Library::open(libraryNames().cublasLt);
  if (!opened)
    return Error{"this program multiplies matrices with cuBLASLt (CUDA 12 or "
                 "13), which cannot be loaded (" +
                 opened.message() +
                 "): set LD_LIBRARY_PATH to the folder of libcublasLt.so, or "
                 "CUDA_HOME"};
  auto library = std::make_shared<BlasLt>();
  std::string missing;
  auto find = [&](const char *symbol) {
    void *address = opened->find(symbol);
    if (!address)
      missing += (missing.empty() ? "" : ", ") + std::string(symbol);
    return address;
  };
#define TNRT_CUBLASLT(symbol, parameters)                                      \
  library->symbol = reinterpret_cast<int(*) parameters>(find(#symbol));
#include "BlasLt.def"
  library->cublasLtGetStatusString =
      reinterpret_cast<const char *(*)(int)>(find("cublasLtGetStatusString"));
  if (!missing.empty())
    return Error{opened->name() + " lacks " + missing +
                 ", expected cuBLASLt of CUDA 12 or 13"};
  return std::shared_ptr<const BlasLt>(std::move(library));
}

Status BlasLt::check(const char *call, int code) const {
  if (code == 0)
    return {};
  const char *text = cublasLtGetStatusString(code);
  return Error{std::string(call) + ": " +
               (text ? text : "status " + std::to_string(code))};
}

// What one shape needs: descriptors and the algorithm.
struct Matmul::Plan {
  std::shared_ptr<const BlasLt> library;
  LtMatmulDesc desc = nullptr;
  LtMatrixLayout w = nullptr, x = nullptr, y = nullptr;
  LtHeuristic chosen = {};

  explicit Plan(std::shared_ptr<const BlasLt> library)
      : library(std::move(library)) {}
  Plan(const Plan &) = delete;
  Plan &operator=(const Plan &) = delete;
  ~Plan() {
    for (LtMatrixLayout layout : {w, x, y})
      if (layout)
        library->cublasLtMatrixLayoutDestroy(layout);
    if (desc)
      library->cublasLtMatmulDescDestroy(desc);
  }

  Status describe(const MatmulCall &call) {
    const BlasLt &lt = *library;
    if (Status status = TNRT_LT_CALL(lt, cublasLtMatmulDescCreate, &desc,
                                     kLtCompute32F, kLtReal32F);
        !status)
      return status;
    // The library's matrices are by columns: y^T = op(w) op(x).
    const bool plainW = call.form & TNRT_MATMUL_W_PLAIN;
    const bool transposedX = call.form & TNRT_MATMUL_X_TRANSPOSED;
    const int32_t transpose = kLtTranspose;
    if (!plainW)
      if (Status status =
              TNRT_LT_CALL(lt, cublasLtMatmulDescSetAttribute, desc,
                           kLtDescTransA, &transpose, sizeof transpose);
          !status)
        return status;
    if (transposedX)
      if (Status status =
              TNRT_LT_CALL(lt, cublasLtMatmulDescSetAttribute, desc,
                           kLtDescTransB, &transpose, sizeof transpose);
          !status)
        return status;
    const uint64_t rows = static_cast<uint64_t>(call.rows);
    const uint64_t n = static_cast<uint64_t>(call.n);
    const uint64_t k = static_cast<uint64_t>(call.k);
    if (Status status = TNRT_LT_CALL(lt, cublasLtMatrixLayoutCreate, &w,
                                     realType(call.inType), plainW ? n : k,
                                     plainW ? k : n, plainW ? call.n : call.k);
        !status)
      return status;
    if (Status status = TNRT_LT_CALL(
            lt, cublasLtMatrixLayoutCreate, &x, realType(call.inType),
            transposedX ? rows : k, transposedX ? k : rows,
            transposedX ? call.rows : call.k);
        !status)
      return status;
    return TNRT_LT_CALL(lt, cublasLtMatrixLayoutCreate, &y,
                        realType(call.outType), n, rows, call.n);
  }
};

Result<std::unique_ptr<Matmul>> Matmul::create(std::shared_ptr<Device> device) {
  Result<std::shared_ptr<const BlasLt>> library = BlasLt::load();
  if (!library)
    return library.takeError();
  std::unique_ptr<Matmul> matmul(new Matmul());
  matmul->library = std::move(*library);
  Result<DeviceMemory> workspace = DeviceMemory::allocate(
      std::move(device), kWorkspaceBytes, "cuBLASLt's workspace");
  if (!workspace)
    return workspace.takeError();
  matmul->workspace = std::move(*workspace);
  if (Status status =
          TNRT_LT_CALL(*matmul->library, cublasLtCreate, &matmul->handle);
      !status)
    return status.takeError();
  return matmul;
}

Matmul::~Matmul() {
  plans.clear();
  if (handle)
    library->cublasLtDestroy(handle);
}

Result<const Matmul::Plan *> Matmul::plan(const MatmulCall &call) {
  const Key key = {call.rows,
                   call.n,
                   call.k,
                   call.inType,
                   call.outType,
                   alignmentOf(call.w),
                   alignmentOf(call.x),
                   std::min(alignmentOf(call.y),
                            alignmentOf(call.c ? call.c : call.y)),
                   call.form};
  if (auto known = plans.find(key); known != plans.end())
    return known->second.get();
  if (plans.size() >= kMaxPlans)
    plans.clear();
  auto made = std::make_unique<Plan>(library);
  if (Status status = choose(call, key, *made); !status)
    return Error{"matrix product " + shapeOf(call) + ": " + status.message()};
  return plans.emplace(key, std::move(made)).first->second.get();
}

Status Matmul::choose(const MatmulCall &call, const Key &key, Plan &plan) {
  const BlasLt &lt = *library;
  if (Status status = plan.describe(call); !status)
    return status;
  LtPreference preference = nullptr;
  if (Status status =
          TNRT_LT_CALL(lt, cublasLtMatmulPreferenceCreate, &preference);
      !status)
    return status;
  auto set = [&](int attribute, auto value) {
    return TNRT_LT_CALL(lt, cublasLtMatmulPreferenceSetAttribute, preference,
                        attribute, &value, sizeof value);
  };
  Status status =
      set(kLtPreferenceMaxWorkspace, static_cast<uint64_t>(workspace.size()));
  const uint32_t alignments[] = {std::get<5>(key), std::get<6>(key),
                                 std::get<7>(key), std::get<7>(key)};
  for (int i = 0; i < 4 && status; ++i)
    status = set(kLtPreferenceMinAlignmentA + i, alignments[i]);
  int found = 0;
  if (status)
    status = TNRT_LT_CALL(lt, cublasLtMatmulAlgoGetHeuristic, handle, plan.desc,
                          plan.w, plan.x, plan.y, plan.y, preference, 1,
                          &plan.chosen, &found);
  lt.cublasLtMatmulPreferenceDestroy(preference);
  if (status && found == 0)
    return Error{"cuBLASLt has no algorithm for it"};
  return status;
}

Status Matmul::run(const MatmulCall &call, CUstream stream) {
  if (!isSupported(call.inType) || !isSupported(call.outType))
    return Error{"matrix product " + shapeOf(call) + ": the types are " +
                 std::to_string(call.inType) + " and " +
                 std::to_string(call.outType) + ", expected F32 or BF16"};
  if (call.rows < 1 || call.n < 1 || call.k < 1)
    return Error{"matrix product " + shapeOf(call) +
                 ": expected sizes of at least 1"};
  Result<const Plan *> chosen = plan(call);
  if (!chosen)
    return chosen.takeError();
  const Plan &p = **chosen;
  const float one = 1, before = call.form & TNRT_MATMUL_ACCUMULATE ? 1 : 0;
  const void *added = call.c ? call.c : call.y;
  Status status = TNRT_LT_CALL(*library, cublasLtMatmul, handle, p.desc, &one,
                               call.w, p.w, call.x, p.x, &before, added, p.y,
                               call.y, p.y, &p.chosen.algo, workspace.data(),
                               static_cast<size_t>(workspace.size()), stream);
  if (!status)
    return Error{"matrix product " + shapeOf(call) + ": " + status.message()};
  return {};
}

} // namespace tnrt::cuda
