// The kernel between the two parts of an attention in segments: from the state
// of each segment alone to the state that each begins with,
//   before_0 = state,  before_{s+1} = lambda^n before_s + alone_s
// over n positions, in place. The segments of one sequence and head are few,
// the elements of a state many: a task is a row of the state and goes through
// the segments, whose rows it loads several at a time.
#include "KernelBuilder.h"
#include "TiledKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

static constexpr int64_t kWarp = 32;
static constexpr int64_t kColumns = 4 * kWarp; // 16 bytes of a thread
static constexpr int64_t kTogether = 16; // segments whose loads are in flight

TileSizes kernels::segmentScanSizes(TileSizes sizes) {
  sizes.threads = kWarp;
  sizes.panelWidth = kColumns;
  return sizes;
}

namespace {

class SegmentScan {
public:
  SegmentScan(KernelBuilder &k, const SegmentScanBuffers &buffers)
      : k(k), b(k.b), in(buffers) {}

  void build();

private:
  Value load(Value buffer, ValueRange indices, VectorType type) {
    return vector::TransferReadOp::create(
        b, type, buffer, indices,
        std::optional<Value>(k.constant(b.getF32Type(), 0.0)),
        ArrayRef<bool>{true});
  }
  // lambda to the positions of a segment.
  Value decayOfSegment();
  void scanColumns(Value column, int64_t width);
  Value scanTogether(Value first, Value before, Value column);

  KernelBuilder &k;
  ImplicitLocOpBuilder &b;
  const SegmentScanBuffers &in;
  Value row, head, sequence; // of the state; b
  Value first;               // segment's place among the states
  Value lambda;
};

} // namespace

Value SegmentScan::decayOfSegment() {
  constexpr double kLog2E = 1.4426950408889634;
  Type f32 = b.getF32Type();
  Value positions = k.mul(in.segments.chunks, k.index(kAttentionChunk));
  Value count = arith::SIToFPOp::create(
      b, f32, arith::IndexCastOp::create(b, b.getI64Type(), positions));
  Value decay = arith::MulFOp::create(b, k.loadScalar(in.slopes, head),
                                      k.constant(f32, -kLog2E));
  return math::Exp2Op::create(b, arith::MulFOp::create(b, count, decay));
}

// `before` is the state before segment `number`; returns that after kTogether
// of them, of which those past the end are not there.
Value SegmentScan::scanTogether(Value number, Value before, Value column) {
  auto type = cast<VectorType>(before.getType());
  Value last = k.sub(in.segments.count, k.index(1));
  SmallVector<Value> alone;
  for (int64_t i = 0; i < kTogether; ++i) {
    Value segment = k.min(k.add(number, k.index(i)), last);
    alone.push_back(
        load(in.segments.states, {k.add(first, segment), row, column}, type));
  }
  Value factor = k.broadcast(lambda, type);
  for (int64_t i = 0; i < kTogether; ++i) {
    Value segment = k.add(number, k.index(i));
    auto exists = scf::IfOp::create(
        b, k.compare(arith::CmpIPredicate::ult, segment, in.segments.count),
        /*withElseRegion=*/false);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(exists.thenBlock());
      vector::TransferWriteOp::create(
          b, before, in.segments.states,
          ValueRange{k.add(first, segment), row, column}, ArrayRef<bool>{true});
    }
    before = math::FmaOp::create(b, before, factor, alone[i]);
  }
  return before;
}

void SegmentScan::scanColumns(Value column, int64_t width) {
  auto type = VectorType::get({width}, b.getF32Type());
  Value before = in.state ? load(in.state, {sequence, head, row, column}, type)
                          : k.constant(type, 0.0);
  auto loop = scf::ForOp::create(b, k.index(0), in.segments.count,
                                 k.index(kTogether), ValueRange{before});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value after =
      scanTogether(loop.getInductionVar(), loop.getRegionIterArg(0), column);
  scf::YieldOp::create(b, after);
}

void SegmentScan::build() {
  Value keys = k.index(in.keyWidth), heads = k.index(in.heads);
  row = k.rem(k.task(), keys);
  Value number = k.div(k.task(), keys);
  Value place = number;
  if (in.attentions > 1)
    place = k.div(number, k.index(in.attentions));
  head = k.rem(place, heads);
  sequence = k.div(place, heads);
  first = k.mul(number, in.segments.count);
  lambda = decayOfSegment();
  k.forColumns(
      in.valueWidth, k.sizes.panelWidth,
      [&](Value column, int64_t width) { scanColumns(column, width); });
  k.finish();
}

void kernels::buildSegmentScan(KernelBuilder &k,
                               const SegmentScanBuffers &buffers) {
  SegmentScan(k, buffers).build();
}
