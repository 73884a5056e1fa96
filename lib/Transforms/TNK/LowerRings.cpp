// tnk-lower-rings: rings and copies to barriers in shared memory and nvvm.
#include "Threads.h"
#include "tnllm/Transforms/Passes.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace tnllm {
#define GEN_PASS_DEF_TNKLOWERRINGS
#include "tnllm/Transforms/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;
using namespace tnllm::threads;

// Swizzled tiles start where the swizzle's pattern does.
static constexpr int64_t kTileAlignment = 1024;
static constexpr int64_t kBarrierBytes = 8;
static constexpr int64_t kWarpsOfGroup = kWarpgroup / kWarp;

namespace {

// Where a ring lies in the kernel's shared memory.
struct RingPlace {
  int64_t tiles;    // offset of the first stage
  int64_t barriers; // offset of the full barriers; the empty ones follow
};

class RingLowering {
public:
  explicit RingLowering(tnk::KernelOp kernel)
      : kernel(kernel), b(kernel.getLoc(), kernel.getContext()) {}

  void lower();

private:
  int64_t planMemory();
  void initialise(Operation *last);
  void chooseAddresses();
  void lowerOp(Operation *op);

  // Steps of a ring.
  Value stage(tnk::RingType type, Value iteration);
  Value parity(tnk::RingType type, Value iteration);
  Value fullBarrier(Value ring, Value iteration);
  Value emptyBarrier(Value ring, Value iteration);
  Value barrier(Value ring, Value iteration, int64_t offset);
  void wait(Value barrier, Value parity);
  void arrive(Value barrier);
  tnk::RingOp ringOf(Value ring) { return ring.getDefiningOp<tnk::RingOp>(); }

  void acquire(tnk::RingAcquireOp op);
  void load(tnk::LoadAsyncOp op);
  void store(tnk::StoreAsyncOp op);
  void storeWait();
  Value tilePointer(Value tile) {
    return cast(b, sharedPointer(b.getContext()), tile);
  }
  SmallVector<Value> boxCoordinates(ValueRange coordinates, int64_t block);

  tnk::KernelOp kernel;
  ImplicitLocOpBuilder b;
  Value base; // of the kernel's shared memory
  DenseMap<Operation *, int64_t> scratches;
  DenseMap<Operation *, RingPlace> rings;
};

} // namespace

// Tiles first, since they are aligned, then barriers. Returns the bytes.
int64_t RingLowering::planMemory() {
  int64_t bytes = 0;
  kernel.walk([&](tnk::ScratchOp op) {
    scratches[op] = bytes;
    bytes += llvm::alignTo(op.getTile().getType().getBytes(), kTileAlignment);
  });
  kernel.walk([&](tnk::RingOp op) {
    rings[op].tiles = bytes;
    tnk::RingType type = op.getRing().getType();
    bytes += type.getStages() * type.getStageBytes();
  });
  kernel.walk([&](tnk::RingOp op) {
    rings[op].barriers = bytes;
    bytes += 2 * op.getRing().getType().getStages() * kBarrierBytes;
  });
  return bytes;
}

// Thread 0 makes the barriers; nobody uses them before.
void RingLowering::initialise(Operation *last) {
  b.setInsertionPointAfter(last);
  auto branch =
      scf::IfOp::create(b,
                        arith::CmpIOp::create(b, arith::CmpIPredicate::eq,
                                              thread(b), constant(b, 0)),
                        /*withElseRegion=*/false);
  b.setInsertionPointToStart(branch.thenBlock());
  kernel.walk([&](tnk::RingOp op) {
    int64_t stages = op.getRing().getType().getStages();
    int64_t fillers = op.getFill() == tnk::RingFill::Copies ? 1 : kWarpsOfGroup;
    for (int64_t i = 0; i < 2 * stages; ++i)
      NVVM::MBarrierInitOp::create(
          b, offset(b, base, rings[op].barriers + i * kBarrierBytes),
          constant(b, i < stages ? fillers : op.getReaders() * kWarpsOfGroup),
          Value{});
  });
  b.setInsertionPointAfter(branch);
  NVVM::FenceMbarrierInitOp::create(b);
  gpu::BarrierOp::create(b);
}

Value RingLowering::stage(tnk::RingType type, Value iteration) {
  return arith::RemUIOp::create(b, toI32(b, iteration),
                                constant(b, type.getStages()));
}

// Of the rounds through the ring before this iteration, modulo 2.
Value RingLowering::parity(tnk::RingType type, Value iteration) {
  Value round = arith::DivUIOp::create(b, toI32(b, iteration),
                                       constant(b, type.getStages()));
  return arith::AndIOp::create(b, round, constant(b, 1));
}

Value RingLowering::barrier(Value ring, Value iteration, int64_t first) {
  auto type = llvm::cast<tnk::RingType>(ring.getType());
  Value bytes = arith::MulIOp::create(b, stage(type, iteration),
                                      constant(b, kBarrierBytes));
  return offset(b, offset(b, base, first), bytes);
}

Value RingLowering::fullBarrier(Value ring, Value iteration) {
  return barrier(ring, iteration, rings[ringOf(ring)].barriers);
}

Value RingLowering::emptyBarrier(Value ring, Value iteration) {
  int64_t stages = llvm::cast<tnk::RingType>(ring.getType()).getStages();
  return barrier(ring, iteration,
                 rings[ringOf(ring)].barriers + stages * kBarrierBytes);
}

void RingLowering::wait(Value barrier, Value parity) {
  constexpr int64_t kSuspend = 10'000'000; // nanoseconds between looks
  NVVM::MBarrierTryWaitParityOp::create(b, barrier, parity,
                                        constant(b, kSuspend));
}

// One thread for the warp, after all of its threads.
void RingLowering::arrive(Value barrier) {
  NVVM::SyncWarpOp::create(b, constant(b, -1));
  inFirstOf(b, kWarp, [&] {
    NVVM::MBarrierArriveOp::create(b, b.getI64Type(), barrier, Value{});
  });
}

void RingLowering::acquire(tnk::RingAcquireOp op) {
  auto type = op.getRing().getType();
  // A fresh barrier counts as one round behind: the first round waits for
  // nothing.
  Value before =
      arith::XOrIOp::create(b, parity(type, op.getIteration()), constant(b, 1));
  wait(emptyBarrier(op.getRing(), op.getIteration()), before);
  if (ringOf(op.getRing()).getFill() != tnk::RingFill::Copies)
    return;
  Value full = fullBarrier(op.getRing(), op.getIteration());
  inFirstOf(b, kWarp, [&] {
    NVVM::MBarrierArriveExpectTxOp::create(
        b, Type{}, full, constant(b, type.getStageBytes()),
        NVVM::MemScopeKind::CTA, /*relaxed=*/false, Value{});
  });
}

// Innermost first: column, head, position, batch.
SmallVector<Value> RingLowering::boxCoordinates(ValueRange coordinates,
                                                int64_t block) {
  SmallVector<Value> box;
  for (Value coordinate : llvm::reverse(coordinates))
    box.push_back(toI32(b, coordinate));
  box.front() = arith::AddIOp::create(
      b, box.front(), constant(b, block * tnk::TileType::kBlockColumns));
  return box;
}

void RingLowering::load(tnk::LoadAsyncOp op) {
  tnk::TileType type = op.getTile().getType();
  Value tile = tilePointer(op.getTile());
  Value map = cast(b, LLVM::LLVMPointerType::get(b.getContext()), op.getMap());
  Value full = fullBarrier(op.getRing(), op.getIteration());
  auto clusterPointer = LLVM::LLVMPointerType::get(
      b.getContext(),
      static_cast<unsigned>(NVVM::NVVMMemorySpace::SharedCluster));
  inFirstOf(b, kWarp, [&] {
    for (int64_t block = 0; block < type.getBlocks(); ++block) {
      Value target = LLVM::AddrSpaceCastOp::create(
          b, clusterPointer, offset(b, tile, block * type.getBlockBytes()));
      NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp::create(
          b, target, map, boxCoordinates(op.getCoordinates(), block), full,
          ValueRange{}, Value{}, Value{}, NVVM::TMALoadMode::TILE,
          /*isCTAOnly=*/false, NVVM::CTAGroupKindAttr{}, Value{});
    }
  });
}

void RingLowering::store(tnk::StoreAsyncOp op) {
  tnk::TileType type = op.getTile().getType();
  Value tile = tilePointer(op.getTile());
  Value map = cast(b, LLVM::LLVMPointerType::get(b.getContext()), op.getMap());
  fenceAsync(b);
  syncWarpgroup(b);
  inFirstOf(b, kWarpgroup, [&] {
    for (int64_t block = 0; block < type.getBlocks(); ++block)
      NVVM::CpAsyncBulkTensorSharedCTAToGlobalOp::create(
          b, map, offset(b, tile, block * type.getBlockBytes()),
          boxCoordinates(op.getCoordinates(), block), Value{},
          NVVM::TMAStoreMode::TILE, Value{});
    NVVM::CpAsyncBulkCommitGroupOp::create(b);
  });
}

void RingLowering::storeWait() {
  inFirstOf(b, kWarpgroup, [&] {
    NVVM::CpAsyncBulkWaitGroupOp::create(b, 0, b.getUnitAttr());
  });
  syncWarpgroup(b);
}

// A choice between maps is one between their addresses.
void RingLowering::chooseAddresses() {
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  kernel.walk([&](arith::SelectOp op) {
    if (!isa<tnk::MapType>(op.getType()))
      return;
    b.setInsertionPoint(op);
    b.setLoc(op.getLoc());
    Value chosen = arith::SelectOp::create(
        b, op.getCondition(), cast(b, pointer, op.getTrueValue()),
        cast(b, pointer, op.getFalseValue()));
    op.replaceAllUsesWith(cast(b, op.getType(), chosen));
    op.erase();
  });
}

void RingLowering::lowerOp(Operation *op) {
  b.setInsertionPoint(op);
  b.setLoc(op->getLoc());
  if (auto tile = dyn_cast<tnk::ScratchOp>(op)) {
    op->getResult(0).replaceAllUsesWith(cast(
        b, tile.getTile().getType(), offset(b, base, scratches.lookup(op))));
  } else if (auto tile = dyn_cast<tnk::RingTileOp>(op)) {
    auto type = tile.getRing().getType();
    Value bytes = arith::MulIOp::create(b, stage(type, tile.getIteration()),
                                        constant(b, type.getStageBytes()));
    Value first = offset(b, base,
                         rings[ringOf(tile.getRing())].tiles +
                             type.getTileOffset(tile.getIndex()));
    op->getResult(0).replaceAllUsesWith(
        cast(b, tile.getTile().getType(), offset(b, first, bytes)));
  } else if (auto part = dyn_cast<tnk::PartOp>(op)) {
    tnk::TileType type = part.getPart().getType();
    Value bytes = arith::MulIOp::create(b, toI32(b, part.getIndex()),
                                        constant(b, type.getBytes()));
    op->getResult(0).replaceAllUsesWith(
        cast(b, type, offset(b, tilePointer(part.getTile()), bytes)));
  } else if (auto step = dyn_cast<tnk::RingAcquireOp>(op)) {
    acquire(step);
  } else if (auto step = dyn_cast<tnk::RingCommitOp>(op)) {
    fenceAsync(b);
    arrive(fullBarrier(step.getRing(), step.getIteration()));
  } else if (auto step = dyn_cast<tnk::RingWaitOp>(op)) {
    wait(fullBarrier(step.getRing(), step.getIteration()),
         parity(step.getRing().getType(), step.getIteration()));
  } else if (auto step = dyn_cast<tnk::RingReleaseOp>(op)) {
    arrive(emptyBarrier(step.getRing(), step.getIteration()));
  } else if (auto copy = dyn_cast<tnk::LoadAsyncOp>(op)) {
    load(copy);
  } else if (auto copy = dyn_cast<tnk::StoreAsyncOp>(op)) {
    store(copy);
  } else if (isa<tnk::StoreWaitOp>(op)) {
    storeWait();
  }
}

void RingLowering::lower() {
  int64_t bytes = planMemory();
  SmallVector<Operation *> steps, makers;
  kernel.walk([&](Operation *op) {
    if (isa<tnk::RingOp>(op))
      makers.push_back(op);
    else if (isa<tnk::ScratchOp, tnk::RingTileOp, tnk::PartOp,
                 tnk::RingAcquireOp, tnk::RingCommitOp, tnk::RingWaitOp,
                 tnk::RingReleaseOp, tnk::LoadAsyncOp, tnk::StoreAsyncOp,
                 tnk::StoreWaitOp>(op))
      steps.push_back(op);
  });
  if (bytes != 0) {
    b.setInsertionPointToStart(&kernel.getBody().front());
    auto space = gpu::AddressSpaceAttr::get(b.getContext(),
                                            gpu::AddressSpace::Workgroup);
    Value memory = tnk::SharedOp::create(
        b, MemRefType::get({bytes}, b.getI8Type(), nullptr, space),
        kTileAlignment);
    Value address = arith::IndexCastOp::create(
        b, b.getI64Type(),
        memref::ExtractAlignedPointerAsIndexOp::create(b, memory));
    base = LLVM::IntToPtrOp::create(b, sharedPointer(b.getContext()), address);
    if (!makers.empty())
      initialise(base.getDefiningOp());
  }
  chooseAddresses();
  for (Operation *op : steps)
    lowerOp(op);
  for (Operation *op : llvm::reverse(steps))
    op->erase();
  for (Operation *op : makers)
    op->erase();
}

namespace {

struct LowerRingsPass : public tnllm::impl::TNKLowerRingsBase<LowerRingsPass> {
  using TNKLowerRingsBase::TNKLowerRingsBase;

  void runOnOperation() override { RingLowering(getOperation()).lower(); }
};

} // namespace
