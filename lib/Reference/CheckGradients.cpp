// tn-check-gradients: a gradient function against differences of the function
// it was made from.
#include "TensorFiles.h"
#include "tnllm/Reference/Interpreter.h"
#include "tnllm/Reference/Ops.h"
#include "tnllm/Reference/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

namespace tnllm {
#define GEN_PASS_DEF_TNCHECKGRADIENTS
#include "tnllm/Reference/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;
using namespace tnllm::reference;

static double dot(const Tensor &a, const Tensor &b) {
  double sum = 0;
  for (int64_t i = 0; i < a.size(); ++i)
    sum += a[i] * b[i];
  return sum;
}

static Tensor moved(const Tensor &x, const Tensor &direction, double step) {
  Tensor result = x;
  for (int64_t i = 0; i < x.size(); ++i)
    result[i] += step * direction[i];
  return result;
}

static bool isLabel(BlockArgument argument) {
  return llvm::any_of(argument.getUsers(), [&](Operation *user) {
    auto loss = dyn_cast<tn::CrossEntropyOp>(user);
    return loss && loss.getLabels() == argument;
  });
}

namespace {

struct CheckGradientsPass
    : public tnllm::impl::TNCheckGradientsBase<CheckGradientsPass> {
  using TNCheckGradientsBase::TNCheckGradientsBase;

  void runOnOperation() override {
    if (failed(checkOptions()) || failed(findFunctions()) ||
        failed(drawInputs()) || failed(check()))
      signalPassFailure();
    llvm::outs().flush();
    markAllAnalysesPreserved();
  }

  LogicalResult checkOptions() {
    if (batch < 1 || length < 1 || !(step > 0))
      return getOperation().emitError(
          "expected batch and length of at least 1, and a step above 0");
    return checkSizes(getOperation(), batch, length);
  }

  LogicalResult findFunctions() {
    SymbolTable symbols(getOperation());
    primal = symbols.lookup<func::FuncOp>(function);
    gradient = symbols.lookup<func::FuncOp>(function + "_gradient");
    if (primal && gradient && !primal.isDeclaration() &&
        !gradient.isDeclaration())
      return success();
    return getOperation().emitError("expected functions with bodies, '")
           << function << "' and '" << function << "_gradient'";
  }

  FailureOr<Tensor> draw(BlockArgument argument) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (!type)
      return primal.emitError("expected arguments that are tensors, got ")
                 << argument.getType(),
             failure();
    SmallVector<int64_t> shape(type.getShape());
    for (auto [i, size] : llvm::enumerate(shape))
      if (ShapedType::isDynamic(size))
        size = i == 0 ? batch : length;
    if (isa<FloatType>(type.getElementType()))
      return randomNormal(shape, random);
    Tensor value(shape);
    // Ids and labels: where there are words. Positions: not far, since the
    // error of a difference grows with the square of the angle's step.
    int64_t limit =
        type.getElementType().isInteger(32) ? idLimit(argument) : 10;
    if (limit < 1)
      return primal.emitError("argument ")
                 << argument.getArgNumber() << " is an id of an empty table",
             failure();
    std::uniform_int_distribution<int64_t> integers(0, limit - 1);
    for (int64_t i = 0; i < value.size(); ++i)
      value[i] = integers(random);
    // One that counts for nothing, beside others.
    if (isLabel(argument) && value.size() > 1)
      value[value.size() - 1] = -1;
    return value;
  }

  LogicalResult drawInputs() {
    random.seed(seed);
    inputs.clear();
    environment = Environment();
    environment.roundAngles = false;
    for (BlockArgument argument : primal.getArguments()) {
      FailureOr<Tensor> value = draw(argument);
      if (failed(value))
        return failure();
      inputs.push_back(std::move(*value));
    }
    // Not as the model would begin: norms at 1 and biases at 0 hide errors.
    for (auto param : getOperation().getOps<tn::ParamOp>())
      environment.parameters[param.getSymName()] =
          randomNormal(param.getTensorType().getShape(), random);
    return success();
  }

  // The sum over results of weights times the function's value.
  FailureOr<double> objective() {
    FailureOr<SmallVector<Tensor>> results =
        evaluate(primal, inputs, environment);
    if (failed(results))
      return failure();
    double sum = 0;
    for (auto [result, weight] : llvm::zip(*results, weights))
      sum += dot(result, weight);
    return sum;
  }

  LogicalResult check() {
    FailureOr<SmallVector<Tensor>> results =
        evaluate(primal, inputs, environment);
    if (failed(results))
      return failure();
    weights.clear();
    SmallVector<Tensor> arguments = inputs;
    for (const Tensor &result : *results) {
      weights.push_back(
          randomNormal(SmallVector<int64_t>(result.shape()), random));
      arguments.push_back(weights.back());
    }
    FailureOr<SmallVector<Tensor>> gradients =
        evaluate(gradient, arguments, environment);
    if (failed(gradients))
      return failure();
    if (gradients->size() < results->size())
      return gradient.emitError("expected the ")
             << results->size() << " results of the function first, got "
             << gradients->size();
    for (unsigned i = 0; i < primal.getNumResults(); ++i)
      if (relativeError((*gradients)[i], (*results)[i]) > 1e-12)
        return gradient.emitError("result ")
               << i << " differs from the function's own";
    bool agree = true;
    for (unsigned i = primal.getNumResults(); i < gradients->size(); ++i) {
      FailureOr<bool> one = checkOne(i, (*gradients)[i]);
      if (failed(one))
        return failure();
      agree &= *one;
    }
    return success(agree);
  }

  // The value that result `index` of the gradient function belongs to, or null.
  Tensor *find(unsigned index, std::string &name) {
    Attribute of = gradient.getResultAttr(index, tn::kGradientOfAttrName);
    if (auto number = dyn_cast_or_null<IntegerAttr>(of)) {
      if (number.getInt() < 0 || number.getInt() >= int64_t(inputs.size()))
        return nullptr;
      name = "argument " + std::to_string(number.getInt());
      return &inputs[number.getInt()];
    }
    if (auto symbol = dyn_cast_or_null<FlatSymbolRefAttr>(of)) {
      name = symbol.getValue().str();
      auto found = environment.parameters.find(name);
      return found == environment.parameters.end() ? nullptr : &found->second;
    }
    return nullptr;
  }

  FailureOr<bool> checkOne(unsigned index, const Tensor &computed) {
    std::string name;
    Tensor *value = find(index, name);
    if (!value || value->shape() != computed.shape())
      return gradient.emitError("result ")
                 << index << " is no gradient of an argument or parameter",
             failure();
    Tensor original = *value;
    Tensor direction =
        randomNormal(SmallVector<int64_t>(original.shape()), random);
    auto at = [&](double distance) {
      *value = moved(original, direction, distance);
      return objective();
    };
    FailureOr<double> ahead = at(step), behind = at(-step);
    *value = original;
    if (failed(ahead) || failed(behind))
      return failure();
    double difference = (*ahead - *behind) / (2 * step);
    double slope = dot(computed, direction);
    double error = std::fabs(slope - difference) /
                   std::max({std::fabs(slope), std::fabs(difference), 1e-300});
    llvm::outs() << "  " << name << ": gradient "
                 << llvm::format("%.6g, difference %.6g, relative error %.2g",
                                 slope, difference, error)
                 << "\n";
    // Not `error > tolerance`, which a NaN passes.
    if (error <= tolerance)
      return true;
    gradient.emitError("the gradient of ")
        << name << " differs from the function's difference by " << error
        << ", more than " << double(tolerance);
    return false;
  }

  func::FuncOp primal, gradient;
  Environment environment;
  SmallVector<Tensor> inputs, weights;
  std::mt19937_64 random;
};

} // namespace
