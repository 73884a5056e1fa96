// The kernel of a linear map for tensor cores: one warp copies tiles of x and
// of the weight into a ring, two warpgroups multiply 64 rows each and finish
// their sums with the fused chain before anything is stored.
#include "TiledKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

static constexpr int64_t kDepth = 64;     // of a stage
static constexpr int64_t kGroups = 2;     // warpgroups that multiply
static constexpr int64_t kGroupRows = 64; // of each
static constexpr int64_t kSlice = 64;     // columns finished at once

TiledLinearPlan kernels::planTiledLinear(int64_t columns) {
  TiledLinearPlan plan;
  plan.rows = kGroups * kGroupRows;
  // Wide tiles read less; narrow maps would leave half of one unused.
  plan.columns = columns % 256 == 0 || columns > 1024 ? 256 : 128;
  plan.stages = plan.columns == 256 ? 4 : 6;
  plan.threads = (1 + kGroups) * tnk::RoleOp::kGroupThreads;
  return plan;
}

namespace {

class TiledLinear {
public:
  TiledLinear(KernelBuilder &k, const TiledLinearBuffers &buffers,
              const Epilogue &epilogue)
      : k(k), b(k.b), in(buffers), epilogue(epilogue),
        plan(planTiledLinear(buffers.columns)) {}

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
  Value multiply(Value group);
  Value biasTile(Value column);

  KernelBuilder &k;
  ImplicitLocOpBuilder &b;
  const TiledLinearBuffers &in;
  const Epilogue &epilogue;
  TiledLinearPlan plan;
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
  });
}

// The sums of this warpgroup. One product is always under way: a stage is
// released a step after its own.
Value TiledLinear::multiply(Value group) {
  VectorType type = k.tileType(kGroupRows, plan.columns);
  auto wait = [&](Value sums, int64_t pending) {
    return tnk::MmaWaitOp::create(b, sums.getType(), sums, pending)
        .getResult(0);
  };
  auto loop = scf::ForOp::create(b, zero, steps, k.index(1),
                                 ValueRange{k.constant(type, 0.0)});
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value step = loop.getInductionVar();
    tnk::RingWaitOp::create(b, ring, step);
    Value x =
        tnk::PartOp::create(b, tile(kGroupRows), ringTile(step, 0), group);
    Value sums = tnk::MmaOp::create(b, type, x, ringTile(step, 1),
                                    loop.getRegionIterArg(0),
                                    /*transpose_a=*/false,
                                    /*transpose_b=*/true);
    sums = wait(sums, 1);
    Value isFirst =
        arith::CmpIOp::create(b, arith::CmpIPredicate::eq, step, zero);
    auto branch = scf::IfOp::create(b, isFirst, /*withElseRegion=*/true);
    b.setInsertionPointToStart(branch.elseBlock());
    tnk::RingReleaseOp::create(b, ring, k.sub(step, k.index(1)));
    b.setInsertionPointAfter(branch);
    scf::YieldOp::create(b, sums);
  }
  Value sums = wait(loop.getResult(0), 0);
  tnk::RingReleaseOp::create(b, ring, k.sub(steps, k.index(1)));
  return sums;
}

// The bias of a slice's columns, repeated for each row.
Value TiledLinear::biasTile(Value first) {
  auto map =
      AffineMap::get(1, 0, {b.getAffineConstantExpr(0), b.getAffineDimExpr(0)},
                     b.getContext());
  SmallVector<bool> inBounds = {true, in.columns % kSlice == 0};
  return vector::TransferReadOp::create(
      b, k.tileType(kGroupRows, kSlice), in.bias, ValueRange{first},
      std::optional<Value>(k.constant(b.getF32Type(), 0.0)), map,
      ArrayRef<bool>(inBounds));
}

void TiledLinear::multiplyRole() {
  Value group = tnk::GroupOp::create(b, b.getIndexType());
  Value sums = multiply(group);
  Value firstRow = k.add(row, k.mul(group, k.index(kGroupRows)));
  Value rowsLeft = k.sub(in.rows, firstRow);
  for (int64_t slice = 0; slice < plan.columns; slice += kSlice) {
    Value first = k.add(column, k.index(slice));
    Value part = vector::ExtractStridedSliceOp::create(
        b, sums, ArrayRef<int64_t>{0, slice},
        ArrayRef<int64_t>{kGroupRows, kSlice}, ArrayRef<int64_t>{1, 1});
    if (in.bias)
      part = arith::AddFOp::create(b, part, biasTile(first));
    epilogue.apply(k, part,
                   {firstRow, first, kGroupRows, kSlice,
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
  ring = tnk::RingOp::create(
      b,
      tnk::RingType::get(b.getContext(), plan.stages,
                         {tile(plan.rows), tile(plan.columns)}),
      tnk::RingFill::Copies, kGroups);
  auto roles = tnk::RolesOp::create(b);
  {
    OpBuilder::InsertionGuard guard(b);
    b.createBlock(&roles.getBody());
    role("copy", 1, 1, 24, [&] { copyRole(); });
    role("multiply", kGroups, 4, 240, [&] { multiplyRole(); });
  }
  k.finish();
}

void kernels::buildTiledLinear(KernelBuilder &k,
                               const TiledLinearBuffers &buffers,
                               const Epilogue &epilogue) {
  TiledLinear(k, buffers, epilogue).build();
}
