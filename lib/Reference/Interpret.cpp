// tn-interpret: runs functions in f64 and prints or writes their results.
#include "TensorFiles.h"
#include "tnllm/Reference/Interpreter.h"
#include "tnllm/Reference/Ops.h"
#include "tnllm/Reference/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>
#include <optional>

namespace tnllm {
#define GEN_PASS_DEF_TNINTERPRET
#include "tnllm/Reference/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;
using namespace tnllm::reference;

namespace {

struct InterpretPass : public tnllm::impl::TNInterpretBase<InterpretPass> {
  using TNInterpretBase::TNInterpretBase;

  void runOnOperation() override {
    random.seed(seed);
    written.clear();
    if (batch < 1 || length < 1) {
      getOperation().emitError("expected batch and length of at least 1");
      return signalPassFailure();
    }
    if (failed(checkSizes(getOperation(), batch, length)) ||
        failed(openInputs()) || failed(fillParameters()) ||
        failed(runFunctions()) || failed(writeOutputs()))
      signalPassFailure();
    markAllAnalysesPreserved();
  }

  LogicalResult openInputs() {
    if (inputs.empty())
      return success();
    auto file = tnrt::SafetensorsFile::open(inputs);
    if (!file)
      return getOperation().emitError() << file.message();
    inputFile.emplace(std::move(*file));
    return success();
  }

  //===--------------------------------------------------------------------===//
  // Parameters
  //===--------------------------------------------------------------------===//

  LogicalResult fillParameters() {
    environment = Environment();
    environment.noise = noise;
    environment.roundActivations = roundActivations;
    errors.seed(noiseSeed);
    environment.random = &errors;
    std::optional<tnrt::Checkpoint> checkpoint;
    if (!parameters.empty()) {
      auto opened = tnrt::Checkpoint::open(parameters);
      if (!opened)
        return getOperation().emitError() << opened.message();
      checkpoint.emplace(std::move(*opened));
    }
    for (auto param : getOperation().getOps<tn::ParamOp>()) {
      FailureOr<Tensor> value = checkpoint ? readParameter(param, *checkpoint)
                                           : initialValue(param, seed);
      if (failed(value))
        return failure();
      Type element = param.getTensorType().getElementType();
      if (element.isBF16())
        value = roundToBF16(*value);
      if (tn::isQuantised(element)) {
        if (value->rank() != 2)
          return param.emitError("expected an ")
                 << element << " parameter to be a matrix";
        if (element.isInteger(4) && value->dim(1) % tn::kScaleGroup != 0)
          return param.emitError("expected an i4 parameter of a multiple of ")
                 << tn::kScaleGroup << " columns";
        Tensor scales = rowScales(*value, element);
        value = quantiseRows(*value, scales, element);
        environment.rowScales[param.getSymName()] = std::move(scales);
      }
      environment.parameters[param.getSymName()] = std::move(*value);
    }
    return success();
  }

  FailureOr<Tensor> readParameter(tn::ParamOp param,
                                  const tnrt::Checkpoint &checkpoint) {
    const tnrt::TensorView *view = checkpoint.find(param.getTensorName().str());
    if (!view)
      return param.emitError("parameter '")
                 << param.getTensorName().getValue() << "' is not in "
                 << checkpoint.path(),
             failure();
    if (ArrayRef<int64_t>(view->shape) != param.getTensorType().getShape())
      return param.emitError("parameter '")
                 << param.getTensorName().getValue() << "' has the shape "
                 << tnrt::shapeText(view->shape) << " in " << checkpoint.path(),
             failure();
    auto value = readTensor(*view);
    if (!value)
      return param.emitError() << value.message(), failure();
    return std::move(*value);
  }

  //===--------------------------------------------------------------------===//
  // Inputs
  //===--------------------------------------------------------------------===//

  // The name that an argument has in files made for executables.
  static std::string roleOf(func::FuncOp function, unsigned index) {
    if (auto state =
            function.getArgAttrOfType<IntegerAttr>(index, tn::kStateAttrName))
      return "state." + std::to_string(state.getInt());
    auto type =
        dyn_cast<RankedTensorType>(function.getArgument(index).getType());
    if (type && type.getElementType().isInteger(32))
      return "input_ids";
    if (type && type.getElementType().isInteger(64))
      return "position";
    return "";
  }

  const tnrt::TensorView *findInput(func::FuncOp function, unsigned index) {
    if (!inputFile)
      return nullptr;
    if (auto *view = inputFile->find("arg" + std::to_string(index)))
      return view;
    std::string role = roleOf(function, index);
    return role.empty() ? nullptr : inputFile->find(role);
  }

  // Reads what the file has; its shapes decide batch and length.
  LogicalResult readInputs(func::FuncOp function,
                           SmallVectorImpl<std::optional<Tensor>> &values) {
    runBatch = batch;
    runLength = length;
    for (unsigned i = 0; i < function.getNumArguments(); ++i) {
      values.emplace_back();
      const tnrt::TensorView *view = findInput(function, i);
      if (!view)
        continue;
      auto value = readTensor(*view);
      if (!value)
        return function.emitError("argument ") << i << ": " << value.message();
      auto type = dyn_cast<RankedTensorType>(function.getArgument(i).getType());
      if (type && value->rank() == type.getRank()) {
        if (type.getRank() > 0 && type.isDynamicDim(0))
          runBatch = value->dim(0);
        if (type.getRank() > 1 && type.isDynamicDim(1))
          runLength = value->dim(1);
      }
      values.back() = std::move(*value);
    }
    return success();
  }

  FailureOr<SmallVector<int64_t>> runTimeShape(func::FuncOp function,
                                               unsigned index) {
    auto type =
        dyn_cast<RankedTensorType>(function.getArgument(index).getType());
    SmallVector<int64_t> shape;
    if (type)
      shape.assign(type.getShape().begin(), type.getShape().end());
    if (!type || llvm::any_of(ArrayRef(shape).drop_front(
                                  std::min<size_t>(2, shape.size())),
                              ShapedType::isDynamic))
      return function.emitError("argument ")
                 << index
                 << ": expected a tensor with dynamic dimensions 0 and 1 at "
                    "most",
             failure();
    for (auto [i, size] : llvm::enumerate(shape))
      if (ShapedType::isDynamic(size))
        size = i == 0 ? runBatch : runLength;
    return shape;
  }

  FailureOr<Tensor> makeInput(func::FuncOp function, unsigned index,
                              std::optional<Tensor> given) {
    FailureOr<SmallVector<int64_t>> shape = runTimeShape(function, index);
    if (failed(shape))
      return failure();
    std::string role = roleOf(function, index);
    if (given && role == "position" && given->rank() == 0 && shape->size() == 1)
      return Tensor(*shape, std::vector<double>((*shape)[0], (*given)[0]));
    if (given)
      return std::move(*given); // the interpreter compares it with the type
    if (inputFile && role == "input_ids")
      return function.emitError("argument ")
                 << index << ": expected a tensor input_ids in "
                 << inputFile->path(),
             failure();
    if (role.empty())
      return randomNormal(*shape, random);
    Tensor value(*shape);
    if (role == "input_ids") {
      int64_t limit = idLimit(function.getArgument(index));
      if (limit < 1)
        return function.emitError("argument ")
                   << index << " is an id of an empty table",
               failure();
      std::uniform_int_distribution<int64_t> ids(0, limit - 1);
      for (int64_t i = 0; i < value.size(); ++i)
        value[i] = ids(random);
    }
    return value;
  }

  //===--------------------------------------------------------------------===//
  // The run
  //===--------------------------------------------------------------------===//

  LogicalResult runFunctions() {
    bool found = false;
    for (auto candidate : getOperation().getOps<func::FuncOp>()) {
      bool wanted = function.empty()
                        ? candidate.isPublic() && !candidate.isDeclaration()
                        : candidate.getSymName() == function;
      if (!wanted)
        continue;
      found = true;
      if (failed(runFunction(candidate)))
        return failure();
    }
    if (!found)
      return getOperation().emitError("expected a function '")
             << function << "' to run";
    return success();
  }

  LogicalResult runFunction(func::FuncOp function) {
    if (function.isDeclaration())
      return function.emitError("expected a body to run");
    SmallVector<std::optional<Tensor>> given;
    if (failed(readInputs(function, given)))
      return failure();
    SmallVector<Tensor> arguments;
    for (auto [i, value] : llvm::enumerate(given)) {
      FailureOr<Tensor> input = makeInput(function, i, std::move(value));
      if (failed(input))
        return failure();
      arguments.push_back(std::move(*input));
    }
    llvm::outs() << "@" << function.getSymName() << "\n";
    environment.observer = [this](StringRef name, const Tensor &value) {
      report(name.str(), value);
    };
    FailureOr<SmallVector<Tensor>> results =
        evaluate(function, arguments, environment);
    if (failed(results))
      return failure();
    for (auto [i, result] : llvm::enumerate(*results))
      report("result" + std::to_string(i), result);
    llvm::outs().flush();
    return success();
  }

  void report(std::string name, const Tensor &value) {
    double largest = 0, sum = 0;
    llvm::outs() << "  " << name << " [" << shapeText(value.shape()) << "]:";
    for (int64_t i = 0; i < value.size(); ++i) {
      if (i < printed)
        llvm::outs() << llvm::format(" %.6g", value[i] + 0.0); // + 0.0: no "-0"
      // Not std::max, which forgets a NaN.
      if (!(std::fabs(value[i]) <= largest))
        largest = std::fabs(value[i]);
      sum += value[i];
    }
    llvm::outs() << (value.size() > printed ? " ..." : "")
                 << llvm::format(" | max %.6g sum %.6g\n", largest, sum + 0.0);
    if (!outputs.empty())
      written.push_back({std::move(name), value});
  }

  LogicalResult writeOutputs() {
    if (outputs.empty())
      return success();
    tnrt::Status status = writeTensors(outputs, std::move(written));
    if (!status)
      return getOperation().emitError() << status.message();
    return success();
  }

  Environment environment;
  std::optional<tnrt::SafetensorsFile> inputFile;
  std::vector<NamedTensor> written;
  std::mt19937_64 random, errors;
  int64_t runBatch = 1, runLength = 1;
};

} // namespace
