// Converts one function of tensors to a host function of buffers. Private to
// this folder.
#ifndef TNLLM_LIB_CONVERSION_TNTOTNK_FUNCTIONCONVERTER_H
#define TNLLM_LIB_CONVERSION_TNTOTNK_FUNCTIONCONVERTER_H

#include "Buffers.h"
#include "KernelBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"

namespace tnllm::kernels {

// State shared by the whole module's conversion.
struct ModuleState {
  ModuleState(mlir::ModuleOp module, const TileSizes &sizes)
      : module(module), symbols(module), sizes(sizes) {}

  mlir::ModuleOp module;
  mlir::SymbolTable symbols;
  TileSizes sizes;
  // Kernels made, by the text that determines them.
  llvm::StringMap<tnk::KernelOp> kernels;
  // Index of each (parameter, layout) in `tnrt.parameters`.
  llvm::MapVector<std::pair<mlir::StringAttr, int>, int64_t> parameters;
  llvm::SmallVector<mlir::Attribute> parameterEntries;
  llvm::SmallVector<mlir::Attribute> probes;
  llvm::DenseMap<mlir::Attribute, mlir::memref::GlobalOp> constants;
  int64_t numKernels = 0, numLaunches = 0;
};

class FunctionConverter {
public:
  FunctionConverter(ModuleState &state, mlir::func::FuncOp source)
      : state(state), source(source), b(source.getLoc(), source.getContext()) {}

  // Declares the host function. Bodies come after every declaration.
  mlir::LogicalResult declare();
  mlir::LogicalResult convertBody();

private:
  mlir::LogicalResult convertOp(mlir::Operation &op);
  mlir::LogicalResult convertFused(tn::FusedOp op);
  mlir::LogicalResult convertRoot(mlir::Operation *root,
                                  llvm::ArrayRef<mlir::Operation *> tail,
                                  mlir::Value result);
  mlir::LogicalResult convertEmbedding(tn::EmbeddingOp op);
  mlir::LogicalResult convertShiftedExp(tn::ShiftedExpOp op);
  mlir::LogicalResult convertLRPE(tn::LRPEOp op);
  mlir::LogicalResult convertAttention(tn::LightningAttentionOp op);
  mlir::LogicalResult convertCall(mlir::func::CallOp op);
  mlir::LogicalResult convertReturn(mlir::func::ReturnOp op);
  mlir::LogicalResult refuseResult(size_t index);
  mlir::LogicalResult convertConstant(mlir::Operation &op, mlir::Value result,
                                      mlir::DenseElementsAttr value);
  void convertParam(mlir::Value result, mlir::FlatSymbolRefAttr symbol,
                    Layout layout);
  void convertSlice(tn::SliceOp op);
  void convertProbe(tn::ProbeOp op);

  using Body = llvm::function_ref<void(KernelBuilder &)>;
  void launch(llvm::StringRef name, llvm::ArrayRef<mlir::Value> arguments,
              mlir::Value tasks, llvm::StringRef key, Body body);

  // The buffer of a tensor, made before its first use.
  mlir::Value bufferOf(mlir::Value tensor) { return buffers.lookup(tensor); }
  mlir::Value outputFor(mlir::Value tensor);
  mlir::Value index(int64_t value) {
    return mlir::arith::ConstantIndexOp::create(b, value);
  }
  mlir::Value tasksOf(mlir::Value count, int64_t block);

  ModuleState &state;
  mlir::func::FuncOp source, host;
  mlir::ImplicitLocOpBuilder b;
  int64_t capacity = 0;    // rows that one call takes
  int64_t leadingRank = 2; // see leadingRankOf
  // Values of the host function.
  mlir::Value context, batch, length, rows;
  llvm::DenseMap<mlir::Value, mlir::Value> buffers;
  // Where results that the function returns go.
  llvm::DenseMap<mlir::Value, mlir::Value> outputs;
};

} // namespace tnllm::kernels

#endif // TNLLM_LIB_CONVERSION_TNTOTNK_FUNCTIONCONVERTER_H
