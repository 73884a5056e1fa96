// Launches of the kernels that ablations and baselines need.
#include "BaselineKernels.h"
#include "FunctionConverter.h"

#include "TN/TNDialect.h"
#include "TNRT/TNRTDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

bool kernels::isBaselineOp(Operation *op) {
  return isa<tn::PositionIdsOp, tn::RoPEOp, tn::SoftmaxAttentionOp,
             tn::SoftmaxAttentionGradOp>(op);
}

LogicalResult FunctionConverter::convertBaseline(Operation &op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
      .Case<tn::PositionIdsOp>(
          [&](auto o) { return convertPositionIds(o), success(); })
      .Case<tn::RoPEOp>([&](auto o) { return convertRoPE(o), success(); })
      .Case<tn::SoftmaxAttentionOp>(
          [&](auto o) { return convertSoftmax(o), success(); })
      .Case<tn::SoftmaxAttentionGradOp>(
          [&](auto o) { return convertSoftmaxGrad(o), success(); })
      .Default([](Operation *o) {
        return o->emitError("expected an operation of a baseline");
      });
}

void FunctionConverter::convertPositionIds(tn::PositionIdsOp op) {
  Value arguments[] = {bufferOf(op.getPositions()), outputFor(op.getResult()),
                       rows, length};
  TileSizes sizes = state.target.rowSizes(1);
  launch("position_ids", arguments, rowTasks(sizes), sizes, "position_ids",
         [&](KernelBuilder &k) {
           buildPositionIds(k, k.argument(0), k.argument(1), k.argument(2),
                            k.argument(3));
         });
}

void FunctionConverter::convertRoPE(tn::RoPEOp op) {
  ArrayRef<int64_t> shape = op.getX().getType().getShape();
  int64_t heads = shape[2], width = shape[3];
  Value arguments[] = {bufferOf(op.getX()),
                       bufferOf(op.getTheta()),
                       bufferOf(op.getPositions()),
                       outputFor(op.getResult()),
                       rows,
                       length};
  TileSizes sizes = state.target.rowSizes(width);
  sizes.overlaps = false;
  launch("rope", arguments, headTasks(sizes, heads), sizes,
         attributesOf(op) + std::to_string(heads), [&](KernelBuilder &k) {
           buildRoPE(k, {k.argument(0), k.argument(1), k.argument(2),
                         k.argument(3), k.argument(4), k.argument(5), heads,
                         width, op.getInverse()});
         });
}

void FunctionConverter::convertSoftmax(tn::SoftmaxAttentionOp op) {
  using Buffers = SoftmaxBuffers;
  RankedTensorType q = op.getQ().getType(), v = op.getV().getType();
  int64_t heads = q.getDimSize(2);
  // The arguments, and what the body knows them as.
  SmallVector<Value> arguments;
  SmallVector<Value Buffers::*> names;
  auto add = [&](Value Buffers::*name, Value buffer) {
    names.push_back(name);
    arguments.push_back(buffer);
  };
  add(&Buffers::q, bufferOf(op.getQ()));
  add(&Buffers::k, bufferOf(op.getK()));
  add(&Buffers::v, bufferOf(op.getV()));
  if (op.getCache()) {
    Value cache = bufferOf(op.getCache()); // null: zeros of tn.zeros
    if (!cache)
      cache = zeroStates(op.getCache().getType());
    buffers[op.getNewCache()] = cache; // updated in place
    add(&Buffers::cache, cache);
    add(&Buffers::positions, bufferOf(op.getPositions()));
  }
  add(&Buffers::out, outputFor(op.getOut()));
  bool wantsSums = !op.getLogSumExp().use_empty();
  if (wantsSums)
    add(&Buffers::logSumExp, outputFor(op.getLogSumExp()));
  add(&Buffers::length, length);
  bool isOne = q.getDimSize(1) == 1 && op.getCache();
  StringRef name = isOne ? "softmax_one_position" : "softmax_attention";
  TileSizes sizes = state.target.sizes;
  Value tasks = arith::MulIOp::create(b, batch, index(heads));
  auto *build = isOne ? buildOnePositionSoftmax : buildSoftmaxAttention;
  if (isForGPU()) {
    sizes = state.target.rowSizes(std::max(q.getDimSize(3), v.getDimSize(3)));
    sizes.overlaps = false;
    tasks = headTasks(sizes, heads);
    build = buildSoftmaxOfRow;
  }
  // operandSegmentSizes, an attribute, tells whether there is a cache.
  std::string key = name.str() + std::to_string(heads) + attributesOf(op) +
                    (wantsSums ? "with sums" : "");
  launch(name, arguments, tasks, sizes, key, [&](KernelBuilder &k) {
    Buffers in{};
    for (auto [number, field] : llvm::enumerate(names))
      in.*field = k.argument(number);
    in.heads = heads;
    in.keyWidth = q.getDimSize(3);
    in.valueWidth = v.getDimSize(3);
    in.block = op.getBlock().value_or(0);
    in.scale = op.getScale().convertToFloat();
    build(k, in);
  });
}

void FunctionConverter::convertSoftmaxGrad(tn::SoftmaxAttentionGradOp op) {
  RankedTensorType q = op.getQ().getType(), v = op.getV().getType();
  int64_t heads = q.getDimSize(2);
  SmallVector<Value> arguments = {
      bufferOf(op.getQ()),         bufferOf(op.getK()),
      bufferOf(op.getV()),         bufferOf(op.getOut()),
      bufferOf(op.getLogSumExp()), bufferOf(op.getDout()),
      outputFor(op.getDq()),       outputFor(op.getDk()),
      outputFor(op.getDv()),       length};
  auto buffersOf = [&](KernelBuilder &k) {
    SoftmaxGradBuffers in{};
    in.q = k.argument(0);
    in.k = k.argument(1);
    in.v = k.argument(2);
    in.out = k.argument(3);
    in.logSumExp = k.argument(4);
    in.dout = k.argument(5);
    in.dq = k.argument(6);
    in.dk = k.argument(7);
    in.dv = k.argument(8);
    in.length = k.argument(9);
    in.heads = heads;
    in.keyWidth = q.getDimSize(3);
    in.valueWidth = v.getDimSize(3);
    in.block = op.getBlock().value_or(0);
    in.scale = op.getScale().convertToFloat();
    return in;
  };
  std::string key = attributesOf(op) + std::to_string(heads);
  if (!isForGPU()) {
    Value tasks = arith::MulIOp::create(b, batch, index(heads));
    return launch("softmax_grad", arguments, tasks, state.target.sizes, key,
                  [&](KernelBuilder &k) { buildSoftmaxGrad(k, buffersOf(k)); });
  }
  // Two kernels over positions: queries, then keys with what the first found.
  TileSizes sizes =
      state.target.rowSizes(std::max(q.getDimSize(3), v.getDimSize(3)));
  sizes.overlaps = false;
  arguments.push_back(tnrt::AllocOp::create(
      b, MemRefType::get({capacity, heads}, b.getF32Type())));
  launch("softmax_grad_query", arguments, headTasks(sizes, heads), sizes,
         "query" + key, [&](KernelBuilder &k) {
           buildSoftmaxGradOfQuery(k, buffersOf(k), k.argument(10));
         });
  launch("softmax_grad_key", arguments, headTasks(sizes, heads), sizes,
         "key" + key, [&](KernelBuilder &k) {
           buildSoftmaxGradOfKey(k, buffersOf(k), k.argument(10));
         });
}
