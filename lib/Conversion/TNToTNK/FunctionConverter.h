// Converts one function of tensors to a host function of buffers. Private to
// this folder.
#ifndef TNLLM_LIB_CONVERSION_TNTOTNK_FUNCTIONCONVERTER_H
#define TNLLM_LIB_CONVERSION_TNTOTNK_FUNCTIONCONVERTER_H

#include "Buffers.h"
#include "KernelBuilder.h"
#include "KernelChoice.h"
#include "KernelCost.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"

namespace tnllm::kernels {

// State shared by the whole module's conversion.
struct ModuleState {
  ModuleState(mlir::ModuleOp module, const KernelChoice &target, bool training)
      : module(module), symbols(module), target(target), training(training) {}

  mlir::ModuleOp module;
  mlir::SymbolTable symbols;
  const KernelChoice &target;
  const bool training; // the module's parameters are trained
  // Kernels made, by the text that determines them.
  llvm::StringMap<tnk::KernelOp> kernels;
  // Index of each (symbol, layout) in `tnrt.parameters`. Not of the tensor: two
  // symbols may read one tensor in two types.
  llvm::MapVector<std::pair<mlir::StringAttr, mlir::Attribute>, int64_t>
      parameters;
  llvm::SmallVector<mlir::Attribute> parameterEntries;
  llvm::SmallVector<mlir::Attribute> probes, probeShapes; // of one length
  llvm::DenseMap<mlir::Attribute, mlir::memref::GlobalOp> constants;
  int64_t numKernels = 0, numLaunches = 0;
};

// The arguments of a group's kernel, inside of it.
struct KernelArguments {
  llvm::DenseMap<mlir::Value, mlir::Value> buffers; // by the tensor
  mlir::Value output, rows;
  mlir::Value product; // of a group's tail: the root's result, maybe the output

  // The buffer of a tensor, null for none.
  mlir::Value of(mlir::Value tensor) const { return buffers.lookup(tensor); }
};

// The name and the attributes as text, with every digit of a number.
std::string attributesOf(mlir::Operation *op);

class FunctionConverter {
public:
  FunctionConverter(ModuleState &state, mlir::func::FuncOp source)
      : state(state), source(source), b(source.getLoc(), source.getContext()) {}

  // Declares the host function. Bodies come after every declaration.
  mlir::LogicalResult declare();
  mlir::LogicalResult convertBody();

  //===--------------------------------------------------------------------===//
  // For the KernelChoice
  //===--------------------------------------------------------------------===//

  using GroupBody =
      llvm::function_ref<void(KernelBuilder &, const KernelArguments &)>;
  // Launches the kernel of a whole group, which reads what the group reads from
  // outside.
  void launchGroup(const Group &group, const TileSizes &sizes,
                   mlir::Value tasks, GroupBody body);
  // The same with `more` operations inside, before the group, that make the
  // values `made` which the group reads.
  void launchGroup(const Group &group, llvm::ArrayRef<mlir::Operation *> more,
                   llvm::ArrayRef<mlir::Value> made, const TileSizes &sizes,
                   mlir::Value tasks, GroupBody body);
  // The same, with other arguments for some of the tensors: maps of them.
  void launchGroup(const Group &group, llvm::ArrayRef<mlir::Operation *> more,
                   llvm::ArrayRef<mlir::Value> made, const TileSizes &sizes,
                   mlir::Value tasks,
                   const llvm::DenseMap<mlir::Value, mlir::Value> &maps,
                   GroupBody body);
  // A matrix as boxes of so many rows and 64 columns see it; its first `count`
  // rows exist.
  mlir::Value matrixMap(mlir::Value buffer, mlir::Value count, int64_t rows);
  // Launches the kernel of a group's tail, which finds the root's result in
  // `product`, the group's output or another buffer; it reads `bias` too, where
  // there is one. A task is a row.
  void launchTail(const Group &group, mlir::Value bias, mlir::Value product,
                  const TileSizes &sizes, GroupBody body);
  // A buffer of f32 for the rows of a call.
  mlir::Value allocateRows(int64_t columns);
  // y = x w^T by the runtime's library, for the rows of the call; plus
  // `addend`, if any.
  void matmul(mlir::Value x, mlir::Value w, mlir::Value y,
              tnrt::MatmulForm form = tnrt::MatmulForm::Linear,
              bool accumulate = false, mlir::Value addend = {});

  // A matrix of bf16 for the quantised weight of a map, and the launch that
  // fills it.
  mlir::Value allocateWidened(tn::LinearOp linear);
  void widen(tn::LinearOp linear, mlir::Value matrix);

  // Does one thing when the call has at most `limit` rows and another when it
  // has more; the choice is made at run time where it must be. Neither may make
  // buffers; `few` may do nothing.
  void forFewRows(int64_t limit, llvm::function_ref<void()> few,
                  llvm::function_ref<void()> many);

  // The buffer of a tensor, made before its first use.
  mlir::Value bufferOf(mlir::Value tensor) { return buffers.lookup(tensor); }
  // That, or a copy where it is a view with gaps.
  mlir::Value contiguous(mlir::Value tensor);
  // The buffer of a result, made on the first call.
  mlir::Value outputFor(mlir::Value tensor);
  mlir::Value index(int64_t value) {
    return mlir::arith::ConstantIndexOp::create(b, value);
  }
  // Rows of the call, and the tasks of a product of `m` rows (see
  // GradKernels.h).
  mlir::Value numRows() { return rows; }
  mlir::Value productTasks(mlir::Value m, int64_t columns);

private:
  // The layout that the uses of a parameter's value ask for.
  mlir::FailureOr<Layout> layoutOf(mlir::Value value);
  mlir::LogicalResult convertOp(mlir::Operation &op);
  void convertFused(tn::FusedOp op);
  void convertGroup(const Group &group);
  mlir::LogicalResult convertEmbedding(tn::EmbeddingOp op);
  mlir::LogicalResult convertShiftedExp(tn::ShiftedExpOp op);
  mlir::LogicalResult convertLRPE(tn::LRPEOp op);
  mlir::LogicalResult convertAttention(tn::LightningAttentionOp op);
  mlir::LogicalResult convertSample(tn::SampleOp op);
  // The buffers of an attention, maps where the kernel wants such.
  struct AttentionOperands {
    mlir::Value q, k, v, slopes, state, out;
    // Of packed sequences, with maps: the offsets and the output's buffer.
    mlir::Value offsets, outRows;
    // The adjoint's results, whose kernel does all of it; `out` is then the
    // gradient that comes in.
    llvm::SmallVector<mlir::Value, 3> gradients = {};
  };
  // What the kernels know of sequences: their length or, packed, the offsets.
  mlir::Value extentOf(const AttentionOperands &in) {
    return in.offsets ? in.offsets : length;
  }
  mlir::Value sequencesOf(const AttentionOperands &in) {
    return in.offsets ? numSequences : batch;
  }
  void launchAttention(tn::LightningAttentionOp op,
                       const AttentionKernel &kernel,
                       const AttentionOperands &in);
  struct AttentionShape {
    int64_t heads = 0, keyWidth = 0, valueWidth = 0;
    double scale = 1;
    bool reversed = false;  // from the last position to the first
    int64_t attentions = 1; // that one kernel does, 3: the adjoint
  };
  // Where sequences are too few, in segments, else as `whole` does. `key` tells
  // the attention from others, `flops` are those of a row.
  void launchInSegments(const AttentionShape &shape, llvm::StringRef key,
                        int64_t flops, const AttentionKernel &kernel,
                        const AttentionOperands &in,
                        llvm::function_ref<void()> whole);
  void launchPart(const AttentionShape &shape, llvm::StringRef key, Work work,
                  const AttentionOperands &in, bool statesOnly,
                  mlir::Value tasks, llvm::ArrayRef<mlir::Value> segments);
  void launchScan(const AttentionShape &shape, const AttentionOperands &in,
                  llvm::ArrayRef<mlir::Value> segments);
  mlir::LogicalResult convertCall(mlir::func::CallOp op);
  mlir::LogicalResult convertReturn(mlir::func::ReturnOp op);
  mlir::LogicalResult refuseResult(size_t index);
  mlir::LogicalResult convertConstant(mlir::Operation &op, mlir::Value result,
                                      mlir::DenseElementsAttr value);
  int64_t parameterIndex(mlir::FlatSymbolRefAttr symbol, Layout layout);
  mlir::Value gradientBuffer(mlir::FlatSymbolRefAttr symbol);
  // What a result, or a value like one, is stored in.
  mlir::MemRefType bufferTypeOf(mlir::Value tensor) const;
  void convertParam(mlir::Value result, mlir::FlatSymbolRefAttr symbol,
                    Layout layout);
  void convertSlice(tn::SliceOp op);
  mlir::Value narrowOutput(mlir::Value tensor) const;
  mlir::LogicalResult convertCast(tn::CastOp op);
  void castParameter(tn::CastOp op);
  mlir::LogicalResult convertProbe(tn::ProbeOp op);

  //===--------------------------------------------------------------------===//
  // Ablations and baselines: BaselineLaunches.cpp
  //===--------------------------------------------------------------------===//

  mlir::LogicalResult convertBaseline(mlir::Operation &op);
  void convertPositionIds(tn::PositionIdsOp op);
  void convertRoPE(tn::RoPEOp op);
  void convertSoftmax(tn::SoftmaxAttentionOp op);
  void convertSoftmaxGrad(tn::SoftmaxAttentionGradOp op);

  //===--------------------------------------------------------------------===//
  // Training: GradLaunches.cpp, AttentionGradLaunches.cpp
  //===--------------------------------------------------------------------===//

  mlir::LogicalResult convertGradient(mlir::Operation &op);
  // Whether kernels are those of a GPU.
  bool isForGPU() const { return state.target.rowSizes(1).threads != 0; }
  // Sizes of a kernel whose tasks own columns.
  TileSizes columnSizes() const;
  // The buffer of a gradient of a parameter, or of the sum that it joins, which
  // kernels add onto. One that the function does not return begins as zeros.
  mlir::Value accumulatorFor(mlir::Value tensor);
  void accumulate(mlir::Value x, mlir::Value buffer);
  void addGradients(tn::AddOp op);
  // Operations on rows that one kernel computes: RowClusterKernel.cpp.
  void convertCluster(llvm::ArrayRef<mlir::Operation *> cluster);
  mlir::Value storedOperand(mlir::Value tensor);
  // Pieces that are put together in one buffer are made there:
  // UnsliceBuffers.cpp.
  void placePieces();
  bool placePieces(tn::UnsliceOp op);
  void convertColumnGrad(mlir::Operation *op);
  void launchEmbeddingGrad(tn::EmbeddingGradOp op, mlir::Value result);
  void convertNormWeightGrad(tn::NormWeightGradOp op, mlir::Value result,
                             mlir::Value tasks);
  void convertRowGrad(mlir::Operation *op);
  void convertZeros(tn::ZerosOp op);
  void convertCopy(tn::CopyOp op);
  void copyStates(mlir::Value from, mlir::Value to);
  mlir::Value zeroStates(mlir::RankedTensorType type);
  void convertLinearGrad(mlir::Operation *op);
  void forPieces(
      int64_t vocabulary,
      llvm::function_ref<void(mlir::Value first, mlir::Value logits)> body);
  // Of a piece of the vocabulary, from the word `first` on: logits = x w^T, and
  // what their gradient adds to dx and to the rows of dweight.
  void launchLogits(mlir::Value x, mlir::Value weight, mlir::Value logits,
                    mlir::Value first);
  struct LogitGradients;
  void launchLogitGradients(const LogitGradients &in, mlir::Value dz,
                            mlir::Value first);
  void matmulLogitGradients(const LogitGradients &in, mlir::Value dz,
                            mlir::Value first);
  // Rows [first, first + count) of a matrix, of a constant `first`.
  mlir::Value rowsOf(mlir::Value matrix, mlir::Value first, int64_t count);
  void convertCrossEntropy(tn::CrossEntropyOp op);
  // A loss and its gradient together: HeadLaunches.cpp. Null where there is no
  // gradient to compute at once.
  tn::CrossEntropyGradOp gradientOfLoss(tn::CrossEntropyOp op) const;
  void convertHead(tn::CrossEntropyOp op, tn::CrossEntropyGradOp gradient);
  struct HeadBuffers {
    mlir::Value x, weight, labels, losses, scale, logits, dx, dweight;
  };
  void launchHead(const HeadBuffers &in, mlir::Value first, mlir::Value count);
  void launchLossMean(mlir::Value losses, mlir::Value labels,
                      mlir::Value gradient, mlir::Value result);
  void convertCrossEntropyGrad(tn::CrossEntropyGradOp op);
  void convertLRPEGrad(tn::LRPEGradOp op);
  void launchAttentionGrad(tn::LightningAttentionGradOp op);
  mlir::LogicalResult attendForGradients(tn::LightningAttentionGradOp op);
  void attend(const AttentionOperands &in, const AttentionShape &shape,
              const AttentionKernel &kernel, llvm::StringRef key);
  void attendWhole(const AttentionOperands &in, const AttentionShape &shape,
                   const AttentionKernel &kernel, llvm::StringRef key);
  bool attendAtOnce(tn::LightningAttentionGradOp op);
  void attendWholeAtOnce(const AttentionOperands &in,
                         const AttentionShape &shape,
                         const AttentionKernel &kernel, llvm::StringRef key);

  using Body = llvm::function_ref<void(KernelBuilder &)>;
  void launch(llvm::StringRef name, llvm::ArrayRef<mlir::Value> arguments,
              mlir::Value tasks, const TileSizes &sizes, llvm::StringRef key,
              const Work &work, Body body);
  void launch(llvm::StringRef name, llvm::ArrayRef<mlir::Value> arguments,
              mlir::Value tasks, const TileSizes &sizes, llvm::StringRef key,
              Body body) {
    launch(name, arguments, tasks, sizes, key, Work(), body);
  }
  // States on the kernel what a launch costs; on a GPU, where it is measured.
  void setCost(tnk::KernelOp kernel, llvm::ArrayRef<mlir::Value> arguments,
               const Work &work);
  bool isParameter(mlir::Value buffer) const;
  bool isState(mlir::Value buffer) const;
  void launchOperations(llvm::StringRef name,
                        llvm::ArrayRef<mlir::Operation *> operations,
                        llvm::ArrayRef<mlir::Value> made, mlir::Value bias,
                        mlir::Value output, const TileSizes &sizes,
                        mlir::Value tasks, mlir::Value product,
                        const llvm::DenseMap<mlir::Value, mlir::Value> &maps,
                        GroupBody body);
  // The buffer as a tensor [batch, length, heads, width] for tensor copies, or,
  // packed, [1, rows, heads, width].
  mlir::Value tensorMap(mlir::Value buffer, int64_t heads, bool packed);
  // A kernel that treats rows: the tasks that do all of them.
  mlir::Value rowTasks(const TileSizes &sizes);
  mlir::Value headTasks(const TileSizes &sizes, int64_t heads);

  ModuleState &state;
  mlir::func::FuncOp source, host;
  mlir::ImplicitLocOpBuilder b;
  int64_t capacity = 0;    // rows that one call takes
  int64_t sequences = 0;   // sequences that one call takes
  int64_t leadingRank = 2; // see leadingRankOf
  // Values of the host function.
  mlir::Value context, batch, length, rows;
  mlir::Value numSequences; // the batch, but where rows are packed
  llvm::DenseMap<mlir::Value, mlir::Value> buffers;
  // Where results that the function returns go.
  llvm::DenseMap<mlir::Value, mlir::Value> outputs;
  // Of a GPU's training program, by the first operation of each.
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<mlir::Operation *>>
      clusters;
  // Operations that were converted with another.
  llvm::DenseSet<mlir::Operation *> converted;
  // Arguments of the host function that are not of rows.
  llvm::DenseSet<mlir::Value> parameterArguments, stateArguments;
};

// The entry points @gradient_norm and @adamw of a GPU program (tnrt/abi.h), for
// the parameters that the module's functions were found to have.
void addOptimizer(ModuleState &state);

} // namespace tnllm::kernels

#endif // TNLLM_LIB_CONVERSION_TNTOTNK_FUNCTIONCONVERTER_H
