// The kernels that a CPU runs: one for each group.
#include "FunctionConverter.h"
#include "GradKernels.h"
#include "KernelChoice.h"
#include "RoundedRows.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

namespace {

class CPUKernels final : public KernelChoice {
public:
  CPUKernels(const TileSizes &sizes, tnrt::LayoutKind weights)
      : KernelChoice(sizes), weights(weights) {}

  LogicalResult check(Operation *op) const override {
    if (auto linear = dyn_cast<tn::LinearOp>(op))
      if (failed(checkWeight(linear)))
        return failure();
    auto rounding = dyn_cast<tn::RoundGroupsOp>(op);
    return success(!rounding || succeeded(checkRounding(rounding)));
  }

  Layout weightLayout(tn::LinearOp op) const override {
    return weights == tnrt::LayoutKind::Panels
               ? panelLayout(op, sizes)
               : plainLayout(op.getContext(), weights);
  }

  Type storageOf(Value tensor) const override {
    return getElementTypeOrSelf(tensor.getType());
  }

  TileSizes rowSizes(int64_t) const override { return sizes; }

  AttentionKernel attentionKernel(tn::LightningAttentionOp op,
                                  ArrayRef<MemRefType>) const override {
    if (op.getQ().getType().getDimSize(1) == 1 && !op.getOffsets())
      return {"attention_recurrent", sizes, buildRecurrentAttention};
    AttentionKernel chunked{"attention_chunked", sizes, buildChunkedAttention};
    chunked.mayLackState = fitsOnStack(op.getQ().getType().getDimSize(3),
                                       op.getV().getType().getDimSize(3));
    return chunked;
  }

  void launchLinear(FunctionConverter &converter,
                    const Group &group) const override {
    auto linear = cast<tn::LinearOp>(group.root);
    if (weights == tnrt::LayoutKind::Rows)
      return launchProduct(converter, linear, group);
    // A task is a panel of the weight.
    auto weight =
        cast<MemRefType>(converter.bufferOf(linear.getWeight()).getType());
    converter.launchGroup(
        group, sizes, converter.index(weight.getDimSize(0)),
        [&](KernelBuilder &k, const KernelArguments &in) {
          buildLinear(
              k,
              {in.of(linear.getX()), in.of(linear.getWeight()),
               in.of(linear.getScales()), in.of(linear.getBias()), in.rows,
               linear.getResult().getType().getShape().back(),
               linear.getWeight().getType().getDimSize(1),
               roundedGroup(linear.getX()).value_or(0)},
              Epilogue(group.tail, linear.getResult(), in.buffers, in.output));
        });
  }

private:
  static LogicalResult checkWeight(tn::LinearOp op) {
    Type x = getElementTypeOrSelf(op.getX().getType());
    Type weight = op.getWeight().getType().getElementType();
    if (!op.getScales() || (weight.isInteger(8) && x.isF32()))
      return success();
    return op.emitOpError("expected f32 and i8 of a quantised map on a CPU, "
                          "got ")
           << x << " and " << weight;
  }

  // Bytes with scales are what the products of linear maps read, and a tile of
  // any kernel stores whole groups of them.
  LogicalResult checkRounding(tn::RoundGroupsOp op) const {
    int64_t group = op.getGroup();
    if (group != sizes.panelWidth || group % 4 != 0)
      return op.emitOpError("expected groups of the panel width, a multiple of "
                            "4: ")
             << sizes.panelWidth << ", got " << group;
    Value result = op.getResult();
    if (auto fused = dyn_cast<tn::FusedOp>(op->getParentOp()))
      result = fused.getResult();
    for (OpOperand &use : result.getUses()) {
      auto linear = dyn_cast<tn::LinearOp>(use.getOwner());
      if (!linear || !linear.getScales() || &use != &linear.getXMutable())
        return op.emitOpError("expected only linear maps of i8 weights to read "
                              "what is rounded, got '")
               << use.getOwner()->getName() << "'";
    }
    return success();
  }

  // The weight lies in rows, as training changes it: each task packs what it
  // reads.
  void launchProduct(FunctionConverter &converter, tn::LinearOp linear,
                     const Group &group) const {
    ArrayRef<int64_t> shape = linear.getWeight().getType().getShape();
    converter.launchGroup(
        group, sizes, converter.productTasks(converter.numRows(), shape[0]),
        [&](KernelBuilder &k, const KernelArguments &in) {
          ProductBuffers product{in.of(linear.getX()),
                                 in.of(linear.getWeight()), in.output};
          product.transposeB = true;
          product.m = in.rows;
          product.depth = k.index(shape[1]);
          Value bias = in.of(linear.getBias());
          Epilogue epilogue(group.tail, linear.getResult(), in.buffers,
                            in.output);
          buildProduct(k, product, [&](Value tile, const TilePlace &place) {
            if (bias)
              tile = arith::AddFOp::create(
                  k.b, tile,
                  k.broadcastRow(k.loadRow(bias, {}, place.column,
                                           place.columns,
                                           place.columnsInBounds),
                                 place.rows));
            epilogue.apply(k, tile, place);
          });
        });
  }

  const tnrt::LayoutKind weights;
};

} // namespace

std::unique_ptr<KernelChoice> kernels::chooseForCPU(const TileSizes &sizes,
                                                    tnrt::LayoutKind weights) {
  return std::make_unique<CPUKernels>(sizes, weights);
}
