// The kernels that a CPU runs: one for each group.
#include "FunctionConverter.h"
#include "KernelChoice.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

namespace {

class CPUKernels final : public KernelChoice {
public:
  CPUKernels(const TileSizes &sizes, Layout weights)
      : KernelChoice(sizes), weights(weights) {}

  Layout weightLayout() const override { return weights; }

  Type storageOf(Value tensor) const override {
    return getElementTypeOrSelf(tensor.getType());
  }

  TileSizes rowSizes(int64_t) const override { return sizes; }

  AttentionKernel
  attentionKernel(tn::LightningAttentionOp op,
                  ArrayRef<MemRefType>) const override {
    if (op.getQ().getType().getDimSize(1) == 1)
      return {"attention_recurrent", sizes, buildRecurrentAttention};
    return {"attention_chunked", sizes, buildChunkedAttention};
  }

  void launchLinear(FunctionConverter &converter,
                    const Group &group) const override {
    auto linear = cast<tn::LinearOp>(group.root);
    // A task is a panel of the weight.
    auto weight =
        cast<MemRefType>(converter.bufferOf(linear.getWeight()).getType());
    converter.launchGroup(
        group, sizes, converter.index(weight.getDimSize(0)),
        [&](KernelBuilder &k, const KernelArguments &in) {
          buildLinear(k,
                      {in.of(linear.getX()), in.of(linear.getWeight()),
                       in.of(linear.getScales()), in.of(linear.getBias()),
                       in.rows, linear.getResult().getType().getShape().back()},
                      Epilogue(group.tail, linear.getResult(), in.buffers,
                               in.output));
        });
  }

private:
  const Layout weights;
};

} // namespace

std::unique_ptr<KernelChoice> kernels::chooseForCPU(const TileSizes &sizes,
                                                    Layout weights) {
  return std::make_unique<CPUKernels>(sizes, weights);
}
