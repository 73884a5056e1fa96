// Who a thread is, and pointers to shared memory: what the passes that lower
// tnk's tiles share.
#ifndef TNLLM_LIB_TRANSFORMS_TNK_THREADS_H
#define TNLLM_LIB_TRANSFORMS_TNK_THREADS_H

#include "TNK/TNKDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace tnllm::threads {

constexpr int64_t kWarp = 32;
constexpr int64_t kWarpgroup = 128;

inline mlir::Value constant(mlir::ImplicitLocOpBuilder &b, int64_t value) {
  return mlir::arith::ConstantOp::create(
      b, b.getI32IntegerAttr(static_cast<int32_t>(value)));
}

inline mlir::Value toI32(mlir::ImplicitLocOpBuilder &b, mlir::Value index) {
  return mlir::arith::IndexCastOp::create(b, b.getI32Type(), index);
}

// Number of this thread in its block, i32.
inline mlir::Value thread(mlir::ImplicitLocOpBuilder &b) {
  return toI32(b, mlir::gpu::ThreadIdOp::create(b, mlir::gpu::Dimension::x));
}

// Its number in a group of `size` threads, a power of two.
inline mlir::Value threadOf(mlir::ImplicitLocOpBuilder &b, int64_t size) {
  return mlir::arith::AndIOp::create(b, thread(b), constant(b, size - 1));
}

// Whether it is the first of `size` threads.
inline mlir::Value isFirstOf(mlir::ImplicitLocOpBuilder &b, int64_t size) {
  return mlir::arith::CmpIOp::create(b, mlir::arith::CmpIPredicate::eq,
                                     threadOf(b, size), constant(b, 0));
}

// Number of its warpgroup, i32, the same register for all threads of a warp.
inline mlir::Value warpgroup(mlir::ImplicitLocOpBuilder &b) {
  mlir::Value number =
      mlir::arith::ShRUIOp::create(b, thread(b), constant(b, 7));
  return mlir::NVVM::ShflOp::create(
      b, b.getI32Type(), constant(b, -1), number, constant(b, 0),
      constant(b, kWarp - 1), mlir::NVVM::ShflKind::idx, mlir::UnitAttr{});
}

// Runs `body` in the first of each `size` threads.
inline void inFirstOf(mlir::ImplicitLocOpBuilder &b, int64_t size,
                      llvm::function_ref<void()> body) {
  auto branch = mlir::scf::IfOp::create(b, isFirstOf(b, size), false);
  mlir::OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  body();
}

// Waits for the 128 threads of this warpgroup. Barrier 0 is the block's.
inline void syncWarpgroup(mlir::ImplicitLocOpBuilder &b) {
  mlir::Value id = mlir::arith::AddIOp::create(b, warpgroup(b), constant(b, 1));
  mlir::NVVM::BarrierOp::create(
      b, mlir::TypeRange{}, id, constant(b, kWarpgroup),
      mlir::NVVM::BarrierReductionAttr{}, mlir::Value{});
}

// What this thread has written to shared memory is seen by tensor cores and
// tensor copies that are started after a barrier.
inline void fenceAsync(mlir::ImplicitLocOpBuilder &b) {
  mlir::NVVM::FenceProxyOp::create(
      b,
      mlir::NVVM::ProxyKindAttr::get(b.getContext(),
                                     mlir::NVVM::ProxyKind::async_shared),
      mlir::NVVM::SharedSpaceAttr::get(b.getContext(),
                                       mlir::NVVM::SharedSpace::shared_cta));
}

inline mlir::Type sharedPointer(mlir::MLIRContext *context) {
  return mlir::LLVM::LLVMPointerType::get(
      context, static_cast<unsigned>(mlir::NVVM::NVVMMemorySpace::Shared));
}

inline mlir::Value cast(mlir::ImplicitLocOpBuilder &b, mlir::Type type,
                        mlir::Value value) {
  return mlir::UnrealizedConversionCastOp::create(b, type, value).getResult(0);
}

// `bytes` (i32) past `pointer`.
inline mlir::Value offset(mlir::ImplicitLocOpBuilder &b, mlir::Value pointer,
                          mlir::Value bytes) {
  return mlir::LLVM::GEPOp::create(b, pointer.getType(), b.getI8Type(), pointer,
                                   llvm::ArrayRef<mlir::LLVM::GEPArg>{bytes});
}

inline mlir::Value offset(mlir::ImplicitLocOpBuilder &b, mlir::Value pointer,
                          int64_t bytes) {
  if (bytes == 0)
    return pointer;
  return mlir::LLVM::GEPOp::create(
      b, pointer.getType(), b.getI8Type(), pointer,
      llvm::ArrayRef<mlir::LLVM::GEPArg>{static_cast<int32_t>(bytes)});
}

} // namespace tnllm::threads

#endif // TNLLM_LIB_TRANSFORMS_TNK_THREADS_H
