// Tensors of the interpreter from and to safetensors files, and random ones.
#include "TensorFiles.h"
#include "DefinedTypes.h"

#include "tnllm/Reference/Ops.h"
#include "tnrt/formats/Convert.h"
#include "tnrt/formats/RandomInit.h"
#include "tnrt/formats/Text.h"

#include <cmath>
#include <cstring>
#include <map>

using namespace mlir;
using namespace tnllm;
using namespace tnllm::reference;

template <typename T>
static std::vector<double> widen(const tnrt::TensorView &view) {
  std::vector<double> values(view.bytes / sizeof(T));
  for (size_t i = 0; i < values.size(); ++i) {
    T element;
    std::memcpy(&element, view.data + i * sizeof(T), sizeof(T));
    values[i] = static_cast<double>(element);
  }
  return values;
}

tnrt::Result<Tensor> reference::readTensor(const tnrt::TensorView &view) {
  switch (view.dtype) {
  case tnrt::DType::F64:
    return Tensor(view.shape, widen<double>(view));
  case tnrt::DType::I64:
    return Tensor(view.shape, widen<int64_t>(view));
  case tnrt::DType::I32:
    return Tensor(view.shape, widen<int32_t>(view));
  default:
    break;
  }
  if (!tnrt::isFloatDType(view.dtype))
    return tnrt::Error{"tensor " + tnrt::quote(view.name) + " is " +
                       tnrt::dtypeName(view.dtype) +
                       "; expected F64, F32, F16, BF16, I64 or I32"};
  std::vector<float> narrow(view.bytes / tnrt::dtypeBytes(view.dtype));
  tnrt::convertElements(view.dtype, view.data, tnrt::DType::F32, narrow.data(),
                        narrow.size());
  return Tensor(view.shape, std::vector<double>(narrow.begin(), narrow.end()));
}

static void makeNamesUnique(std::vector<NamedTensor> &tensors) {
  std::map<std::string, int> seen;
  for (NamedTensor &tensor : tensors) {
    int count = seen[tensor.name]++;
    if (count > 0)
      tensor.name += "." + std::to_string(count);
  }
}

tnrt::Status reference::writeTensors(const std::string &path,
                                     std::vector<NamedTensor> tensors) {
  makeNamesUnique(tensors);
  std::vector<tnrt::TensorSpec> specs;
  for (const NamedTensor &tensor : tensors)
    specs.push_back(
        {tensor.name, tnrt::DType::F64, tensor.value.shape().vec()});
  auto writer = tnrt::SafetensorsWriter::create(path, std::move(specs));
  if (!writer)
    return writer.takeError();
  for (const NamedTensor &tensor : tensors) {
    llvm::ArrayRef<double> data = tensor.value.data();
    if (tnrt::Status status =
            writer->write(data.data(), data.size() * sizeof(double));
        !status)
      return status;
  }
  return writer->commit();
}

Tensor reference::initialValue(tn::ParamOp param, uint64_t seed) {
  tnrt::InitSpec init;
  double value = param.getInit().getValue().getValueAsDouble();
  switch (param.getInit().getKind()) {
  case tn::InitKind::Normal:
    init.std = value;
    break;
  case tn::InitKind::Constant:
    init.kind = tnrt::InitSpec::Kind::Constant;
    init.value = value;
    break;
  case tn::InitKind::LRPETheta:
    init.kind = tnrt::InitSpec::Kind::LrpeTheta;
    break;
  }
  mlir::RankedTensorType type = param.getTensorType();
  std::vector<float> values(type.getNumElements());
  llvm::StringRef name = param.getTensorName();
  tnrt::randomFill(init, tnrt::randomKey(seed, {name.data(), name.size()}),
                   values.size(), 0, values.size(), values.data());
  return Tensor(type.getShape(),
                std::vector<double>(values.begin(), values.end()));
}

Tensor reference::randomNormal(llvm::ArrayRef<int64_t> shape,
                               std::mt19937_64 &random) {
  Tensor result(shape);
  std::normal_distribution<double> normal;
  for (int64_t i = 0; i < result.size(); ++i)
    result[i] = static_cast<float>(normal(random));
  return result;
}

int64_t reference::idLimit(BlockArgument ids) {
  int64_t limit = std::numeric_limits<int32_t>::max();
  for (Operation *user : ids.getUsers()) {
    RankedTensorType table;
    if (auto embedding = dyn_cast<tn::EmbeddingOp>(user))
      table = embedding.getTable().getType();
    else if (auto loss = dyn_cast<tn::CrossEntropyOp>(user))
      table = loss.getWeight().getType();
    else if (auto gradient = dyn_cast<tn::EmbeddingGradOp>(user))
      table = gradient.getResult().getType();
    if (table && !table.isDynamicDim(0))
      limit = std::min(limit, table.getDimSize(0));
  }
  return limit;
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

static bool isHeld(Type type, int64_t batch, int64_t length) {
  constexpr int64_t kMost = int64_t(1) << 32;
  auto tensor = dyn_cast<RankedTensorType>(type);
  int64_t count = 1;
  for (int64_t i = 0; tensor && i < tensor.getRank(); ++i) {
    int64_t size = tensor.getDimSize(i);
    if (ShapedType::isDynamic(size))
      size = i == 0 ? batch : length;
    if (size > 0 && count > kMost / size)
      return false;
    count *= size;
  }
  return true;
}

LogicalResult reference::checkSizes(ModuleOp module, int64_t batch,
                                    int64_t length) {
  WalkResult walk = module.walk([&](Operation *op) {
    SmallVector<Type> types = definedTypes(op);
    if (auto param = dyn_cast<tn::ParamOp>(op))
      types.push_back(param.getTensorType());
    for (Type type : types) {
      auto tensor = dyn_cast<RankedTensorType>(type);
      if (tensor && llvm::is_contained(tensor.getShape(), 0))
        return WalkResult(op->emitError("the interpreter expects tensors of at "
                                        "least one element, found ")
                          << type);
      if (!isHeld(type, batch, length))
        return WalkResult(
            op->emitError("the interpreter holds tensors of at most 2^32 "
                          "elements, found ")
            << type << " with batch " << batch << " and length " << length);
    }
    return WalkResult::advance();
  });
  return failure(walk.wasInterrupted());
}
