// How row vectors of a block become pieces of its threads: the state of one
// kernel's walk. Private to this folder; its parts are in DistributeRows.cpp
// (the walk, operations on elements), DistributeRowMemory.cpp (loads and
// stores) and DistributeRowSums.cpp (what crosses threads).
#ifndef TNLLM_LIB_TRANSFORMS_TNK_ROWDISTRIBUTION_H
#define TNLLM_LIB_TRANSFORMS_TNK_ROWDISTRIBUTION_H

#include "RowLayout.h"

#include "TNK/TNKDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace tnllm {

// An access of a row vector to memory.
struct Access {
  mlir::Value memory;
  mlir::SmallVector<mlir::Value> indices; // of the vector's first element
  RowLayout layout;
  bool inBounds; // else elements past the last column are not there
  // Of a vector of several rows: its columns, else 0; and the rows from its
  // first on that there are, or null where all are.
  int64_t columns = 0;
  mlir::Value rowsLeft = {};
  // Then, the index along which rows and columns go, or -1 where all are alike.
  int64_t rowIndex = -1, columnIndex = -1;
  bool isRepeated = false; // some are
};

class RowDistribution {
public:
  explicit RowDistribution(tnk::KernelOp kernel)
      : kernel(kernel), threads(*kernel.getThreads()),
        b(kernel.getLoc(), kernel.getContext()) {}

  mlir::LogicalResult run();

private:
  mlir::LogicalResult distribute(mlir::Block &block);
  mlir::LogicalResult distribute(mlir::Operation *op);
  mlir::LogicalResult cannot(mlir::Operation *op, const llvm::Twine &reason);

  // Layouts.
  void collectUnits();
  mlir::FailureOr<RowLayout> layoutOf(mlir::Operation *op, mlir::Type type);
  mlir::VectorType pieceType(const RowLayout &layout, mlir::Type element);
  mlir::Value piece(mlir::Value vector) { return pieces.lookup(vector); }
  mlir::Value thread();
  mlir::Value warp() {
    return mlir::arith::DivUIOp::create(b, thread(), index(32));
  }
  mlir::Value lane() {
    return mlir::arith::RemUIOp::create(b, thread(), index(32));
  }
  mlir::Value isActive(const RowLayout &layout);
  mlir::Value elementIndex(const RowLayout &layout, int64_t i);
  mlir::Value validElements(const RowLayout &layout);

  // Operations.
  mlir::LogicalResult constant(mlir::arith::ConstantOp op);
  mlir::LogicalResult elementwise(mlir::Operation *op);
  mlir::LogicalResult sameElements(mlir::Operation *op, mlir::Value source);
  mlir::LogicalResult broadcast(mlir::vector::BroadcastOp op);
  mlir::LogicalResult fromElements(mlir::vector::FromElementsOp op);
  mlir::LogicalResult step(mlir::vector::StepOp op);
  mlir::LogicalResult loop(mlir::scf::ForOp op);
  mlir::LogicalResult branch(mlir::scf::IfOp op);
  mlir::LogicalResult yield(mlir::scf::YieldOp op);
  mlir::LogicalResult scalarStore(mlir::memref::StoreOp op);

  // Memory.
  mlir::FailureOr<Access> accessOf(mlir::Operation *op, mlir::Value memory,
                                   mlir::ValueRange indices, mlir::Type vector,
                                   bool inBounds);
  // Whether the access is element by element, each where it exists.
  static bool isPartial(const Access &access) {
    return access.layout.isRagged() || !access.inBounds || access.rowsLeft ||
           access.isRepeated;
  }
  mlir::LogicalResult read(mlir::Operation *op, mlir::Value memory,
                           mlir::ValueRange indices, mlir::Value padding,
                           bool inBounds);
  mlir::LogicalResult write(mlir::Operation *op, mlir::Value vector,
                            mlir::Value memory, mlir::ValueRange indices,
                            bool inBounds);
  mlir::Value readUnits(const Access &access, mlir::VectorType type);
  mlir::Value readElements(const Access &access, mlir::VectorType type,
                           mlir::Value padding);
  void writeUnits(const Access &access, mlir::Value value);
  void writeElements(const Access &access, mlir::Value value);
  mlir::SmallVector<mlir::Value> place(const Access &access,
                                       mlir::Value offset);
  mlir::Value elementExists(const Access &access, int64_t i, mlir::Value index);
  int64_t loadWidth(const Access &access);

  // What threads before this one have, and all: counts in i32.
  struct Scan {
    mlir::Value before, total;
  };
  Scan scanBlock(mlir::Value count, bool inLoop);
  mlir::LogicalResult compress(mlir::vector::CompressStoreOp op);

  // Sums over threads.
  mlir::LogicalResult reduction(mlir::vector::ReductionOp op);
  mlir::LogicalResult onlyElement(mlir::vector::ExtractOp op);
  mlir::FailureOr<mlir::Value> combine(mlir::Operation *op,
                                       mlir::vector::CombiningKind kind,
                                       mlir::Value vector);
  mlir::LogicalResult partialDot(tnk::PartialDotOp op);
  mlir::Value reduceElements(mlir::vector::CombiningKind kind,
                             mlir::Value vector);
  mlir::Value reduceWarp(mlir::vector::CombiningKind kind, mlir::Value value,
                         int64_t lanes = 32);
  mlir::Value exchange(mlir::Value value, int64_t lane, bool inLoop);
  mlir::SmallVector<mlir::Value> valuesOfWarps(mlir::Value shared);
  mlir::Value scanWarp(mlir::Value value);
  mlir::Value valueOfLane(mlir::Value value, mlir::Value lane);
  mlir::Value reduceBlock(mlir::vector::CombiningKind kind, mlir::Value value,
                          bool inLoop);
  mlir::Value combineTree(mlir::vector::CombiningKind kind,
                          mlir::SmallVector<mlir::Value> values);

  mlir::Value index(int64_t value) {
    return mlir::arith::ConstantIndexOp::create(b, value);
  }
  mlir::Value add(mlir::Value x, mlir::Value y) {
    return b.createOrFold<mlir::arith::AddIOp>(x, y);
  }
  mlir::Value mul(mlir::Value x, mlir::Value y) {
    return b.createOrFold<mlir::arith::MulIOp>(x, y);
  }
  mlir::Value below(mlir::Value x, mlir::Value y) {
    return mlir::arith::CmpIOp::create(b, mlir::arith::CmpIPredicate::ult, x,
                                       y);
  }
  // if (condition) { body() }, with the body's value or `otherwise`.
  mlir::Value guarded(mlir::Value condition, mlir::Value otherwise,
                      llvm::function_ref<mlir::Value()> body);
  void guarded(mlir::Value condition, llvm::function_ref<void()> body);

  tnk::KernelOp kernel;
  int64_t threads;
  mlir::ImplicitLocOpBuilder b;
  mlir::Value threadId;
  // Vector of the block to vector of a thread.
  mlir::IRMapping pieces;
  // Elements of a unit, by a vector's length.
  llvm::DenseMap<int64_t, int64_t> maxUnits;
  mlir::SmallVector<mlir::Operation *> dead;
};

} // namespace tnllm

#endif // TNLLM_LIB_TRANSFORMS_TNK_ROWDISTRIBUTION_H
