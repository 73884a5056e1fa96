// The kernel of tn.sample: a task chooses the token of one row.
//
// Whatever is cut away, what stays is the beginning of one order: likelier
// first, then the smaller token. Each cut is therefore a threshold, found by
// halving an interval of logits (their bits as ordered integers) until one
// element lies in it, and where equal logits straddle the cut, a position among
// them. No pass sorts.
//
// On a GPU passes over the row wait for memory. Before the search, those that
// can be chosen at all are therefore written to a short list. What bounds them
// is the k-th largest of the row's partial maxima, one for each element of a
// vector, since at least k logits are not below it. Where too many are left,
// the same search runs on the row.
//
// A block as wide as passes over a row want it takes longer over a sum of a
// short list than its elements do: two barriers. The list is therefore searched
// by a kernel of its own, in which a row is one warp.
#include "KernelBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <limits>

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

using Kind = vector::CombiningKind;
using Settings = tn::SampleOp;

static constexpr int64_t kWarp = 32;
static constexpr int64_t kMaxThreads = 512; // 128 registers each
static constexpr int64_t kThreadElements = 8;
static constexpr int64_t kListSize = kSampleList;
// Elements of a vector of the list on a GPU.
static constexpr int64_t kListLanes = 4 * kWarp;
// Columns of the notes: tokens in the list, or 0 where the token is chosen; the
// largest logit; the weight of the row.
static constexpr int64_t kCount = 0, kPeak = 1, kTotal = 2;
// Steps after which halving an interval of 2^32 keys has ended.
static constexpr int64_t kKeySteps = 33;
static constexpr int32_t kLastPosition = std::numeric_limits<int32_t>::max();
// The key of -infinity: no logit has a smaller one.
static constexpr int64_t kLowestKey = int64_t(INT32_MIN) + 0x7fffff;

TileSizes kernels::sampleSizes(TileSizes sizes, int64_t vocabulary) {
  if (sizes.threads == 0)
    return sizes;
  int64_t wanted = llvm::divideCeil(vocabulary, kThreadElements);
  sizes.threads = std::min<int64_t>(kMaxThreads, llvm::alignTo(wanted, kWarp));
  sizes.panelWidth = sizes.threads * kThreadElements;
  return sizes;
}

TileSizes kernels::sampleChoiceSizes(TileSizes sizes) {
  sizes.threads = kWarp;
  return sizes;
}

namespace {

// Some elements, as vectors: their keys, their places among those that are
// searched, and the logits.
struct Elements {
  Value keys, positions, logits;
};

// What is kept: keys above `key`, and of those that have it the first, up to
// `position`.
struct Cut {
  Value key, position; // i32
};

class SampleTask {
public:
  SampleTask(KernelBuilder &k, const SampleBuffers &buffers)
      : k(k), b(k.b), in(buffers), width(k.sizes.panelWidth),
        lanes(k.sizes.threads ? kListLanes : k.sizes.panelWidth),
        full(in.vocabulary / width * width), f32(b.getF32Type()),
        i32(b.getI32Type()), i64(b.getI64Type()) {}

  void build();

private:
  using Term = llvm::function_ref<Value(const Elements &)>;
  // Where the search looks: the row, or the list of `count` tokens.
  struct Source {
    Value list, count; // null: the row
  };

  // Constants, and vectors of a scalar.
  Value integer(Type type, int64_t value) {
    return arith::ConstantOp::create(b, b.getIntegerAttr(type, value));
  }
  Value real(double value) { return k.constant(f32, value); }
  Value splat(Value scalar, Value like) {
    auto type = cast<VectorType>(like.getType()).clone(scalar.getType());
    return k.broadcast(scalar, type);
  }
  Value compare(arith::CmpIPredicate predicate, Value x, Value y) {
    return arith::CmpIOp::create(b, predicate, x, y);
  }
  Value compareReal(arith::CmpFPredicate predicate, Value x, Value y) {
    return arith::CmpFOp::create(b, predicate, x, y);
  }
  Value choose(Value condition, Value x, Value y) {
    return arith::SelectOp::create(b, condition, x, y);
  }
  Value setting(int64_t column) {
    return k.loadScalar(in.settings, {k.task(), k.index(column)});
  }

  Value toKeys(Value logits);
  Elements ofRow(Value column, int64_t size);
  Elements ofList(const Source &source, Value start);

  Value sumOfTerms(Kind kind, const Source &source, Term term);
  Value weigh(const Elements &elements, Value power);
  Value isKept(const Elements &elements, const Cut &cut);
  Value sumOfKept(const Source &source, const Cut &cut, Value power);

  using State = SmallVector<Value>;
  State search(int64_t steps, ValueRange init,
               llvm::function_ref<Value(ValueRange)> isDone,
               llvm::function_ref<State(ValueRange)> step);
  Value middle(Value low, Value high) {
    Value half = arith::ShRSIOp::create(b, arith::SubIOp::create(b, high, low),
                                        integer(low.getType(), 1));
    return arith::AddIOp::create(b, low, half);
  }

  void findPeak();
  Value likeliest();
  Value ifElse(Value condition, llvm::function_ref<Value()> then,
               llvm::function_ref<Value()> otherwise);
  Value boundOfTopK();
  Value fillList(Value bound);
  void readSettings();
  Value makeList();
  Value draw();
  Value chooseEarly(llvm::function_ref<Value()> otherwise);
  void buildList();
  void buildChoice();
  void note(int64_t column, Value value) {
    memref::StoreOp::create(b, value, in.notes,
                            ValueRange{k.task(), k.index(column)});
  }
  Value noted(int64_t column) {
    return k.loadScalar(in.notes, {k.task(), k.index(column)});
  }
  void store(Value token) {
    memref::StoreOp::create(b, token, in.tokens, k.task());
  }
  // Of the list's entry `index`.
  SmallVector<Value> entry(Value index) {
    if (in.list)
      return {k.task(), index};
    return {index};
  }
  Value drawFrom(const Source &source);
  Cut cutPrefix(const Source &source, const Cut &cut, bool weighs,
                Value needed);
  Value firstPosition(const Source &source,
                      llvm::function_ref<Value(Value)> isEnough);
  Value lastOfEquals(const Source &source, const Cut &cut, bool weighs,
                     Value key, Value needed);
  Value countOf(const Source &source);

  KernelBuilder &k;
  ImplicitLocOpBuilder &b;
  const SampleBuffers &in;
  int64_t width; // elements of a vector of the row
  int64_t lanes; // elements of a vector of the list
  int64_t full;  // elements of the row in whole vectors
  Type f32, i32, i64;
  Value list;   // i64 [kListSize], or the rows' lists
  Value peak;   // the largest logit
  Value maxima; // of the whole vectors of the row, element by element; or null
  Value topK, hasTopK;
  Value totalOfRow; // the weight of all tokens, for where k does not cut
  Value floorKey;   // of the smallest probability that may be chosen, i32
};

} // namespace

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

// The bits of a number as an integer of the same order; of -0 those of 0.
Value SampleTask::toKeys(Value logits) {
  auto vector = dyn_cast<VectorType>(logits.getType());
  Type bitsType = vector ? Type(vector.clone(i32)) : i32;
  auto constant = [&](int64_t value) {
    Value scalar = integer(i32, value);
    return vector ? splat(scalar, logits) : scalar;
  };
  Value zero = vector ? splat(real(0.0), logits) : real(0.0);
  Value bits = arith::BitcastOp::create(b, bitsType,
                                        arith::AddFOp::create(b, logits, zero));
  Value isNegative = compare(arith::CmpIPredicate::slt, bits, constant(0));
  Value turned = arith::XOrIOp::create(b, bits, constant(0x7fffffff));
  return choose(isNegative, turned, bits);
}

// `size` elements of the row; what is no number counts as -infinity.
Elements SampleTask::ofRow(Value column, int64_t size) {
  Value logits = k.loadRow(in.logits, k.task(), column, size);
  Value isNumber = compareReal(arith::CmpFPredicate::ORD, logits, logits);
  logits =
      choose(isNumber, logits,
             splat(real(-std::numeric_limits<double>::infinity()), logits));
  Value positions = arith::IndexCastOp::create(
      b, cast<VectorType>(logits.getType()).clone(i32),
      arith::AddIOp::create(
          b,
          vector::StepOp::create(b, VectorType::get({size}, b.getIndexType())),
          k.broadcast(column, VectorType::get({size}, b.getIndexType()))));
  return {toKeys(logits), positions, logits};
}

// An entry holds a key above and a token below. Behind the last there are
// keys smaller than any logit's.
Elements SampleTask::ofList(const Source &source, Value start) {
  auto type = VectorType::get({lanes}, i64);
  Value entries = vector::LoadOp::create(b, type, source.list, entry(start));
  Value keys = arith::TruncIOp::create(
      b, type.clone(i32),
      arith::ShRSIOp::create(b, entries, splat(integer(i64, 32), entries)));
  Value isNegative =
      compare(arith::CmpIPredicate::slt, keys, splat(integer(i32, 0), keys));
  Value bits = choose(
      isNegative,
      arith::XOrIOp::create(b, keys, splat(integer(i32, 0x7fffffff), keys)),
      keys);
  Value positions = arith::IndexCastOp::create(
      b, type.clone(i32),
      arith::AddIOp::create(
          b, vector::StepOp::create(b, type.clone(b.getIndexType())),
          k.broadcast(start, type.clone(b.getIndexType()))));
  return {keys, positions, arith::BitcastOp::create(b, type.clone(f32), bits)};
}

static Value neutralOf(KernelBuilder &k, Kind kind) {
  double infinity = std::numeric_limits<double>::infinity();
  double value = kind == Kind::ADD        ? 0.0
                 : kind == Kind::MAXIMUMF ? -infinity
                                          : infinity;
  return k.constant(k.b.getF32Type(), value);
}

// The f32 terms of all elements, combined.
Value SampleTask::sumOfTerms(Kind kind, const Source &source, Term term) {
  auto combine = [&](Value x, Value y) {
    return vector::makeArithReduction(b, b.getLoc(), kind, x, y);
  };
  // Vectors of `size` elements from 0 to `end`, one by one.
  auto inVectors = [&](int64_t size, Value end,
                       llvm::function_ref<Elements(Value)> load) -> Value {
    Value none = k.broadcast(neutralOf(k, kind), VectorType::get({size}, f32));
    auto loop = scf::ForOp::create(b, k.index(0), end, k.index(size), none);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      Value value = term(load(loop.getInductionVar()));
      scf::YieldOp::create(b, combine(loop.getRegionIterArg(0), value));
    }
    return loop.getResult(0);
  };
  auto reduce = [&](Value vector) {
    return vector::ReductionOp::create(b, kind, vector).getResult();
  };
  if (source.list)
    return reduce(inVectors(lanes, source.count, [&](Value start) {
      return ofList(source, start);
    }));
  Value sum;
  if (full > 0)
    sum = reduce(inVectors(width, k.index(full),
                           [&](Value column) { return ofRow(column, width); }));
  if (full < in.vocabulary) {
    Value rest = reduce(term(ofRow(k.index(full), in.vocabulary - full)));
    sum = sum ? combine(sum, rest) : rest;
  }
  return sum;
}

Value SampleTask::isKept(const Elements &elements, const Cut &cut) {
  Value key = splat(cut.key, elements.keys);
  Value isAbove = compare(arith::CmpIPredicate::sgt, elements.keys, key);
  Value isEqual = compare(arith::CmpIPredicate::eq, elements.keys, key);
  Value isFirst = compare(arith::CmpIPredicate::sle, elements.positions,
                          splat(cut.position, elements.positions));
  return arith::OrIOp::create(b, isAbove,
                              arith::AndIOp::create(b, isEqual, isFirst));
}

// exp(power (logit - peak)); `power` null is 1. Nothing for what is 2^-144 of
// the likeliest.
Value SampleTask::weigh(const Elements &elements, Value power) {
  Value exponent =
      arith::SubFOp::create(b, elements.logits, splat(peak, elements.logits));
  if (power)
    exponent = arith::MulFOp::create(b, exponent, splat(power, exponent));
  Value least = splat(real(-100.0), exponent);
  Value counts = compareReal(arith::CmpFPredicate::OGT, exponent, least);
  Value weight = math::ExpOp::create(b, choose(counts, exponent, least));
  return choose(counts, weight, splat(real(0.0), weight));
}

Value SampleTask::sumOfKept(const Source &source, const Cut &cut, Value power) {
  return sumOfTerms(Kind::ADD, source, [&](const Elements &elements) {
    Value weights = weigh(elements, power);
    return choose(isKept(elements, cut), weights, splat(real(0.0), weights));
  });
}

//===----------------------------------------------------------------------===//
// Searches
//===----------------------------------------------------------------------===//

Value SampleTask::ifElse(Value condition, llvm::function_ref<Value()> then,
                         llvm::function_ref<Value()> otherwise) {
  auto branch = scf::IfOp::create(
      b, condition,
      [&](OpBuilder &, Location) { scf::YieldOp::create(b, then()); },
      [&](OpBuilder &, Location) { scf::YieldOp::create(b, otherwise()); });
  return branch.getResult(0);
}

// The state after `steps` steps, or as soon as it is done. What is done costs
// nothing more.
SampleTask::State
SampleTask::search(int64_t steps, ValueRange init,
                   llvm::function_ref<Value(ValueRange)> isDone,
                   llvm::function_ref<State(ValueRange)> step) {
  auto loop =
      scf::ForOp::create(b, k.index(0), k.index(steps), k.index(1), init);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  State state = llvm::to_vector_of<Value>(loop.getRegionIterArgs());
  auto branch = scf::IfOp::create(b, TypeRange(init), isDone(state),
                                  /*addThenBlock=*/true,
                                  /*addElseBlock=*/true);
  b.setInsertionPointToStart(branch.thenBlock());
  scf::YieldOp::create(b, state);
  b.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(b, step(state));
  b.setInsertionPointAfter(branch);
  scf::YieldOp::create(b, branch.getResults());
  return llvm::to_vector_of<Value>(loop.getResults());
}

// The largest logit, and the partial maxima.
void SampleTask::findPeak() {
  Value lowest = neutralOf(k, Kind::MAXIMUMF);
  if (full > 0) {
    auto loop =
        scf::ForOp::create(b, k.index(0), k.index(full), k.index(width),
                           k.broadcast(lowest, VectorType::get({width}, f32)));
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      scf::YieldOp::create(b, arith::MaximumFOp::create(
                                  b, loop.getRegionIterArg(0),
                                  ofRow(loop.getInductionVar(), width).logits)
                                  .getResult());
    }
    maxima = loop.getResult(0);
    peak = vector::ReductionOp::create(b, Kind::MAXIMUMF, maxima);
  }
  if (full < in.vocabulary) {
    Value rest = vector::ReductionOp::create(
        b, Kind::MAXIMUMF, ofRow(k.index(full), in.vocabulary - full).logits);
    peak = peak ? arith::MaximumFOp::create(b, peak, rest).getResult() : rest;
  }
}

// The first token of the largest logit.
Value SampleTask::likeliest() {
  Value best = sumOfTerms(Kind::MINIMUMF, {}, [&](const Elements &elements) {
    auto type = cast<VectorType>(elements.logits.getType());
    Value isBest = compareReal(arith::CmpFPredicate::OEQ, elements.logits,
                               splat(peak, elements.logits));
    return choose(isBest, arith::SIToFPOp::create(b, type, elements.positions),
                  splat(neutralOf(k, Kind::MINIMUMF), elements.logits));
  });
  return arith::FPToSIOp::create(b, i32, best);
}

// A key that at least k logits, and not many more, are not below.
Value SampleTask::boundOfTopK() {
  if (!maxima)
    return integer(i32, kLowestKey);
  Value keys = toKeys(maxima);
  auto countFrom = [&](Value key) {
    Value isFrom = compare(arith::CmpIPredicate::sge, keys,
                           splat(arith::TruncIOp::create(b, i32, key), keys));
    Value ones = choose(isFrom, splat(real(1.0), keys), splat(real(0.0), keys));
    return vector::ReductionOp::create(b, Kind::ADD, ones).getResult();
  };
  Value top = arith::ExtSIOp::create(b, i64, toKeys(peak));
  Value high = arith::AddIOp::create(b, top, integer(i64, 1));
  Value enough = arith::MulFOp::create(b, topK, real(1.25)); // near enough to k
  // All of them are from the smallest on, which bounds the row where they are
  // k.
  Value least = vector::ReductionOp::create(b, Kind::MINIMUMF, maxima);
  Value areEnough = compareReal(arith::CmpFPredicate::OLE, topK,
                                real(static_cast<double>(width)));
  Value low = choose(areEnough, arith::ExtSIOp::create(b, i64, toKeys(least)),
                     integer(i64, kLowestKey));
  // low, high, how many are from low on.
  State init = {low, high, real(double(width))};
  State found = search(
      kKeySteps, init,
      [&](ValueRange state) {
        Value isNear = compareReal(arith::CmpFPredicate::OLE, state[2], enough);
        Value next = arith::AddIOp::create(b, state[0], integer(i64, 1));
        Value isLast = compare(arith::CmpIPredicate::sge, next, state[1]);
        return arith::OrIOp::create(b, isNear, isLast);
      },
      [&](ValueRange state) -> State {
        Value key = middle(state[0], state[1]);
        Value count = countFrom(key);
        Value isEnough = compareReal(arith::CmpFPredicate::OGE, count, topK);
        return {choose(isEnough, key, state[0]),
                choose(isEnough, state[1], key),
                choose(isEnough, count, state[2])};
      });
  return arith::TruncIOp::create(b, i32, found[0]);
}

// Writes the tokens of keys from `bound` on, in their order. Returns how many
// there are; past the size of the list none are written.
Value SampleTask::fillList(Value bound) {
  Value zero = k.index(0), capacity = k.index(kListSize - lanes);
  auto add = [&](Value column, int64_t size, Value count) -> Value {
    Elements elements = ofRow(column, size);
    Value wanted = compare(arith::CmpIPredicate::sge, elements.keys,
                           splat(bound, elements.keys));
    Value ones = choose(wanted, splat(real(1.0), elements.keys),
                        splat(real(0.0), elements.keys));
    Value found = arith::IndexCastOp::create(
        b, b.getIndexType(),
        arith::FPToSIOp::create(
            b, i32, vector::ReductionOp::create(b, Kind::ADD, ones)));
    Value next = k.add(count, found);
    Value fits = arith::AndIOp::create(
        b, compare(arith::CmpIPredicate::ugt, found, zero),
        compare(arith::CmpIPredicate::ule, next, capacity));
    auto branch = scf::IfOp::create(b, fits, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    auto type = cast<VectorType>(elements.keys.getType()).clone(i64);
    Value entries = arith::OrIOp::create(
        b,
        arith::ShLIOp::create(b, arith::ExtSIOp::create(b, type, elements.keys),
                              splat(integer(i64, 32), elements.keys)),
        arith::ExtUIOp::create(b, type, elements.positions));
    vector::CompressStoreOp::create(b, list, entry(count), entries, wanted);
    return next;
  };
  Value count = zero;
  if (full > 0) {
    auto loop =
        scf::ForOp::create(b, zero, k.index(full), k.index(width), count);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    scf::YieldOp::create(
        b, add(loop.getInductionVar(), width, loop.getRegionIterArg(0)));
    count = loop.getResult(0);
  }
  if (full < in.vocabulary)
    count = add(k.index(full), in.vocabulary - full, count);
  // The end of the last vector that is read.
  Value none = splat(integer(i64, std::numeric_limits<int64_t>::min()),
                     k.constant(VectorType::get({lanes}, f32), 0.0));
  vector::StoreOp::create(b, none, list, entry(k.min(count, capacity)));
  return count;
}

// Of the elements that `cut` keeps, in the order of the cuts, the fewest whose
// weights sum to `needed`: a weight is 1, or the probability over the
// likeliest's.
Cut SampleTask::cutPrefix(const Source &source, const Cut &cut, bool weighs,
                          Value needed) {
  Value none = integer(i32, kLastPosition);
  // The sum of weights, and the number, of those kept from `key` on.
  auto termsFrom = [&](Value key, bool weighted) {
    Value from = arith::TruncIOp::create(b, i32, key);
    return sumOfTerms(Kind::ADD, source, [&](const Elements &elements) {
      Value isIn = arith::AndIOp::create(b, isKept(elements, cut),
                                         compare(arith::CmpIPredicate::sge,
                                                 elements.keys,
                                                 splat(from, elements.keys)));
      Value zero = splat(real(0.0), elements.logits);
      Value weights =
          weighted ? weigh(elements, {}) : splat(real(1.0), elements.logits);
      return choose(isIn, weights, zero);
    });
  };
  Value low = arith::ExtSIOp::create(b, i64, cut.key);
  Value high = arith::AddIOp::create(
      b, arith::ExtSIOp::create(b, i64, toKeys(peak)), integer(i64, 1));
  Value all = termsFrom(low, weighs);
  Value reaches = compareReal(arith::CmpFPredicate::OGE, all, needed);
  Value count = weighs ? termsFrom(low, false) : all;
  // Where all do not reach it, all stay: an interval that is done.
  State init = {
      low,
      choose(reaches, high, arith::AddIOp::create(b, low, integer(i64, 1))),
      count, real(0.0)};
  State found = search(
      kKeySteps, init,
      [&](ValueRange state) {
        Value isOne = compareReal(arith::CmpFPredicate::OLE,
                                  arith::SubFOp::create(b, state[2], state[3]),
                                  real(1.0));
        Value next = arith::AddIOp::create(b, state[0], integer(i64, 1));
        Value isLast = compare(arith::CmpIPredicate::sge, next, state[1]);
        return arith::OrIOp::create(b, isOne, isLast);
      },
      [&](ValueRange state) -> State {
        Value key = middle(state[0], state[1]);
        Value sum = termsFrom(key, weighs);
        Value number = weighs ? termsFrom(key, false) : sum;
        Value isEnough = compareReal(arith::CmpFPredicate::OGE, sum, needed);
        return {choose(isEnough, key, state[0]),
                choose(isEnough, state[1], key),
                choose(isEnough, number, state[2]),
                choose(isEnough, state[3], number)};
      });
  Value key = arith::TruncIOp::create(b, i32, found[0]);
  Value equals = arith::SubFOp::create(b, found[2], found[3]);
  Value hasEquals = arith::AndIOp::create(
      b, reaches, compareReal(arith::CmpFPredicate::OGT, equals, real(1.0)));
  Value position = ifElse(
      hasEquals, [&] { return lastOfEquals(source, cut, weighs, key, needed); },
      [&] { return none; });
  Value isHigher = compare(arith::CmpIPredicate::sgt, key, cut.key);
  position = choose(isHigher, position,
                    arith::MinSIOp::create(b, position, cut.position));
  return {key, position};
}

// The first position of the source where `isEnough` holds, which holds from
// there on, and at the last position whatever it says there.
Value SampleTask::firstPosition(const Source &source,
                                llvm::function_ref<Value(Value)> isEnough) {
  State init = {integer(i32, -1),
                arith::SubIOp::create(b, countOf(source), integer(i32, 1))};
  State found = search(
      llvm::Log2_64_Ceil(in.vocabulary) + 1, init,
      [&](ValueRange state) {
        Value next = arith::AddIOp::create(b, state[0], integer(i32, 1));
        return compare(arith::CmpIPredicate::sge, next, state[1]);
      },
      [&](ValueRange state) -> State {
        Value position = middle(state[0], state[1]);
        Value holds = isEnough(position);
        return {choose(holds, state[0], position),
                choose(holds, position, state[1])};
      });
  return found[1];
}

// The position of the last of the elements with this key that are needed beside
// those above it.
Value SampleTask::lastOfEquals(const Source &source, const Cut &cut,
                               bool weighs, Value key, Value needed) {
  return firstPosition(source, [&](Value position) {
    Value sum = sumOfTerms(Kind::ADD, source, [&](const Elements &elements) {
      Value isIn = arith::AndIOp::create(b, isKept(elements, cut),
                                         isKept(elements, {key, position}));
      Value zero = splat(real(0.0), elements.logits);
      Value weights =
          weighs ? weigh(elements, {}) : splat(real(1.0), elements.logits);
      return choose(isIn, weights, zero);
    });
    return compareReal(arith::CmpFPredicate::OGE, sum, needed);
  });
}

//===----------------------------------------------------------------------===//
// The chain
//===----------------------------------------------------------------------===//

Value SampleTask::countOf(const Source &source) {
  return source.list
             ? arith::IndexCastOp::create(b, i32, source.count).getResult()
             : integer(i32, in.vocabulary);
}

// Cuts by k, p and minP, then draws.
Value SampleTask::drawFrom(const Source &source) {
  Value none = integer(i32, kLastPosition);
  Cut cut = {integer(i32, kLowestKey), none};
  auto cutIf = [&](Value condition, llvm::function_ref<Cut()> body) {
    auto branch = scf::IfOp::create(b, TypeRange{i32, i32}, condition,
                                    /*addThenBlock=*/true,
                                    /*addElseBlock=*/true);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(branch.elseBlock());
      scf::YieldOp::create(b, ValueRange{cut.key, cut.position});
      b.setInsertionPointToStart(branch.thenBlock());
      Cut made = body();
      scf::YieldOp::create(b, ValueRange{made.key, made.position});
    }
    cut = {branch.getResult(0), branch.getResult(1)};
  };
  cutIf(hasTopK,
        [&] { return cutPrefix(source, cut, /*weighs=*/false, topK); });
  Value topP = setting(Settings::kTopP);
  cutIf(compareReal(arith::CmpFPredicate::OLT, topP, real(1.0)), [&] {
    Value total = ifElse(
        hasTopK, [&] { return sumOfKept(source, cut, {}); },
        [&] { return totalOfRow; });
    // The likeliest, whose weight is 1, stays in any case.
    Value needed = arith::MaximumFOp::create(
        b, arith::MulFOp::create(b, topP, total), real(0.5));
    return cutPrefix(source, cut, /*weighs=*/true, needed);
  });
  Value isHigher = compare(arith::CmpIPredicate::sgt, floorKey, cut.key);
  cut = {choose(isHigher, floorKey, cut.key),
         choose(isHigher, none, cut.position)};

  Value power = setting(Settings::kInverseTemperature);
  Value total = sumOfKept(source, cut, power);
  Value target = arith::MulFOp::create(b, setting(Settings::kUniform), total);
  // The first position up to which there is more than the target; rounding may
  // leave the target at the very end.
  Value found = firstPosition(source, [&](Value position) {
    Value sum = sumOfTerms(Kind::ADD, source, [&](const Elements &elements) {
      Value isIn = arith::AndIOp::create(
          b, isKept(elements, cut),
          compare(arith::CmpIPredicate::sle, elements.positions,
                  splat(position, elements.positions)));
      Value weights = weigh(elements, power);
      return choose(isIn, weights, splat(real(0.0), weights));
    });
    return arith::OrIOp::create(
        b, compareReal(arith::CmpFPredicate::OGT, sum, target),
        compareReal(arith::CmpFPredicate::OGE, sum, total));
  });
  if (!source.list)
    return found;
  Value chosen = memref::LoadOp::create(
      b, source.list,
      entry(arith::IndexCastOp::create(b, b.getIndexType(), found)));
  return arith::TruncIOp::create(b, i32, chosen);
}

void SampleTask::readSettings() {
  topK = setting(Settings::kTopK);
  Value one = real(1.0), size = real(double(in.vocabulary));
  hasTopK = arith::AndIOp::create(
      b, compareReal(arith::CmpFPredicate::OGE, topK, one),
      compareReal(arith::CmpFPredicate::OLT, topK, size));
  floorKey =
      toKeys(arith::AddFOp::create(b, peak, setting(Settings::kLogMinP)));
}

// Lists the tokens that may be chosen; returns how many they are, maybe more
// than fit.
Value SampleTask::makeList() {
  readSettings();
  Value bound =
      ifElse(hasTopK, [&] { return boundOfTopK(); }, [&] { return floorKey; });
  totalOfRow = ifElse(
      hasTopK, [&] { return real(0.0); },
      [&] {
        return sumOfKept(
            {}, {integer(i32, kLowestKey), integer(i32, kLastPosition)}, {});
      });
  return fillList(bound);
}

Value SampleTask::draw() {
  Value count = makeList();
  Value fits =
      compare(arith::CmpIPredicate::ule, count, k.index(kListSize - lanes));
  return ifElse(
      fits, [&] { return drawFrom({list, count}); },
      [&] { return drawFrom({}); });
}

// The token where no draw is needed, -1 where there is none.
Value SampleTask::chooseEarly(llvm::function_ref<Value()> otherwise) {
  double infinity = std::numeric_limits<double>::infinity();
  return ifElse(
      compareReal(arith::CmpFPredicate::OEQ, peak, real(-infinity)),
      [&] { return integer(i32, -1); },
      [&] {
        Value greedy = arith::OrIOp::create(
            b,
            compareReal(arith::CmpFPredicate::OLE,
                        setting(Settings::kInverseTemperature), real(0.0)),
            compareReal(arith::CmpFPredicate::OEQ, peak, real(infinity)));
        return ifElse(greedy, [&] { return likeliest(); }, otherwise);
      });
}

// Tokens of the list are left to the next kernel, which is told their number.
void SampleTask::buildList() {
  // Ptxas would rather keep registers in memory than have one block alone on a
  // multiprocessor.
  k.getKernel()->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                         b.getI32IntegerAttr(1));
  list = in.list;
  note(kCount, real(0.0));
  store(chooseEarly([&] {
    Value count = makeList();
    Value fits =
        compare(arith::CmpIPredicate::ule, count, k.index(kListSize - lanes));
    return ifElse(
        fits,
        [&] {
          note(kCount, arith::SIToFPOp::create(
                           b, f32, arith::IndexCastOp::create(b, i64, count)));
          note(kPeak, peak);
          note(kTotal, totalOfRow);
          return integer(i32, -1);
        },
        [&] { return drawFrom({}); });
  }));
}

void SampleTask::buildChoice() {
  list = in.list;
  Value count = noted(kCount);
  auto branch = scf::IfOp::create(
      b, compareReal(arith::CmpFPredicate::OGT, count, real(0.0)),
      /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  peak = noted(kPeak);
  totalOfRow = noted(kTotal);
  readSettings();
  Value size = arith::IndexCastOp::create(
      b, b.getIndexType(), arith::FPToSIOp::create(b, i64, count));
  store(drawFrom({list, size}));
}

void SampleTask::build() {
  if (in.part == SamplePart::Choose)
    return buildChoice();
  findPeak();
  if (in.part == SamplePart::List)
    return buildList();
  list = k.list(kListSize, i64);
  store(chooseEarly([&] { return draw(); }));
}

void kernels::buildSample(KernelBuilder &k, const SampleBuffers &buffers) {
  SampleTask(k, buffers).build();
  k.finish();
}
