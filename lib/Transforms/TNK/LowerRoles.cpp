// tnk-lower-roles: roles to one chain of branches on the warpgroup.
#include "Threads.h"
#include "tnllm/Transforms/Passes.h"

namespace tnllm {
#define GEN_PASS_DEF_TNKLOWERROLES
#include "tnllm/Transforms/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;
using namespace tnllm::threads;

static constexpr int64_t kRegisters = 65536; // of a multiprocessor

// Blocks that a multiprocessor holds at once, two where their roles need no more
// registers than that.
static int64_t blocksOf(tnk::RolesOp roles) {
  int64_t registers = 0;
  for (auto role : roles.getBody().getOps<tnk::RoleOp>())
    registers += role.getThreads() * role.getRegisters();
  return registers <= kRegisters / 2 ? 2 : 1;
}

// Registers that each thread has when the kernel starts: an equal share of the
// multiprocessor's, in steps of 8.
static int64_t registersAtStart(int64_t threads) {
  constexpr int64_t kLimit = 255;
  return std::min(kRegisters / threads, kLimit) / 8 * 8;
}

static void setRegisters(ImplicitLocOpBuilder &b, int64_t wanted,
                         int64_t threads) {
  int64_t before = registersAtStart(threads);
  if (wanted == before)
    return;
  auto action = wanted > before ? NVVM::SetMaxRegisterAction::increase
                                : NVVM::SetMaxRegisterAction::decrease;
  NVVM::SetMaxRegisterOp::create(b, static_cast<uint32_t>(wanted), action);
}

// The body of `role`, at the insertion point; it starts at warpgroup `start`.
static void inlineRole(ImplicitLocOpBuilder &b, tnk::RoleOp role,
                       Value warpgroup, int64_t start, int64_t threads) {
  setRegisters(b, role.getRegisters(), threads);
  SmallVector<tnk::GroupOp> groups;
  role.walk([&](tnk::GroupOp op) { groups.push_back(op); });
  if (!groups.empty()) {
    Value group = arith::IndexCastOp::create(
        b, b.getIndexType(),
        arith::SubIOp::create(b, warpgroup, constant(b, start)));
    for (tnk::GroupOp op : groups) {
      op.replaceAllUsesWith(group);
      op.erase();
    }
  }
  OpBuilder::InsertionGuard guard(b);
  if (role.getWarps() == 1) {
    Value first =
        arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                              threadOf(b, kWarpgroup), constant(b, kWarp));
    auto branch = scf::IfOp::create(b, first, false);
    b.setInsertionPointToStart(branch.thenBlock());
  }
  Block *block = b.getInsertionBlock();
  block->getOperations().splice(b.getInsertionPoint(),
                                role.getBody().front().getOperations());
}

static void lowerRoles(tnk::RolesOp roles) {
  ImplicitLocOpBuilder b(roles.getLoc(), roles);
  auto kernel = cast<tnk::KernelOp>(roles->getParentOp());
  const int64_t blocks = blocksOf(roles);
  int64_t threads = *kernel.getThreads() * blocks; // of a multiprocessor
  SmallVector<tnk::RoleOp> list(roles.getBody().getOps<tnk::RoleOp>());
  Value number = warpgroup(b);
  int64_t start = 0;
  for (auto [index, role] : llvm::enumerate(list)) {
    int64_t end = start + role.getGroups();
    // The last role is what is left: one chain, each role in one branch.
    if (index + 1 == list.size()) {
      inlineRole(b, role, number, start, threads);
      break;
    }
    Value isHere = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, number,
                                         constant(b, end));
    auto branch = scf::IfOp::create(b, isHere, /*withElseRegion=*/true);
    b.setInsertionPointToStart(branch.thenBlock());
    inlineRole(b, role, number, start, threads);
    b.setInsertionPointToStart(branch.elseBlock());
    start = end;
  }
  roles.erase();
  // Registers can be moved only where a block knows its share.
  kernel->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                  b.getI32IntegerAttr(blocks));
}

namespace {

struct LowerRolesPass : public tnllm::impl::TNKLowerRolesBase<LowerRolesPass> {
  using TNKLowerRolesBase::TNKLowerRolesBase;

  void runOnOperation() override {
    SmallVector<tnk::RolesOp> roles(
        getOperation().getBody().getOps<tnk::RolesOp>());
    llvm::for_each(roles, lowerRoles);
  }
};

} // namespace
