// The adjoint of a lightning attention on a GPU, which is three attentions.
#include "FunctionConverter.h"
#include "GradKernels.h"
#include "TiledKernels.h"

#include "TN/TNDialect.h"
#include "TNRT/TNRTDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// An attention over the sequences of the call, from states of zeros, without an
// operation of its own. `key` tells it from others.
void FunctionConverter::attend(const AttentionOperands &in,
                               const AttentionShape &shape,
                               const AttentionKernel &kernel, StringRef key) {
  SmallVector<Value> matrices = {in.q, in.k, in.v, in.out};
  if (kernel.usesMaps)
    for (Value &matrix : matrices)
      matrix = tensorMap(matrix, shape.heads, /*packed=*/false);
  AttentionOperands now{matrices[0],    matrices[1],   matrices[2],
                        in.slopes,      /*state=*/{},  matrices[3],
                        /*offsets=*/{}, /*outRows=*/{}};
  if (!kernel.mayLackState) {
    now.state = tnrt::AllocOp::create(
        b, MemRefType::get(
               {sequences, shape.heads, shape.keyWidth, shape.valueWidth},
               b.getF32Type()));
    copyStates(/*from=*/{}, now.state);
  }
  launchInSegments(shape, key, /*flops=*/0, kernel, now,
                   [&] { attendWhole(now, shape, kernel, key); });
}

void FunctionConverter::attendWhole(const AttentionOperands &in,
                                    const AttentionShape &shape,
                                    const AttentionKernel &kernel,
                                    StringRef key) {
  SmallVector<Value> arguments = {in.q, in.k, in.v, in.slopes, in.out, length};
  if (in.state)
    arguments.push_back(in.state);
  Value tasks =
      arith::MulIOp::create(b, batch, index(shape.heads * kernel.tasksPerHead));
  StringRef name = shape.reversed ? "attention_reversed" : kernel.name;
  launch(name, arguments, tasks, kernel.sizes,
         (name + Twine(shape.heads) + key).str(), [&](KernelBuilder &k) {
           Value states = in.state ? k.argument(6) : Value();
           AttentionBuffers buffers{
               k.argument(0),  k.argument(1),    k.argument(2), k.argument(3),
               states,         k.argument(4),    k.argument(5), shape.heads,
               shape.keyWidth, shape.valueWidth, shape.scale,   shape.reversed};
           kernel.build(k, buffers);
         });
}

// The gradients of q, k and v are attentions themselves:
//   dq_t = scale sum over s <= t of lambda^(t-s) (dout_t . v_s) k_s
//   dk_s = scale sum over t >= s of lambda^(t-s) (v_s . dout_t) q_t
//   dv_s = scale sum over t >= s of lambda^(t-s) (k_s . q_t) dout_t
// On a GPU they are therefore the forward's kernel with other operands, for dk
// and dv backwards in time; where keys and values have one width, one kernel.
LogicalResult
FunctionConverter::attendForGradients(tn::LightningAttentionGradOp op) {
  if (op.getState() || op.getDNewState() || !op.getDState().use_empty())
    return op.emitOpError("expected a sequence that begins and ends in the "
                          "call: a GPU has no kernel for gradients of states");
  if (attendAtOnce(op))
    return success();
  AttentionShape shape;
  shape.heads = op.getQ().getType().getDimSize(2);
  shape.scale = op.getScale().convertToFloat();
  auto attendTo = [&](Value q, Value k, Value v, Value out, bool backwards) {
    shape.keyWidth = columnsOf(q) / shape.heads;
    shape.valueWidth = columnsOf(v) / shape.heads;
    shape.reversed = backwards;
    SmallVector<MemRefType> types;
    for (Value matrix : {q, k, v, out})
      types.push_back(cast<MemRefType>(matrix.getType()));
    AttentionKernel kernel = state.target.longAttentionKernel(
        shape.keyWidth, shape.valueWidth, types);
    std::string key = attributesOf(op) + std::to_string(shape.keyWidth) + "x" +
                      std::to_string(shape.valueWidth);
    attend({q, k, v, bufferOf(op.getSlopes()), /*state=*/{}, out,
            /*offsets=*/{}, /*outRows=*/{}},
           shape, kernel, key);
  };
  Value q = bufferOf(op.getQ()), k = bufferOf(op.getK());
  Value v = bufferOf(op.getV()), dout = bufferOf(op.getDout());
  attendTo(dout, v, k, outputFor(op.getDq()), /*backwards=*/false);
  attendTo(v, dout, q, outputFor(op.getDk()), /*backwards=*/true);
  attendTo(k, q, dout, outputFor(op.getDv()), /*backwards=*/true);
  return success();
}

// False where no kernel does all three.
bool FunctionConverter::attendAtOnce(tn::LightningAttentionGradOp op) {
  RankedTensorType q = op.getQ().getType();
  int64_t heads = q.getDimSize(2), width = q.getDimSize(3);
  if (op.getV().getType().getDimSize(3) != width)
    return false;
  SmallVector<Value> matrices;
  for (Value input : {op.getQ(), op.getK(), op.getV(), op.getDout()})
    matrices.push_back(bufferOf(input));
  for (Value output : {op.getDq(), op.getDk(), op.getDv()})
    matrices.push_back(outputFor(output));
  SmallVector<MemRefType> types;
  for (Value matrix : matrices)
    types.push_back(cast<MemRefType>(matrix.getType()));
  AttentionKernel kernel =
      state.target.longAttentionKernel(width, width, types);
  if (!kernel.usesMaps || !kernel.mayLackState)
    return false;
  for (Value &matrix : matrices)
    matrix = tensorMap(matrix, heads, /*packed=*/false);
  AttentionShape shape{heads, width, width, op.getScale().convertToFloat()};
  shape.attentions = 3;
  AttentionOperands in;
  std::tie(in.q, in.k, in.v, in.out) =
      std::tie(matrices[0], matrices[1], matrices[2], matrices[3]);
  in.gradients.append(matrices.begin() + 4, matrices.end());
  in.slopes = bufferOf(op.getSlopes());
  std::string key = attributesOf(op) + std::to_string(width);
  launchInSegments(shape, key, /*flops=*/0, kernel, in,
                   [&] { attendWholeAtOnce(in, shape, kernel, key); });
  return true;
}

void FunctionConverter::attendWholeAtOnce(const AttentionOperands &in,
                                          const AttentionShape &shape,
                                          const AttentionKernel &kernel,
                                          StringRef key) {
  SmallVector<Value> arguments = {in.q, in.k, in.v, in.out};
  llvm::append_range(arguments, in.gradients);
  arguments.append({in.slopes, length});
  Value tasks = arith::MulIOp::create(
      b, batch, index(shape.heads * kernel.tasksPerHead * shape.attentions));
  launch("attention_gradients", arguments, tasks, kernel.sizes,
         ("attention_gradients" + Twine(shape.heads) + key).str(),
         [&](KernelBuilder &k) {
           TiledAttentionBuffers out;
           out.heads = shape.heads;
           out.keyWidth = shape.keyWidth;
           out.valueWidth = shape.valueWidth;
           out.scale = shape.scale;
           Value maps[] = {k.argument(0), k.argument(1), k.argument(2),
                           k.argument(3), k.argument(4), k.argument(5),
                           k.argument(6)};
           setAdjoint(out, ArrayRef(maps).take_front(4),
                      ArrayRef(maps).drop_front(4));
           out.slopes = k.argument(7);
           out.length = k.argument(8);
           buildTiledAttention(k, out);
         });
}
