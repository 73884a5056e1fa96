// The kernel of a cluster of operations on rows, and its launch. Everything
// that the cluster reads is loaded first, so that all of it is on its way at
// once; then the operations are computed one after the other on vectors of the
// row.
#include "FunctionConverter.h"
#include "GradKernels.h"
#include "RowClusters.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

namespace {

class RowClusterKernel {
public:
  RowClusterKernel(KernelBuilder &k, ArrayRef<Operation *> cluster,
                   const RowClusterBuffers &buffers)
      : k(k), b(k.b), cluster(cluster), buffers(buffers) {}

  void build();

private:
  struct Place {
    Value column;
    int64_t width;
  };
  // A vector of each place.
  using Tiles = SmallVector<Value>;

  void compute();
  void compute(Operation *op);
  Tiles map(size_t count,
            llvm::function_ref<Value(size_t place, VectorType type)> body);
  Tiles normOf(tn::NormOp op);
  Tiles normGradOf(tn::NormGradOp op);
  Value sum(llvm::function_ref<Value(size_t place)> term);
  Value mean(llvm::function_ref<Value(size_t place)> term) {
    return arith::DivFOp::create(b, sum(term),
                                 k.constant(b.getF32Type(), buffers.columns));
  }
  RowStatistics statisticsOf(tn::NormKind kind, double epsilon, Value x);
  VectorType typeAt(size_t place) {
    return VectorType::get({places[place].width}, b.getF32Type());
  }
  Value splat(Value scalar, size_t place) {
    return k.broadcast(scalar, typeAt(place));
  }
  // An element of each column, the same of all rows.
  Value ofColumns(Value tensor, size_t place) {
    return k.loadRow(buffers.inputs.lookup(tensor), {}, places[place].column,
                     places[place].width);
  }

  KernelBuilder &k;
  ImplicitLocOpBuilder &b;
  ArrayRef<Operation *> cluster;
  const RowClusterBuffers &buffers;
  SmallVector<Place> places;
  llvm::DenseMap<Value, Tiles> tiles;
  // By kind, epsilon and tensor.
  SmallVector<std::tuple<tn::NormKind, double, Value, RowStatistics>> known;
};

} // namespace

RowClusterKernel::Tiles RowClusterKernel::map(
    size_t count,
    llvm::function_ref<Value(size_t place, VectorType type)> body) {
  Tiles made;
  for (size_t i = 0; i < count; ++i)
    made.push_back(body(i, typeAt(i)));
  return made;
}

// Partial sums of tiles of one width, then those of the rest: a fixed order.
Value RowClusterKernel::sum(llvm::function_ref<Value(size_t place)> term) {
  Value vector, total;
  auto finish = [&] {
    Value part =
        vector::ReductionOp::create(b, vector::CombiningKind::ADD, vector);
    total = total ? arith::AddFOp::create(b, total, part).getResult() : part;
  };
  for (size_t i = 0; i < places.size(); ++i) {
    Value value = term(i);
    if (vector && vector.getType() == value.getType()) {
      vector = arith::AddFOp::create(b, vector, value);
      continue;
    }
    if (vector)
      finish();
    vector = value;
  }
  finish();
  return total;
}

// Once for a norm and its adjoint.
RowStatistics RowClusterKernel::statisticsOf(tn::NormKind kind, double epsilon,
                                             Value x) {
  for (auto &[knownKind, knownEpsilon, tensor, statistics] : known)
    if (knownKind == kind && knownEpsilon == epsilon && tensor == x)
      return statistics;
  const Tiles &row = tiles[x];
  RowStatistics made;
  if (kind == tn::NormKind::Layer)
    made.mean = mean([&](size_t i) { return row[i]; });
  Value variance = mean([&](size_t i) -> Value {
    Value tile = row[i];
    if (made.mean)
      tile = arith::SubFOp::create(b, tile, splat(made.mean, i));
    return arith::MulFOp::create(b, tile, tile);
  });
  Type f32 = b.getF32Type();
  Value deviation = math::SqrtOp::create(
      b, arith::AddFOp::create(b, variance, k.constant(f32, epsilon)));
  made.inverse = arith::DivFOp::create(b, k.constant(f32, 1.0), deviation);
  known.emplace_back(kind, epsilon, x, made);
  return made;
}

RowClusterKernel::Tiles RowClusterKernel::normOf(tn::NormOp op) {
  RowStatistics statistics =
      statisticsOf(op.getKind(), op.getEpsilon().convertToDouble(), op.getX());
  const Tiles &row = tiles[op.getX()];
  return map(places.size(), [&](size_t i, VectorType) {
    Value tile = normalise(k, statistics, row[i]);
    if (op.getWeight())
      tile = arith::MulFOp::create(b, tile, ofColumns(op.getWeight(), i));
    if (op.getBias())
      tile = arith::AddFOp::create(b, tile, ofColumns(op.getBias(), i));
    return tile;
  });
}

// dx = r (g - y mean(g y) - mean(g)), the last for the layer norm alone.
RowClusterKernel::Tiles RowClusterKernel::normGradOf(tn::NormGradOp op) {
  RowStatistics statistics =
      statisticsOf(op.getKind(), op.getEpsilon().convertToDouble(), op.getX());
  Tiles gradient = tiles[op.getDy()], row = tiles[op.getX()];
  for (size_t i = 0; i < places.size(); ++i) {
    row[i] = normalise(k, statistics, row[i]);
    if (op.getWeight())
      gradient[i] =
          arith::MulFOp::create(b, gradient[i], ofColumns(op.getWeight(), i));
  }
  Value along = mean([&](size_t i) -> Value {
    return arith::MulFOp::create(b, gradient[i], row[i]);
  });
  Value center;
  if (op.getKind() == tn::NormKind::Layer)
    center = mean([&](size_t i) { return gradient[i]; });
  return map(places.size(), [&](size_t i, VectorType) {
    Value tile = arith::SubFOp::create(
        b, gradient[i], arith::MulFOp::create(b, row[i], splat(along, i)));
    if (center)
      tile = arith::SubFOp::create(b, tile, splat(center, i));
    return arith::MulFOp::create(b, tile, splat(statistics.inverse, i))
        .getResult();
  });
}

// Where a value is rounded, the store does it: within a cluster nobody reads
// bf16.
void RowClusterKernel::compute(Operation *op) {
  b.setLoc(op->getLoc());
  auto both = [&](auto make) {
    const Tiles &x = tiles[op->getOperand(0)], &y = tiles[op->getOperand(1)];
    return map(places.size(),
               [&](size_t i, VectorType) { return make(x[i], y[i]); });
  };
  Tiles made;
  if (isa<tn::AddOp>(op))
    made = both([&](Value x, Value y) -> Value {
      return arith::AddFOp::create(b, x, y);
    });
  else if (isa<tn::MulOp>(op))
    made = both([&](Value x, Value y) -> Value {
      return arith::MulFOp::create(b, x, y);
    });
  else if (auto gradient = dyn_cast<tn::ActivationGradOp>(op))
    made = both([&](Value x, Value dy) -> Value {
      return arith::MulFOp::create(b, dy, derivative(k, gradient.getKind(), x));
    });
  else if (auto activation = dyn_cast<tn::ActivationOp>(op))
    made = map(places.size(), [&](size_t i, VectorType) {
      return activated(k, activation.getKind(), tiles[activation.getX()][i]);
    });
  else if (auto norm = dyn_cast<tn::NormOp>(op))
    made = normOf(norm);
  else if (auto normGrad = dyn_cast<tn::NormGradOp>(op))
    made = normGradOf(normGrad);
  else
    made = tiles[cast<tn::CastOp>(op).getX()];
  tiles[op->getResult(0)] = std::move(made);
}

// The places that stand in `places`.
void RowClusterKernel::compute() {
  Value row = k.task();
  auto load = [&](Value tensor, Value buffer) {
    Tiles &loaded = tiles[tensor];
    for (const Place &place : places)
      loaded.push_back(k.loadRow(buffer, row, place.column, place.width));
  };
  tiles.clear();
  known.clear();
  for (Operation *op : cluster)
    for (Value operand : op->getOperands()) {
      Value buffer = buffers.inputs.lookup(operand);
      if (buffer && !tiles.contains(operand) &&
          isActivation(cast<RankedTensorType>(operand.getType())))
        load(operand, buffer);
    }
  for (Operation *op : cluster)
    compute(op);
  for (auto [tensor, buffer] : buffers.outputs)
    for (auto [place, tile] : llvm::zip(places, tiles[tensor]))
      k.storeRow(tile, buffer, row, place.column);
}

void RowClusterKernel::build() {
  int64_t width = std::min(k.sizes.panelWidth, buffers.columns);
  if (!sumsColumns(cluster)) {
    k.forColumns(buffers.columns, width, [&](Value column, int64_t size) {
      places.assign(1, Place{column, size});
      compute();
    });
  } else {
    for (int64_t start = 0; start < buffers.columns; start += width)
      places.push_back(
          Place{k.index(start), std::min(width, buffers.columns - start)});
    compute();
  }
  k.finish();
}

void kernels::buildRowCluster(KernelBuilder &k, ArrayRef<Operation *> cluster,
                              const RowClusterBuffers &buffers) {
  RowClusterKernel(k, cluster, buffers).build();
}

//===----------------------------------------------------------------------===//
// Launch
//===----------------------------------------------------------------------===//

// What the kernel is called: what it computes, each thing once.
static std::string nameOf(ArrayRef<Operation *> cluster) {
  SmallVector<StringRef> names;
  for (Operation *op : cluster) {
    StringRef name = op->getName().stripDialect();
    if (!llvm::is_contained(names, name))
      names.push_back(name);
  }
  return "rows_" + llvm::join(names, "_");
}

namespace {

// The tensors that a cluster reads from outside, those that are read outside of
// it, and a text that tells its kernel from others.
struct ClusterInterface {
  ClusterInterface(ArrayRef<Operation *> cluster);

  llvm::SetVector<Value> inputs, outputs;
  std::string text;
};

} // namespace

ClusterInterface::ClusterInterface(ArrayRef<Operation *> cluster) {
  llvm::SmallPtrSet<Operation *, 8> inside(cluster.begin(), cluster.end());
  llvm::DenseMap<Value, size_t> numbers;
  llvm::raw_string_ostream stream(text);
  for (Operation *op : cluster) {
    stream << op->getName() << op->getAttrDictionary() << '(';
    for (Value operand : op->getOperands()) {
      stream << numbers.try_emplace(operand, numbers.size()).first->second
             << ' ';
      if (!inside.contains(operand.getDefiningOp()))
        inputs.insert(operand);
    }
    Value result = op->getResult(0);
    stream << ')' << numbers.try_emplace(result, numbers.size()).first->second;
    if (llvm::any_of(result.getUsers(),
                     [&](Operation *user) { return !inside.contains(user); })) {
      outputs.insert(result);
      stream << " out";
    }
    stream << ' ' << result.getType() << ';';
  }
}

// A rounded value whose operand is stored as bf16 is there already.
Value FunctionConverter::storedOperand(Value tensor) {
  auto cast = tensor.getDefiningOp<tn::CastOp>();
  if (!cast || outputs.contains(tensor))
    return {};
  Value stored = bufferOf(cast.getX());
  return stored && getElementTypeOrSelf(stored.getType()) ==
                       cast.getType().getElementType()
             ? stored
             : Value();
}

void FunctionConverter::convertCluster(ArrayRef<Operation *> cluster) {
  ClusterInterface interface(cluster);
  int64_t columns =
      cast<RankedTensorType>(cluster.front()->getResult(0).getType())
          .getShape()
          .back();
  TileSizes sizes = clusterSizes(state.target.rowSizes(columns), columns);
  SmallVector<Value> arguments;
  for (Value input : interface.inputs)
    arguments.push_back(bufferOf(input));
  SmallVector<Value> stored;
  for (Value output : interface.outputs) {
    if (Value there = storedOperand(output)) {
      buffers[output] = there;
      continue;
    }
    stored.push_back(output);
    arguments.push_back(outputFor(output));
  }
  b.setLoc(cluster.front()->getLoc());
  launch(nameOf(cluster), arguments, rowTasks(sizes), sizes, interface.text,
         {flopsOfRow(cluster)}, [&](KernelBuilder &k) {
           RowClusterBuffers in;
           in.columns = columns;
           unsigned next = 0;
           for (Value input : interface.inputs)
             in.inputs[input] = k.argument(next++);
           for (Value output : stored)
             in.outputs[output] = k.argument(next++);
           buildRowCluster(k, cluster, in);
         });
}
