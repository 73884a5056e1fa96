// tnrt-roll-layers: calls of one block function for layer after layer to a
// loop.
#include "TNRT/TNRTDialect.h"
#include "tnllm/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

namespace tnllm {
#define GEN_PASS_DEF_TNRTROLLLAYERS
#include "tnllm/Transforms/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;

// Two calls are shorter than a loop and its table.
static constexpr size_t kShortestRun = 3;

namespace {

// What one iteration will do: a call, and the probes right before it.
struct Layer {
  SmallVector<tnrt::ProbeOp> probes;
  func::CallOp call;

  SmallVector<Operation *> operations() const {
    SmallVector<Operation *> all(probes.begin(), probes.end());
    all.push_back(call);
    return all;
  }
};

// How an operand, or the index of a probe, goes from one layer to the next.
struct Step {
  enum Kind {
    Same,   // the same value
    Entry,  // a parameter or state `stride` entries further
    Row,    // another constant of the same type
    Number, // a row of a buffer, `stride` rows further
    Input,  // the buffer that the layer before wrote
    Output, // a new buffer
  };
  Kind kind = Same;
  int64_t stride = 0;

  bool operator==(const Step &other) const {
    return kind == other.kind && stride == other.stride;
  }
};

// The steps of all operands in the order of Layer::operations, those of a
// probe's index after its operands.
using Steps = SmallVector<Step>;

} // namespace

//===----------------------------------------------------------------------===//
// From one layer to the next
//===----------------------------------------------------------------------===//

template <typename OpTy>
static std::optional<Step> entryStep(Value from, Value to) {
  auto a = from.getDefiningOp<OpTy>(), b = to.getDefiningOp<OpTy>();
  if (!a || !b || a.getHandle() != b.getHandle() || a.getOffset() ||
      b.getOffset())
    return std::nullopt;
  return Step{Step::Entry, int64_t(b.getIndex()) - int64_t(a.getIndex())};
}

// The elements of the constant that `value` is, or null.
static DenseElementsAttr constantOf(Value value, const SymbolTable &symbols) {
  auto get = value.getDefiningOp<memref::GetGlobalOp>();
  auto global = get ? symbols.lookup<memref::GlobalOp>(get.getName())
                    : memref::GlobalOp();
  auto type = cast_or_null<MemRefType>(global ? global.getType() : Type());
  if (!global || !global.getConstant() || !global.isPrivate() ||
      !global.getInitialValue() || !type.getLayout().isIdentity() ||
      type.getRank() == 0)
    return {};
  return dyn_cast<DenseElementsAttr>(*global.getInitialValue());
}

// A row of a buffer that a constant numbers, to another row of it.
static std::optional<Step> rowStep(Value from, Value to) {
  auto a = from.getDefiningOp<tnrt::RowOp>(),
       b = to.getDefiningOp<tnrt::RowOp>();
  if (!a || !b || a.getTable() != b.getTable())
    return std::nullopt;
  std::optional<int64_t> i = getConstantIntValue(a.getIndex());
  std::optional<int64_t> j = getConstantIntValue(b.getIndex());
  if (!i || !j)
    return std::nullopt;
  return Step{Step::Number, *j - *i};
}

// How an operand goes on from `from`, of a layer whose call is `call`, to `to`.
static std::optional<Step> stepOf(Value from, Value to, func::CallOp call,
                                  const SymbolTable &symbols) {
  if (from == to)
    return Step{Step::Same, 0};
  if (from.getType() != to.getType())
    return std::nullopt;
  if (auto step = entryStep<tnrt::ParamOp>(from, to))
    return step;
  if (auto step = entryStep<tnrt::StateOp>(from, to))
    return step;
  if (auto step = entryStep<tnrt::GradientOp>(from, to))
    return step;
  if (auto step = rowStep(from, to))
    return step;
  if (constantOf(from, symbols) && constantOf(to, symbols))
    return Step{Step::Row, 0};
  if (!from.getDefiningOp<tnrt::AllocOp>() ||
      !to.getDefiningOp<tnrt::AllocOp>())
    return std::nullopt;
  bool written = llvm::is_contained(call.getOperands(), to);
  return Step{written ? Step::Input : Step::Output, 0};
}

// The steps from one layer to the next, or nothing where no loop does both.
static std::optional<Steps> stepsOf(const Layer &from, const Layer &to,
                                    const SymbolTable &symbols) {
  if (from.call->getAttrDictionary() != to.call->getAttrDictionary() ||
      from.probes.size() != to.probes.size())
    return std::nullopt;
  Steps steps;
  for (auto [a, b] : llvm::zip(from.operations(), to.operations())) {
    if (a->getNumOperands() != b->getNumOperands())
      return std::nullopt;
    for (auto [u, v] : llvm::zip(a->getOperands(), b->getOperands())) {
      std::optional<Step> step = stepOf(u, v, from.call, symbols);
      if (!step)
        return std::nullopt;
      steps.push_back(*step);
    }
    if (auto probe = dyn_cast<tnrt::ProbeOp>(a)) {
      int64_t next = cast<tnrt::ProbeOp>(b).getIndex();
      steps.push_back({Step::Entry, next - int64_t(probe.getIndex())});
    }
  }
  return steps;
}

// The values that the operands of this kind have, each once, in their order.
using Values = llvm::SmallSetVector<Value, 2>;
static Values buffersOf(const Layer &layer, const Steps &steps,
                        Step::Kind kind) {
  Values found;
  const Step *step = steps.begin();
  for (Operation *op : layer.operations()) {
    for (Value operand : op->getOperands())
      if ((step++)->kind == kind)
        found.insert(operand);
    step += isa<tnrt::ProbeOp>(op);
  }
  return found;
}

//===----------------------------------------------------------------------===//
// Runs of layers
//===----------------------------------------------------------------------===//

namespace {

// The buffers in which layers pass something on: layer k reads the one number k
// and writes the next.
using Chain = SmallVector<Value>;

// Layers that become a loop, and what they pass on.
struct Run {
  ArrayRef<Layer> layers;
  Steps steps;
  SmallVector<Chain> chains;
};

} // namespace

// Collects the buffers; false where layers pass on something else than what
// each writes and the next reads, in one order.
static bool collectBuffers(Run &run) {
  for (const Layer &layer : run.layers) {
    Values in = buffersOf(layer, run.steps, Step::Input);
    Values out = buffersOf(layer, run.steps, Step::Output);
    if (in.size() != out.size())
      return false;
    if (&layer == &run.layers.front())
      for (Value first : in)
        run.chains.push_back({first});
    if (in.size() != run.chains.size())
      return false;
    for (auto [chain, read, written] : llvm::zip(run.chains, in, out)) {
      if (chain.back() != read)
        return false;
      chain.push_back(written);
    }
  }
  return true;
}

// True where no user of `buffer`, beside those of `layers`, comes after
// `operation`, or before it, as `after` says.
static bool unusedElsewhere(Value buffer, ArrayRef<Layer> layers,
                            Operation *operation, bool before, bool after) {
  llvm::SmallPtrSet<Operation *, 8> known;
  for (const Layer &layer : layers)
    known.insert_range(layer.operations());
  return llvm::all_of(buffer.getUsers(), [&](Operation *user) {
    if (known.contains(user))
      return true;
    Operation *here = operation->getBlock()->findAncestorOpInBlock(*user);
    return here->isBeforeInBlock(operation) ? !before : !after;
  });
}

// The first buffer is written again from the second layer on, so nothing may
// read it afterwards. A view would hide such a reader.
static bool canOverwriteFirst(const Run &run, const Chain &buffers) {
  return unusedElsewhere(buffers[0], run.layers.take_front(),
                         run.layers[0].call, /*before=*/false,
                         /*after=*/true) &&
         llvm::none_of(buffers[0].getUsers(), [](Operation *user) {
           return llvm::any_of(user->getResultTypes(),
                               llvm::IsaPred<MemRefType>);
         });
}

// The others live from the layer that writes them to the next one, the last
// from there on.
static bool othersAreTemporary(const Run &run, const Chain &buffers) {
  size_t n = run.layers.size();
  for (size_t k = 1; k < n; ++k)
    if (!unusedElsewhere(buffers[k], run.layers.slice(k - 1, 2),
                         run.layers[k].call, /*before=*/true, /*after=*/true))
      return false;
  return unusedElsewhere(buffers[n], run.layers.take_back(),
                         run.layers[n - 1].call, /*before=*/true,
                         /*after=*/false);
}

// The longest run from the first layer on: too short where there is none.
static Run findRun(ArrayRef<Layer> layers, const SymbolTable &symbols) {
  Run run{layers.take_front(), {}, {}};
  for (size_t k = 1; k < layers.size(); ++k) {
    std::optional<Steps> steps = stepsOf(layers[k - 1], layers[k], symbols);
    if (!steps || (k > 1 && *steps != run.steps))
      break;
    run.steps = std::move(*steps);
    run.layers = layers.take_front(k + 1);
  }
  if (run.layers.size() < kShortestRun)
    return run;
  bool fits = collectBuffers(run) &&
              llvm::all_of(run.chains, [&](const Chain &buffers) {
                return canOverwriteFirst(run, buffers) &&
                       othersAreTemporary(run, buffers);
              });
  if (!fits)
    run.layers = run.layers.take_front();
  return run;
}

// Sequences of layers with nothing between them that acts: what reads no
// memory stays where it is.
static SmallVector<SmallVector<Layer>> collectLayers(Block &block) {
  SmallVector<SmallVector<Layer>> sequences(1);
  Layer next;
  for (Operation &op : block) {
    if (isa<tnrt::AllocOp>(op) || isPure(&op))
      continue;
    if (auto probe = dyn_cast<tnrt::ProbeOp>(op); probe && !probe.getOffset()) {
      next.probes.push_back(probe);
      continue;
    }
    auto call = dyn_cast<func::CallOp>(op);
    if (call && call.getNumResults() == 0) {
      next.call = call;
      sequences.back().push_back(std::move(next));
    } else if (!sequences.back().empty()) {
      sequences.emplace_back();
    }
    next = Layer();
  }
  return sequences;
}

//===----------------------------------------------------------------------===//
// The loop
//===----------------------------------------------------------------------===//

namespace {

// Tables of constants, made once for each content.
class Tables {
public:
  Tables(ModuleOp module, SymbolTable &symbols)
      : module(module), symbols(symbols) {}

  memref::GlobalOp get(ArrayRef<DenseElementsAttr> rows) {
    SmallVector<Attribute> values;
    for (DenseElementsAttr row : rows)
      llvm::append_range(values, row.getValues<Attribute>());
    SmallVector<int64_t> shape = {int64_t(rows.size())};
    llvm::append_range(shape, rows[0].getType().getShape());
    Type element = rows[0].getElementType();
    auto content =
        DenseElementsAttr::get(RankedTensorType::get(shape, element), values);
    memref::GlobalOp &table = tables[content];
    if (!table) {
      OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
      table = memref::GlobalOp::create(
          b, module.getLoc(), "table", b.getStringAttr("private"),
          MemRefType::get(shape, element), content, /*constant=*/true,
          b.getI64IntegerAttr(64));
      symbols.insert(table);
    }
    return table;
  }

private:
  ModuleOp module;
  SymbolTable &symbols;
  llvm::DenseMap<Attribute, memref::GlobalOp> tables;
};

// Builds the loop of one run.
class Roller {
public:
  Roller(const Run &run, const SymbolTable &symbols, Tables &tables)
      : run(run), symbols(symbols), tables(tables),
        b(run.layers[0].call->getLoc(), run.layers[0].call) {}

  // The operands of the layers, which may be without use afterwards, join
  // `replaced`.
  void roll(llvm::SetVector<Operation *> &replaced) {
    scf::ForOp loop = makeLoop();
    for (const Layer &layer : run.layers)
      for (Operation *op : layer.operations()) {
        for (Value operand : op->getOperands())
          if (Operation *definition = operand.getDefiningOp())
            replaced.insert(definition);
        op->erase();
      }
    for (auto [number, buffers] : llvm::enumerate(run.chains)) {
      Value last = buffers.back();
      last.replaceAllUsesWith(loop.getResult(2 * number));
    }
  }

private:
  scf::ForOp makeLoop() {
    Value zero = arith::ConstantIndexOp::create(b, 0);
    Value count = arith::ConstantIndexOp::create(b, run.layers.size());
    Value one = arith::ConstantIndexOp::create(b, 1);
    SmallVector<Value> inits;
    for (const Chain &buffers : run.chains)
      inits.append({buffers[0], buffers[1]});
    makeRowTables();
    auto loop = scf::ForOp::create(b, zero, count, one, inits);
    // Without iteration arguments the builder ends the body itself.
    if (inits.empty())
      b.setInsertionPoint(loop.getBody()->getTerminator());
    else
      b.setInsertionPointToStart(loop.getBody());
    makeBody(loop);
    SmallVector<Value> exchanged;
    for (size_t i = 0; i < inits.size(); ++i)
      exchanged.push_back(loop.getRegionIterArg(i ^ 1));
    if (!inits.empty())
      scf::YieldOp::create(b, exchanged);
    return loop;
  }

  // Before the loop: the address of a table does not depend on the layer.
  void makeRowTables() {
    size_t step = 0;
    for (auto [number, op] : llvm::enumerate(run.layers[0].operations())) {
      for (unsigned operand = 0; operand < op->getNumOperands(); ++operand) {
        size_t position = step++;
        if (run.steps[position].kind != Step::Row)
          continue;
        SmallVector<DenseElementsAttr> rows;
        for (const Layer &layer : run.layers)
          rows.push_back(constantOf(
              layer.operations()[number]->getOperand(operand), symbols));
        memref::GlobalOp table = tables.get(rows);
        rowTables[position] = memref::GetGlobalOp::create(
            b, cast<MemRefType>(table.getType()), table.getSymName());
      }
      step += isa<tnrt::ProbeOp>(op);
    }
  }

  void makeBody(scf::ForOp loop) {
    size_t step = 0;
    for (Operation *op : run.layers[0].operations()) {
      b.setLoc(op->getLoc());
      SmallVector<Value> operands;
      for (Value operand : op->getOperands()) {
        operands.push_back(makeOperand(operand, step, loop));
        ++step;
      }
      if (auto probe = dyn_cast<tnrt::ProbeOp>(op))
        tnrt::ProbeOp::create(b, operands[0], probe.getIndex(),
                              offset(run.steps[step++].stride, loop),
                              operands[1], operands[2]);
      else
        b.clone(*op)->setOperands(operands);
    }
  }

  Value makeOperand(Value first, size_t position, scf::ForOp loop) {
    const Step &step = run.steps[position];
    switch (step.kind) {
    case Step::Same:
      return first;
    case Step::Input:
    case Step::Output:
      return argumentOf(first, loop);
    case Step::Row:
      return tnrt::RowOp::create(b, first.getType(), rowTables.lookup(position),
                                 loop.getInductionVar());
    case Step::Entry:
    case Step::Number:
      break;
    }
    Value distance = offset(step.stride, loop);
    if (auto row = first.getDefiningOp<tnrt::RowOp>()) {
      if (!distance)
        return first;
      Value number = arith::AddIOp::create(b, row.getIndex(), distance);
      return tnrt::RowOp::create(b, first.getType(), row.getTable(), number);
    }
    if (auto gradient = first.getDefiningOp<tnrt::GradientOp>())
      return tnrt::GradientOp::create(b, first.getType(), gradient.getHandle(),
                                      gradient.getIndex(), distance);
    if (auto param = first.getDefiningOp<tnrt::ParamOp>())
      return tnrt::ParamOp::create(b, first.getType(), param.getHandle(),
                                   param.getIndex(), distance);
    auto state = first.getDefiningOp<tnrt::StateOp>();
    return tnrt::StateOp::create(b, first.getType(), state.getHandle(),
                                 state.getIndex(), distance);
  }

  // What stands in the loop for a buffer that the first layer reads or writes.
  Value argumentOf(Value buffer, scf::ForOp loop) {
    auto inits = loop.getInitArgs();
    return loop.getRegionIterArg(
        std::distance(inits.begin(), llvm::find(inits, buffer)));
  }

  // stride * layer, once for each stride; null for a stride of 0.
  Value offset(int64_t stride, scf::ForOp loop) {
    if (stride == 0)
      return {};
    if (stride == 1)
      return loop.getInductionVar();
    Value &product = offsets[stride];
    if (!product) {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPoint(loop);
      Value factor = arith::ConstantIndexOp::create(b, stride);
      b.setInsertionPointToStart(loop.getBody());
      product = arith::MulIOp::create(b, loop.getInductionVar(), factor);
    }
    return product;
  }

  const Run &run;
  const SymbolTable &symbols;
  Tables &tables;
  ImplicitLocOpBuilder b;
  llvm::DenseMap<size_t, Value> rowTables;
  llvm::DenseMap<int64_t, Value> offsets;
};

//===----------------------------------------------------------------------===//
// Pass
//===----------------------------------------------------------------------===//

struct RollLayersPass : public tnllm::impl::TNRTRollLayersBase<RollLayersPass> {
  using TNRTRollLayersBase::TNRTRollLayersBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    Tables tables(module, symbols);
    for (auto function : module.getOps<func::FuncOp>())
      if (!function.isDeclaration())
        rollFunction(function.getBody().front(), symbols, tables);
    eraseConstants(module, symbols);
  }

  void rollFunction(Block &block, SymbolTable &symbols, Tables &tables) {
    llvm::SetVector<Operation *> replaced;
    for (ArrayRef<Layer> layers : collectLayers(block))
      while (layers.size() >= kShortestRun) {
        Run run = findRun(layers, symbols);
        layers = layers.drop_front(run.layers.size());
        if (run.layers.size() < kShortestRun)
          continue;
        Roller(run, symbols, tables).roll(replaced);
        ++numLoops;
        numLayers += run.layers.size();
      }
    for (Operation *op : replaced) {
      if (!op->use_empty() || !(isPure(op) || isa<tnrt::AllocOp>(op)))
        continue;
      if (auto get = dyn_cast<memref::GetGlobalOp>(op))
        constants.insert(get.getNameAttr().getAttr());
      op->erase();
    }
  }

  // Of the constants that loops no longer read, those that nothing reads.
  void eraseConstants(ModuleOp module, SymbolTable &symbols) {
    module.walk([&](memref::GetGlobalOp get) {
      constants.remove(get.getNameAttr().getAttr());
    });
    for (StringAttr name : constants)
      symbols.erase(symbols.lookup(name));
    constants.clear();
  }

  llvm::SetVector<StringAttr> constants;
};

} // namespace
