// Which operations on rows become one kernel, and in which order all stand
// then.
//
// Operations are taken as they come. One joins a cluster with rows of the same
// width if it reads what the cluster makes or reads, unless something between
// them would have to be computed in the middle of the kernel: the graph whose
// nodes are clusters and single operations stays without cycles. Clusters that
// it joins by what they read become one likewise. The graph is then walked in
// the order of dependences.
#include "RowClusters.h"

#include "Buffers.h"

#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallPtrSet.h"

#include <set>

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// Tensors of a cluster, read or made: more might not fit in registers.
static constexpr size_t kMostTensors = 20;
// Tiles of a row that a block keeps, and columns of a row that is summed.
static constexpr int64_t kMostTiles = 4, kMostSummedColumns = 8192;

static int64_t columnsOfTensor(Value tensor) {
  return cast<RankedTensorType>(tensor.getType()).getShape().back();
}

static bool isMatrix(Value tensor, int64_t leadingRank) {
  auto type = cast<RankedTensorType>(tensor.getType());
  return type.getRank() == leadingRank + 1 && isActivation(type);
}

// An operation on rows whose operands and result have one width. Some columns
// alone, and sums of rows that no block can keep, are for kernels of their own.
static bool isRowOp(Operation *op) {
  if (auto activation = dyn_cast<tn::ActivationOp>(op))
    return !activation.getColumns();
  if (auto gradient = dyn_cast<tn::ActivationGradOp>(op))
    return !gradient.getColumns();
  if (isa<tn::NormOp, tn::NormGradOp>(op))
    return columnsOfTensor(op->getResult(0)) <= kMostSummedColumns;
  return isa<tn::AddOp, tn::MulOp>(op);
}

// A cast to bf16 of such a result, or of an argument: one that is not merely
// the type in which its operand is stored.
static bool isRounding(Operation *op) {
  auto cast = dyn_cast<tn::CastOp>(op);
  if (!cast || !getElementTypeOrSelf(cast.getX().getType()).isF32() ||
      !getElementTypeOrSelf(cast.getResult().getType()).isBF16())
    return false;
  Operation *source = cast.getX().getDefiningOp();
  return !source || isRowOp(source);
}

bool kernels::sumsColumns(ArrayRef<Operation *> cluster) {
  return llvm::any_of(cluster, llvm::IsaPred<tn::NormOp, tn::NormGradOp>);
}

TileSizes kernels::clusterSizes(TileSizes sizes, int64_t columns) {
  constexpr int64_t kThreadElements = 8, kWarp = 32, kMostThreads = 512;
  for (int64_t tiles = 1; tiles <= kMostTiles; ++tiles) {
    int64_t threads = columns / (tiles * kThreadElements);
    if (columns % (tiles * kThreadElements * kWarp) != 0 ||
        threads > kMostThreads)
      continue;
    sizes.threads = threads;
    sizes.panelWidth = columns / tiles;
    break;
  }
  // Rows are many more than multiprocessors: a block need not begin before its
  // turn.
  sizes.overlaps = false;
  return sizes;
}

namespace {

class Clustering {
public:
  Clustering(Block &block, int64_t leadingRank)
      : block(block), leadingRank(leadingRank) {}

  llvm::DenseMap<Operation *, RowCluster> run();

private:
  // A cluster, or an operation that is none's.
  struct Node {
    RowCluster operations;
    int64_t columns = 0; // of a cluster; 0: of a single operation
    llvm::SmallPtrSet<Value, 8> tensors = {};
  };

  bool isCandidate(Operation *op) const {
    return (isRowOp(op) || isRounding(op)) &&
           isMatrix(op->getResult(0), leadingRank) &&
           llvm::all_of(op->getOperands(), [&](Value operand) {
             return !isActivation(cast<RankedTensorType>(operand.getType())) ||
                    isMatrix(operand, leadingRank);
           });
  }
  void add(Operation &op);
  void join(unsigned node, Operation &op);
  void merge(unsigned node, Operation &op);
  bool shares(const Node &node, Operation &op) const;
  bool dependsAcross(unsigned node, ArrayRef<Operation *> operations) const;
  SmallVector<unsigned> needsOf(Operation &op) const;
  void schedule();

  Block &block;
  int64_t leadingRank;
  SmallVector<Node> nodes;
  llvm::DenseMap<Operation *, unsigned> nodeOf;
};

} // namespace

// The nodes that an operation, or one inside of it, reads from.
SmallVector<unsigned> Clustering::needsOf(Operation &op) const {
  SmallVector<unsigned> needs;
  op.walk([&](Operation *inner) {
    for (Value operand : inner->getOperands()) {
      auto known = nodeOf.find(operand.getDefiningOp());
      if (operand.getDefiningOp() && known != nodeOf.end())
        needs.push_back(known->second);
    }
  });
  return needs;
}

bool Clustering::shares(const Node &node, Operation &op) const {
  return llvm::any_of(op.getOperands(), [&](Value operand) {
    return node.tensors.contains(operand) &&
           isActivation(cast<RankedTensorType>(operand.getType()));
  });
}

// True where the operations need something else that in turn needs the node.
bool Clustering::dependsAcross(unsigned node,
                               ArrayRef<Operation *> operations) const {
  llvm::SmallDenseSet<unsigned> seen;
  SmallVector<unsigned> left;
  for (Operation *op : operations) {
    auto known = nodeOf.find(op);
    for (unsigned need : needsOf(*op))
      if (need != node && (known == nodeOf.end() || known->second != need))
        left.push_back(need);
  }
  while (!left.empty()) {
    unsigned next = left.pop_back_val();
    if (next == node)
      return true;
    if (!seen.insert(next).second)
      continue;
    for (Operation *each : nodes[next].operations)
      for (unsigned need : needsOf(*each))
        if (need != next)
          left.push_back(need);
  }
  return false;
}

void Clustering::join(unsigned number, Operation &op) {
  Node &node = nodes[number];
  node.operations.push_back(&op);
  nodeOf[&op] = number;
  node.tensors.insert_range(op.getOperands());
  node.tensors.insert_range(op.getResults());
}

// Other clusters that read or make what the operation reads, with which it has
// made one of the node.
void Clustering::merge(unsigned number, Operation &op) {
  for (unsigned i = 0; i < nodes.size(); ++i) {
    Node &other = nodes[i], &node = nodes[number];
    if (i == number || other.columns != node.columns ||
        other.tensors.size() + node.tensors.size() > kMostTensors ||
        !shares(other, op) || dependsAcross(i, node.operations) ||
        dependsAcross(number, other.operations))
      continue;
    for (Operation *moved : other.operations)
      nodeOf[moved] = number;
    node.operations.append(other.operations);
    llvm::sort(node.operations, [](Operation *a, Operation *b) {
      return a->isBeforeInBlock(b);
    });
    node.tensors.insert_range(other.tensors);
    other = Node();
  }
}

void Clustering::add(Operation &op) {
  bool candidate = isCandidate(&op);
  if (candidate) {
    // The last one first: it is the one whose values are at hand.
    for (size_t i = nodes.size(); i-- > 0;)
      if (nodes[i].columns == columnsOfTensor(op.getResult(0)) &&
          nodes[i].tensors.size() + 2 < kMostTensors && shares(nodes[i], op) &&
          !dependsAcross(i, &op)) {
        join(i, op);
        return merge(i, op);
      }
  }
  nodes.push_back({{}, candidate ? columnsOfTensor(op.getResult(0)) : 0});
  join(nodes.size() - 1, op);
}

// In the order of dependences; where that leaves a choice, by the place at
// which the last operation of a node stood.
void Clustering::schedule() {
  llvm::DenseMap<Operation *, unsigned> place;
  for (auto [number, op] : llvm::enumerate(block))
    place[&op] = number;
  SmallVector<llvm::SmallSetVector<unsigned, 4>> users(nodes.size());
  SmallVector<unsigned> missing(nodes.size());
  for (auto [number, node] : llvm::enumerate(nodes))
    for (Operation *op : node.operations)
      for (unsigned need : needsOf(*op))
        if (need != number && users[need].insert(number))
          ++missing[number];
  std::set<std::pair<unsigned, unsigned>> ready;
  auto makeReady = [&](unsigned number) {
    ready.insert({place[nodes[number].operations.back()], number});
  };
  for (unsigned number = 0; number < nodes.size(); ++number)
    if (missing[number] == 0 && !nodes[number].operations.empty())
      makeReady(number);
  Operation *terminator = block.getTerminator();
  while (!ready.empty()) {
    unsigned number = ready.begin()->second;
    ready.erase(ready.begin());
    for (Operation *op : nodes[number].operations)
      op->moveBefore(terminator);
    for (unsigned user : users[number])
      if (--missing[user] == 0)
        makeReady(user);
  }
}

llvm::DenseMap<Operation *, RowCluster> Clustering::run() {
  for (Operation &op : block.without_terminator())
    add(op);
  schedule();
  llvm::DenseMap<Operation *, RowCluster> clusters;
  for (Node &node : nodes)
    if (node.columns != 0 && node.operations.size() > 1)
      clusters[node.operations.front()] = node.operations;
  return clusters;
}

llvm::DenseMap<Operation *, RowCluster>
kernels::clusterRows(func::FuncOp function, int64_t leadingRank) {
  return Clustering(function.getBody().front(), leadingRank).run();
}
