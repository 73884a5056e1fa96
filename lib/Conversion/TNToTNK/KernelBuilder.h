// How the bodies of kernels are written: loops over tiles, loads and stores of
// tiles, and the element-wise operations of tn on them. Private to this folder.
//
// Buffers of activations are matrices [rows, columns]; a tile is a
// vector<rows x columns x f32> in registers. Every kernel computes an element
// by the same sequence of operations whatever tile it falls in, so results do
// not depend on the batch.
#ifndef TNLLM_LIB_CONVERSION_TNTOTNK_KERNELBUILDER_H
#define TNLLM_LIB_CONVERSION_TNTOTNK_KERNELBUILDER_H

#include "TN/TNDialect.h"
#include "TNK/TNKDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace tnllm::kernels {

// Sizes that the target description and the pass options give.
struct TileSizes {
  int64_t tileRows = 6;           // rows of the register tile
  int64_t panelWidth = 64;        // columns of the register tile
  bool bf16Pairs = false;         // bf16 weights in pairs
  int64_t blockBytes = 256 << 10; // of a panel, kept in the cache
  // Of calls with 2 to streamRows rows: the block, and how far ahead to fetch.
  int64_t streamBlockBytes = 16 << 10;
  int64_t streamRows = 16;
  int64_t chunk = 64;   // positions of an attention chunk
  int64_t rowBlock = 8; // rows of a task of a row-wise kernel
  int64_t threads = 0;  // GPU threads of a task; 0 on a CPU
  // On a GPU, whether the kernel may start while the one before runs. Not worth it
  // for many small blocks, each of which would wait, or after a library's product.
  bool overlaps = true;
};

// A tile's place in a matrix.
struct TilePlace {
  mlir::Value row, column;
  int64_t rows, columns; // of the tile
  bool columnsInBounds;  // false where the tile may reach past the last column
  mlir::Value rowsLeft =
      {}; // rows of the matrix from `row` on, or null: enough
};

struct RoundedRows; // RoundedRows.h

class KernelBuilder {
public:
  // Starts the kernel `name` with `arguments` and the task. Inserted at the end
  // of `module`.
  KernelBuilder(mlir::ModuleOp module, llvm::StringRef name, mlir::Location loc,
                llvm::ArrayRef<mlir::Type> arguments, const TileSizes &sizes);

  tnk::KernelOp getKernel() { return kernel; }
  mlir::Value argument(unsigned index) { return kernel.getArgument(index); }
  mlir::Value task() { return kernel.getTask(); }
  // Ends the body.
  void finish();

  // Index arithmetic.
  mlir::Value index(int64_t value);
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value sub(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, mlir::Value b);
  mlir::Value div(mlir::Value a, mlir::Value b); // of non-negative values
  mlir::Value rem(mlir::Value a, mlir::Value b);
  mlir::Value min(mlir::Value a, mlir::Value b);
  mlir::Value compare(mlir::arith::CmpIPredicate predicate, mlir::Value a,
                      mlir::Value b);

  using IndexBody = llvm::function_ref<void(mlir::Value)>;
  using TileBody = llvm::function_ref<void(mlir::Value start, int64_t size)>;
  // for i in [begin, end) step `step`.
  void forLoop(mlir::Value begin, mlir::Value end, mlir::Value step,
               IndexBody body);
  void forLoop(mlir::Value begin, mlir::Value end, int64_t step,
               IndexBody body);
  // Covers [0, extent) with tiles of the given sizes, largest first; the last
  // size is 1, so that nothing is computed twice or past the end.
  void forTiles(mlir::Value extent, llvm::ArrayRef<int64_t> sizes,
                TileBody body);
  // Covers [0, extent) with tiles of `width` and one of the remainder.
  void forColumns(int64_t extent, int64_t width, TileBody body);
  // Halving sizes from `largest` to 1: 6, 4, 2, 1.
  static llvm::SmallVector<int64_t> halvingSizes(int64_t largest);

  // Values of f32.
  mlir::VectorType tileType(int64_t rows, int64_t columns);
  mlir::Value constant(mlir::Type type, double value); // scalar or splat
  mlir::Value broadcast(mlir::Value value, mlir::VectorType type);
  // Repeats a vector for each row of a tile.
  mlir::Value broadcastRow(mlir::Value vector, int64_t rows);
  // Loads widen bf16 to f32, stores narrow to the buffer's type.
  mlir::Value loadScalar(mlir::Value buffer, mlir::ValueRange indices);
  // vector<columns> of a row; of a vector when `row` is null.
  mlir::Value loadRow(mlir::Value buffer, mlir::Value row, mlir::Value column,
                      int64_t columns, bool inBounds = true);
  void storeRow(mlir::Value vector, mlir::Value buffer, mlir::Value row,
                mlir::Value column);
  mlir::Value loadTile(mlir::Value buffer, const TilePlace &place);
  void storeTile(mlir::Value tile, mlir::Value buffer, const TilePlace &place);
  // acc + A[row.., k..] * B[k.., column..] over `depth`; see tnk.contract.
  mlir::Value contract(mlir::Value a, mlir::ValueRange aIndices, mlir::Value b,
                       mlir::ValueRange bIndices, mlir::Value acc,
                       mlir::Value depth, bool transposeA = false,
                       bool pairs = false, int64_t prefetch = 0);
  // acc + A[row.., column..] * B[bRow.., ..] over `depth`, A being rounded; see
  // tnk.contract_groups.
  mlir::Value contractGroups(const RoundedRows &a, mlir::Value row,
                             mlir::Value column, mlir::Value b,
                             mlir::Value bRow, mlir::Value acc,
                             mlir::Value depth, int64_t group,
                             int64_t prefetch = 0);
  // Which elements of a tile are rows that are left; null where all are.
  mlir::Value maskOf(const TilePlace &place);
  // A scratch matrix on the stack of the task, 64-byte aligned.
  mlir::Value scratch(int64_t rows, int64_t columns);
  // A list of the task: on its stack or, with threads, in shared memory.
  mlir::Value list(int64_t size, mlir::Type element);

  // phi of a tile (tn.activation without columns).
  mlir::Value activate(tn::ActivationKind kind, mlir::Value tile);

  mlir::ImplicitLocOpBuilder b;
  const TileSizes sizes;

private:
  mlir::Value elu(mlir::Value tile);
  mlir::Value sigmoid(mlir::Value tile);

  tnk::KernelOp kernel;
};

// The element-wise tail of a kernel: applied to a tile of the root's result,
// its last value is stored to `output`. `operands` maps the tensors that the
// tail reads from outside to the kernel's buffers.
class Epilogue {
public:
  Epilogue(llvm::ArrayRef<mlir::Operation *> operations, mlir::Value rootResult,
           const llvm::DenseMap<mlir::Value, mlir::Value> &operands,
           mlir::Value output)
      : operations(operations), rootResult(rootResult), operands(operands),
        output(output) {}

  void apply(KernelBuilder &k, mlir::Value tile, const TilePlace &place) const;

  // Tensors that the kernel has as tiles of the same place, not in buffers.
  void setTiles(const llvm::DenseMap<mlir::Value, mlir::Value> &made) {
    tiles = &made;
  }

private:
  mlir::Value applyActivation(KernelBuilder &k, tn::ActivationOp op,
                              mlir::Value tile, const TilePlace &place) const;

  llvm::ArrayRef<mlir::Operation *> operations;
  mlir::Value rootResult;
  const llvm::DenseMap<mlir::Value, mlir::Value> &operands;
  mlir::Value output;
  const llvm::DenseMap<mlir::Value, mlir::Value> *tiles = nullptr;
};

//===----------------------------------------------------------------------===//
// Bodies, one for each root. Each expects a KernelBuilder whose arguments are
// those named, in the order of the comment, and leaves it finished.
//===----------------------------------------------------------------------===//

// One task is one panel of the weight. The depth is cut in blocks, so that the
// tiles of rows after the first find the panel in a cache; between blocks the
// sums wait in scratch, in f32, which changes no bit of them. With many rows a
// block is `blockBytes` of the panel. With few, the panel's way from memory is
// what takes time: a block is `streamBlockBytes`, and every tile asks for the
// next one, so that memory never waits for arithmetic.
struct LinearBuffers {
  mlir::Value x, weight; // [rows, K], panels
  mlir::Value scales;    // [N] of an i8 weight, or null
  mlir::Value bias;      // [N], or null
  mlir::Value rows;
  int64_t columns; // N
  int64_t depth;   // K
  // x is rounded in groups of as many columns (RoundedRows.h); 0: it is not.
  int64_t group = 0;
};
void buildLinear(KernelBuilder &k, const LinearBuffers &buffers,
                 const Epilogue &epilogue);

// The same on a GPU for at most kGemvRows rows, the weight in rows [N, K]. A
// task is a warp and some columns: there are gemvTasks(N), and the builder's
// sizes are gemvSizes().
constexpr int64_t kGemvRows = 8;
int64_t gemvTasks(int64_t columns);
TileSizes gemvSizes(TileSizes sizes);
void buildGemv(KernelBuilder &k, const LinearBuffers &buffers,
               const Epilogue &epilogue);

// One task is `rowBlock` rows; with threads, one row.
void buildNorm(KernelBuilder &k, tn::NormOp op, mlir::Value x,
               mlir::Value weight, mlir::Value bias, mlir::Value rows,
               const Epilogue &epilogue);
// x, plus `bias` [columns] where there is one, through the epilogue, whose
// output may be x itself.
void buildElementwise(KernelBuilder &k, mlir::Value x, mlir::Value bias,
                      mlir::Value rows, const Epilogue &epilogue);
void buildEmbedding(KernelBuilder &k, mlir::Value ids, mlir::Value table,
                    mlir::Value output, mlir::Value rows, double scale);
// exp(x - max over each head's `width` columns).
void buildShiftedExp(KernelBuilder &k, mlir::Value x, mlir::Value output,
                     mlir::Value rows, int64_t heads, int64_t width);
void buildLRPE(KernelBuilder &k, mlir::Value x, mlir::Value theta,
               mlir::Value positions, mlir::Value output, mlir::Value rows,
               mlir::Value length, int64_t heads, int64_t width);

// One task is a row: sampleSizes() are the builder's sizes. On a GPU there are
// two kernels: `List` decides what can be decided while it looks at the row, and
// lists the tokens that may be chosen otherwise; `Choose` is one warp a row,
// sizes sampleChoiceSizes(), which finds the token in the list.
enum class SamplePart { Whole, List, Choose };
struct SampleBuffers {
  mlir::Value logits;   // [rows, V] f32; not of Choose
  mlir::Value settings; // [rows, tn::SampleOp::kSettings] f32
  mlir::Value tokens;   // [rows] i32
  int64_t vocabulary;   // V
  SamplePart part = SamplePart::Whole;
  // Between the parts: [rows, kSampleList] i64 and [rows, kSampleNotes] f32.
  mlir::Value list = {}, notes = {};
};
constexpr int64_t kSampleList = 4096, kSampleNotes = 3;
TileSizes sampleSizes(TileSizes sizes, int64_t vocabulary);
TileSizes sampleChoiceSizes(TileSizes sizes);
void buildSample(KernelBuilder &k, const SampleBuffers &buffers);

// The buffers of one lightning attention. q, k: [rows, H * Dk], v, out:
// [rows, H * Dv], slopes [H], state [*, H, Dk, Dv]. One task is one head of one
// sequence: batch * H tasks.
struct AttentionBuffers {
  mlir::Value q, k, v, slopes, state, out;
  mlir::Value length; // null where sequences are packed
  int64_t heads, keyWidth, valueWidth;
  double scale;
  bool reversed = false; // from the last position to the first
  // Of packed sequences: [S + 1] i64, and the output's buffer where `out` is a
  // map.
  mlir::Value offsets = {}, outRows = {};
};
// True for states that a task may keep on its stack: of a sequence that begins
// and ends in the call.
bool fitsOnStack(int64_t keyWidth, int64_t valueWidth);
// Any length, in chunks (arXiv 2401.04658, algorithm 1). The state may be null
// where it fits on the stack.
void buildChunkedAttention(KernelBuilder &k, const AttentionBuffers &buffers);
// One position.
void buildRecurrentAttention(KernelBuilder &k, const AttentionBuffers &buffers);

// On a GPU, by recurrence: one position, or any length >= 1. A task is some columns
// of one head: batch * H * recurrentTasksPerHead(Dv) tasks, and the builder's sizes
// are onePositionSizes(), or recurrentSizes(), a warp.
int64_t recurrentTasksPerHead(int64_t valueWidth);
TileSizes recurrentSizes(TileSizes sizes);
// Of one position: four warps where the key's width divides. A task is
// `panelWidth` columns of the value, all of them (up to 128) where `isWide`, of
// which there are valueWidth / panelWidth a head.
TileSizes onePositionSizes(TileSizes sizes, int64_t keyWidth,
                           int64_t valueWidth, bool isWide);
void buildOnePositionAttention(KernelBuilder &k,
                               const AttentionBuffers &buffers);
// Also backwards in time, as the adjoint goes.
void buildSequentialAttention(KernelBuilder &k,
                              const AttentionBuffers &buffers);

} // namespace tnllm::kernels

#endif // TNLLM_LIB_CONVERSION_TNTOTNK_KERNELBUILDER_H
