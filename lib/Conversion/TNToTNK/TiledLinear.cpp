// The kernel of a linear map for tensor cores: one warp copies tiles of x and
// of the weight into a ring, warpgroups multiply 64 rows each and finish their
// sums with the fused chain before anything is stored. A second weight of the
// same x, whose result the chain multiplies with, has sums of its own.
#include "TiledKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

static constexpr int64_t kDepth = 64;     // of a stage
static constexpr int64_t kGroupRows = 64; // of a warpgroup
static constexpr int64_t kSlice = 64;     // columns finished at once

static int64_t threadsOf(int64_t groups) {
  return (1 + groups) * tnk::RoleOp::kGroupThreads;
}

TiledLinearPlan kernels::planTiledLinear(int64_t columns) {
  constexpr int64_t kGroups = 2;
  TiledLinearPlan plan;
  plan.groups = kGroups;
  plan.rows = kGroups * kGroupRows;
  // Wide tiles read less; narrow maps would leave half of one unused.
  plan.columns = columns % 256 == 0 || columns > 1024 ? 256 : 128;
  plan.stages = plan.columns == 256 ? 4 : 6;
  plan.threads = threadsOf(kGroups);
  plan.registers = 240;
  return plan;
}

// One wave of blocks: each reads all of x, and another that waits for the first
// ones would take as long again.
TiledLinearPlan kernels::planNarrowLinear(int64_t columns, bool hasFactor) {
  constexpr int64_t kBlocks = 132, kMaxColumns = 64;
  constexpr int64_t kStageBytes = 96 << 10; // of two blocks on a multiprocessor
  TiledLinearPlan plan;
  plan.groups = 1;
  plan.rows = kGroupRows;
  plan.columns =
      std::min(kMaxColumns, static_cast<int64_t>(llvm::alignTo(
                                llvm::divideCeil(columns, kBlocks), 8)));
  int64_t stage = 2 * kDepth * (plan.rows + (hasFactor ? 2 : 1) * plan.columns);
  plan.stages = kStageBytes / stage;
  plan.threads = threadsOf(plan.groups);
  plan.registers = 104;
  return plan;
}

namespace {

class TiledLinear {
public:
  TiledLinear(KernelBuilder &k, const TiledLinearBuffers &buffers,
              Epilogue &epilogue)
      : k(k), b(k.b), in(buffers), epilogue(epilogue), plan(buffers.plan) {}

  void build();

private:
  tnk::TileType tile(int64_t rows) {
    return tnk::TileType::get(b.getContext(), rows, kDepth, b.getBF16Type());
  }
  Value ringTile(Value step, int64_t index) {
    auto type = cast<tnk::RingType>(ring.getType());
    return tnk::RingTileOp::create(b, type.getTiles()[index], ring, step,
                                   index);
  }
  void role(StringRef name, int64_t groups, int64_t warps, int64_t registers,
            function_ref<void()> body);
  void copyRole();
  void multiplyRole();
  SmallVector<Value> multiply(Value group);
  Value slice(Value sums, int64_t first, int64_t width) {
    return vector::ExtractStridedSliceOp::create(
        b, sums, ArrayRef<int64_t>{0, first},
        ArrayRef<int64_t>{kGroupRows, width}, ArrayRef<int64_t>{1, 1});
  }
  Value biasTile(Value column, int64_t width);

  KernelBuilder &k;
  ImplicitLocOpBuilder &b;
  const TiledLinearBuffers &in;
  Epilogue &epilogue;
  const TiledLinearPlan plan;
  Value zero, row, column, steps, ring;
};

} // namespace

void TiledLinear::role(StringRef name, int64_t groups, int64_t warps,
                       int64_t registers, function_ref<void()> body) {
  auto op = tnk::RoleOp::create(b, name, groups, warps, registers);
  OpBuilder::InsertionGuard guard(b);
  b.createBlock(&op.getBody());
  body();
}

void TiledLinear::copyRole() {
  k.forLoop(zero, steps, 1, [&](Value step) {
    tnk::RingAcquireOp::create(b, ring, step);
    Value depth = k.mul(step, k.index(kDepth));
    auto load = [&](Value map, Value first, int64_t index) {
      tnk::LoadAsyncOp::create(b, map, ValueRange{zero, first, zero, depth},
                               ringTile(step, index), ring, step);
    };
    load(in.x, row, 0);
    load(in.weight, column, 1);
    if (in.factor)
      load(in.factor, column, 2);
  });
}

// The sums of this warpgroup, and those of the factor. The products of one step
// are always under way: a stage is released a step after its own.
SmallVector<Value> TiledLinear::multiply(Value group) {
  VectorType type = k.tileType(kGroupRows, plan.columns);
  int64_t count = in.factor ? 2 : 1;
  auto wait = [&](ValueRange sums, int64_t pending) {
    return tnk::MmaWaitOp::create(b, SmallVector<Type>(count, type), sums,
                                  pending)
        .getResults();
  };
  // The zeros of the factor would be written to its registers when it starts,
  // while the first product is under way, for which ptxas waits (C7517).
  SmallVector<Value> zeros(count, k.constant(type, 0.0));
  if (in.factor)
    zeros = llvm::to_vector_of<Value>(wait(zeros, 0));
  auto loop = scf::ForOp::create(b, zero, steps, k.index(1), zeros);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value step = loop.getInductionVar();
    tnk::RingWaitOp::create(b, ring, step);
    Value x = ringTile(step, 0);
    if (plan.groups > 1)
      x = tnk::PartOp::create(b, tile(kGroupRows), x, group);
    SmallVector<Value> started;
    for (int64_t i = 0; i < count; ++i)
      started.push_back(tnk::MmaOp::create(
          b, type, x, ringTile(step, 1 + i), loop.getRegionIterArg(i),
          /*transpose_a=*/false, /*transpose_b=*/true));
    ValueRange sums = wait(started, count);
    Value isFirst =
        arith::CmpIOp::create(b, arith::CmpIPredicate::eq, step, zero);
    auto branch = scf::IfOp::create(b, isFirst, /*withElseRegion=*/true);
    b.setInsertionPointToStart(branch.elseBlock());
    tnk::RingReleaseOp::create(b, ring, k.sub(step, k.index(1)));
    b.setInsertionPointAfter(branch);
    scf::YieldOp::create(b, sums);
  }
  ValueRange sums = wait(loop.getResults(), 0);
  tnk::RingReleaseOp::create(b, ring, k.sub(steps, k.index(1)));
  return llvm::to_vector_of<Value>(sums);
}

// The bias of a slice's columns, repeated for each row.
Value TiledLinear::biasTile(Value first, int64_t width) {
  auto map =
      AffineMap::get(1, 0, {b.getAffineConstantExpr(0), b.getAffineDimExpr(0)},
                     b.getContext());
  SmallVector<bool> inBounds = {true, in.columns % width == 0};
  return vector::TransferReadOp::create(
      b, k.tileType(kGroupRows, width), in.bias, ValueRange{first},
      std::optional<Value>(k.constant(b.getF32Type(), 0.0)), map,
      ArrayRef<bool>(inBounds));
}

void TiledLinear::multiplyRole() {
  Value group = tnk::GroupOp::create(b, b.getIndexType());
  SmallVector<Value> sums = multiply(group);
  Value firstRow = k.add(row, k.mul(group, k.index(kGroupRows)));
  Value rowsLeft = k.sub(in.rows, firstRow);
  int64_t width = std::min(kSlice, plan.columns);
  for (int64_t begin = 0; begin < plan.columns; begin += width) {
    Value first = k.add(column, k.index(begin));
    Value part = slice(sums[0], begin, width);
    if (in.bias)
      part = arith::AddFOp::create(b, part, biasTile(first, width));
    llvm::DenseMap<Value, Value> made;
    if (in.factor)
      made[in.factorResult] = slice(sums[1], begin, width);
    epilogue.setTiles(made);
    epilogue.apply(k, part,
                   {firstRow, first, kGroupRows, width,
                    in.columns % plan.columns == 0, rowsLeft});
  }
}

void TiledLinear::build() {
  zero = k.index(0);
  Value rowTiles =
      k.div(k.add(in.rows, k.index(plan.rows - 1)), k.index(plan.rows));
  row = k.mul(k.rem(k.task(), rowTiles), k.index(plan.rows));
  column = k.mul(k.div(k.task(), rowTiles), k.index(plan.columns));
  steps = k.index(llvm::divideCeil(in.depth, kDepth));
  SmallVector<tnk::TileType> tiles(in.factor ? 3 : 2, tile(plan.columns));
  tiles.front() = tile(plan.rows);
  ring = tnk::RingOp::create(
      b, tnk::RingType::get(b.getContext(), plan.stages, tiles),
      tnk::RingFill::Copies, plan.groups);
  auto roles = tnk::RolesOp::create(b);
  {
    OpBuilder::InsertionGuard guard(b);
    b.createBlock(&roles.getBody());
    role("copy", 1, 1, 24, [&] { copyRole(); });
    role("multiply", plan.groups, 4, plan.registers, [&] { multiplyRole(); });
  }
  k.finish();
}

void kernels::buildTiledLinear(KernelBuilder &k,
                               const TiledLinearBuffers &buffers,
                               Epilogue &epilogue) {
  TiledLinear(k, buffers, epilogue).build();
}
