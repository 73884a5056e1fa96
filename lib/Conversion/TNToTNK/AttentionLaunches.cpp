// Which kernels a lightning attention becomes, and their launches.
#include "FunctionConverter.h"
#include "TiledKernels.h"

#include "TN/TNDialect.h"
#include "TNK/TNKDialect.h"
#include "TNRT/TNRTDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// Chunks of a segment, at least: fewer are not worth a state of their own.
static constexpr int64_t kMinChunks = 2;

Value FunctionConverter::tensorMap(Value buffer, int64_t heads, bool packed) {
  Type element = cast<MemRefType>(buffer.getType()).getElementType();
  auto type = tnk::MapType::get(b.getContext(), 64, 64, element);
  return tnrt::TensorMapOp::create(b, type, context, buffer,
                                   packed ? index(1) : batch,
                                   packed ? rows : length, heads);
}

Value FunctionConverter::matrixMap(Value buffer, Value count, int64_t rows) {
  Type element = cast<MemRefType>(buffer.getType()).getElementType();
  auto type = tnk::MapType::get(b.getContext(), rows, 64, element);
  return tnrt::TensorMapOp::create(b, type, context, buffer, index(1), count,
                                   /*heads=*/1);
}

LogicalResult FunctionConverter::convertAttention(tn::LightningAttentionOp op) {
  int64_t heads = op.getQ().getType().getDimSize(2);
  SmallVector<Value> matrices = {bufferOf(op.getQ()), bufferOf(op.getK()),
                                 bufferOf(op.getV()), outputFor(op.getOut())};
  AttentionKernel kernel = state.target.attentionKernel(
      op, llvm::map_to_vector(matrices, [](Value matrix) {
        return cast<MemRefType>(matrix.getType());
      }));
  Value offsets = op.getOffsets() ? bufferOf(op.getOffsets()) : Value();
  Value outRows = kernel.usesMaps && offsets ? matrices.back() : Value();
  if (kernel.usesMaps)
    for (Value &matrix : matrices)
      matrix = tensorMap(matrix, heads, /*packed=*/offsets != Value());
  Value states = bufferOf(op.getState()); // null: zeros of tn.zeros
  if (!states && !(kernel.mayLackState && op.getNewState().use_empty()))
    states = zeroStates(op.getState().getType());
  buffers[op.getNewState()] = states;
  AttentionOperands in{
      matrices[0], matrices[1], matrices[2], bufferOf(op.getSlopes()),
      states,      matrices[3], offsets,     outRows};
  // A call must take the chunks of two segments.
  if (kernel.fewRows > 0) {
    AttentionKernel many = kernel;
    many.sizes = kernel.manySizes;
    many.tasksPerHead = kernel.manyTasksPerHead;
    forFewRows(
        kernel.fewRows, [&] { launchAttention(op, kernel, in); },
        [&] { launchAttention(op, many, in); });
  } else {
    RankedTensorType q = op.getQ().getType(), v = op.getV().getType();
    AttentionShape shape{heads, q.getDimSize(3), v.getDimSize(3),
                         op.getScale().convertToFloat()};
    launchInSegments(shape, attributesOf(op), flopsOfRow({op}), kernel, in,
                     [&] { launchAttention(op, kernel, in); });
  }
  return success();
}

// Heads and widths, and the kernel's arguments: those of the operands that
// there are, in the order of the launch.
static AttentionBuffers attentionBuffers(KernelBuilder &k,
                                         tn::LightningAttentionOp op,
                                         bool hasState, bool hasOutRows) {
  RankedTensorType q = op.getQ().getType(), v = op.getV().getType();
  unsigned next = 0;
  AttentionBuffers in;
  in.q = k.argument(next++);
  in.k = k.argument(next++);
  in.v = k.argument(next++);
  in.slopes = k.argument(next++);
  if (hasState)
    in.state = k.argument(next++);
  in.out = k.argument(next++);
  (op.getOffsets() ? in.offsets : in.length) = k.argument(next++);
  if (hasOutRows)
    in.outRows = k.argument(next++);
  in.heads = q.getDimSize(2);
  in.keyWidth = q.getDimSize(3);
  in.valueWidth = v.getDimSize(3);
  in.scale = op.getScale().convertToFloat();
  return in;
}

void FunctionConverter::launchAttention(tn::LightningAttentionOp op,
                                        const AttentionKernel &kernel,
                                        const AttentionOperands &in) {
  int64_t heads = op.getQ().getType().getDimSize(2);
  SmallVector<Value> arguments = {in.q, in.k, in.v, in.slopes};
  if (in.state)
    arguments.push_back(in.state);
  arguments.append({in.out, extentOf(in)});
  if (in.outRows)
    arguments.push_back(in.outRows);
  Value tasks = arith::MulIOp::create(b, sequencesOf(in),
                                      index(heads * kernel.tasksPerHead));
  // Maps do not tell widths, which the state would.
  std::string key =
      (kernel.name + Twine(heads) + "x" +
       Twine(op.getQ().getType().getDimSize(3)) + "x" +
       Twine(op.getV().getType().getDimSize(3)) + attributesOf(op))
          .str();
  launch(kernel.name, arguments, tasks, kernel.sizes, key, {flopsOfRow({op})},
         [&](KernelBuilder &k) {
           kernel.build(k, attentionBuffers(k, op, in.state != Value(),
                                            in.outRows != Value()));
         });
}

//===----------------------------------------------------------------------===//
// In segments
//===----------------------------------------------------------------------===//

// As many segments as fill the GPU, of at least kMinChunks. The choice is made
// when the program runs, since it follows from the call's sequences and length.
void FunctionConverter::launchInSegments(const AttentionShape &shape,
                                         StringRef key, int64_t flops,
                                         const AttentionKernel &kernel,
                                         const AttentionOperands &in,
                                         llvm::function_ref<void()> whole) {
  if (kernel.fillingBlocks < 2 || in.offsets ||
      capacity <= kMinChunks * kAttentionChunk)
    return whole();
  auto ceilDiv = [&](Value x, Value y) -> Value {
    Value up = arith::SubIOp::create(b, y, index(1));
    return arith::DivUIOp::create(b, arith::AddIOp::create(b, x, up), y);
  };
  // No more segments than blocks, whatever the number of sequences.
  Value states = tnrt::AllocOp::create(
      b,
      MemRefType::get({kernel.fillingBlocks, shape.keyWidth, shape.valueWidth},
                      b.getF32Type()));
  Value tasks = arith::MulIOp::create(
      b, batch, index(shape.heads * kernel.tasksPerHead * shape.attentions));
  Value wanted = arith::MaxUIOp::create(
      b, arith::DivUIOp::create(b, index(kernel.fillingBlocks), tasks),
      index(1));
  Value chunks = arith::MaxUIOp::create(
      b, ceilDiv(ceilDiv(length, index(kAttentionChunk)), wanted),
      index(kMinChunks));
  Value count =
      ceilDiv(length, arith::MulIOp::create(b, chunks, index(kAttentionChunk)));
  Value isCut =
      arith::CmpIOp::create(b, arith::CmpIPredicate::ugt, count, index(1));
  auto branch = scf::IfOp::create(b, isCut, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  Value blocks = arith::MulIOp::create(b, tasks, count);
  Value segments[] = {states, chunks, count};
  // The states alone: decay, k v^T and their sum.
  Work ofStates{flops / 5 * 3}, ofOutputs{flops};
  launchPart(shape, key, ofStates, in, /*statesOnly=*/true, blocks, segments);
  launchScan(shape, in, segments);
  launchPart(shape, key, ofOutputs, in, /*statesOnly=*/false, blocks, segments);
  b.setInsertionPointToStart(branch.elseBlock());
  whole();
}

static AttentionSegments segmentsFrom(KernelBuilder &k, unsigned argument) {
  return {k.argument(argument), k.argument(argument + 1),
          k.argument(argument + 2)};
}

void FunctionConverter::launchPart(const AttentionShape &shape, StringRef key,
                                   Work work, const AttentionOperands &in,
                                   bool statesOnly, Value tasks,
                                   ArrayRef<Value> segments) {
  StringRef name = statesOnly ? "attention_states" : "attention_outputs";
  SmallVector<Value> arguments;
  bool isAdjoint = !in.gradients.empty();
  if (isAdjoint) {
    arguments = {in.q, in.k, in.v, in.out};
    if (!statesOnly)
      llvm::append_range(arguments, in.gradients);
    arguments.append({in.slopes, length});
  } else if (statesOnly) {
    arguments = {in.k, in.v, in.slopes, length};
  } else {
    arguments = {in.q, in.k, in.v, in.slopes};
    if (in.state)
      arguments.push_back(in.state);
    arguments.append({in.out, length});
  }
  unsigned first = arguments.size();
  llvm::append_range(arguments, segments);
  TiledAttentionBuffers out;
  out.part = statesOnly ? AttentionPart::States : AttentionPart::Outputs;
  out.heads = shape.heads;
  out.keyWidth = shape.keyWidth;
  out.valueWidth = shape.valueWidth;
  out.scale = shape.scale;
  out.reversed = shape.reversed;
  TileSizes sizes = state.target.sizes;
  sizes.threads =
      planTiledAttention(out.keyWidth, out.valueWidth, out.part).threads;
  std::string text = (name + (shape.reversed ? " reversed " : "") +
                      (isAdjoint ? " of " : "") + Twine(out.heads) + key)
                         .str();
  work.whole = segments[0];
  launch(name, arguments, tasks, sizes, text, work, [&](KernelBuilder &k) {
    unsigned next = 0;
    if (isAdjoint) {
      SmallVector<Value> maps;
      while (next + 2 < first)
        maps.push_back(k.argument(next++));
      setAdjoint(out, ArrayRef(maps).take_front(4),
                 ArrayRef(maps).drop_front(4));
    } else if (statesOnly) {
      out.k = k.argument(next++);
      out.v = k.argument(next++);
    } else {
      out.q = k.argument(next++);
      out.k = k.argument(next++);
      out.v = k.argument(next++);
    }
    out.slopes = k.argument(next++);
    if (!statesOnly && in.state)
      out.state = k.argument(next++);
    if (!statesOnly && !isAdjoint)
      out.out = k.argument(next++);
    out.length = k.argument(next++);
    out.segments = segmentsFrom(k, first);
    buildTiledAttention(k, out);
  });
}

void FunctionConverter::launchScan(const AttentionShape &shape,
                                   const AttentionOperands &in,
                                   ArrayRef<Value> segments) {
  SmallVector<Value> arguments = {in.slopes};
  if (in.state)
    arguments.push_back(in.state);
  unsigned first = arguments.size();
  llvm::append_range(arguments, segments);
  Value tasks = arith::MulIOp::create(
      b, batch, index(shape.heads * shape.keyWidth * shape.attentions));
  std::string key = "attention_scan" + std::to_string(shape.heads) + "x" +
                    std::to_string(shape.attentions);
  Work work;
  work.whole = segments[0];
  launch("attention_scan", arguments, tasks,
         segmentScanSizes(state.target.sizes), key, work,
         [&](KernelBuilder &k) {
           buildSegmentScan(
               k, {k.argument(0), in.state ? k.argument(1) : Value(),
                   segmentsFrom(k, first), shape.heads, shape.keyWidth,
                   shape.valueWidth, shape.attentions});
         });
}
