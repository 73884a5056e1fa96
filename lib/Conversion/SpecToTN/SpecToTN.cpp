// From a spec to a module: its types and parameters. Blocks are in
// BlockBuilder.cpp, the functions around them in EntryPoints.cpp.
#include "ModuleBuilder.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::tn;
using tnllm::ModelSpec;

OwningOpRef<ModuleOp> ModuleBuilder::build() {
  module = ModuleOp::create(b.getLoc(), spec.name);
  b.setInsertionPointToEnd(module->getBody());
  declareParameters();
  if (options.training) {
    buildLoss();
  } else {
    buildPrefill();
    buildHead();
    if (options.sampling)
      buildSample();
  }
  return std::move(module);
}

bool ModuleBuilder::isQuantised(Role role) {
  return tnllm::isQuantised(options.weights) && isLinear(role);
}

Type ModuleBuilder::elementType(Role role) {
  if (role == Role::Embedding)
    return options.bf16Embedding ? Type(b.getBF16Type()) : f32();
  return isLinear(role) ? linearElement() : f32();
}

Type ModuleBuilder::linearElement() {
  switch (options.weights) {
  case DType::F32:
    return f32();
  case DType::BF16:
    return b.getBF16Type();
  case DType::I8:
    return b.getI8Type();
  case DType::F8:
    return b.getType<Float8E4M3FNType>();
  case DType::I4:
    return b.getI4Type();
  }
  llvm_unreachable("unknown type");
}

bool ModuleBuilder::tiedHeadDiffers() {
  return spec.tiedHead && elementType(Role::Embedding) != linearElement();
}

RankedTensorType ModuleBuilder::activation(ArrayRef<int64_t> dims) {
  SmallVector<int64_t> shape = {ShapedType::kDynamic, ShapedType::kDynamic};
  shape.append(dims.begin(), dims.end());
  return RankedTensorType::get(shape, f32());
}

bool ModuleBuilder::isLinear(Role role) {
  switch (role) {
  case Role::QkvuWeight:
  case Role::OutWeight:
  case Role::L1Weight:
  case Role::L2Weight:
  case Role::L3Weight:
  case Role::Head:
    return true;
  default:
    return false;
  }
}

RankedTensorType ModuleBuilder::parameterType(const Parameter &parameter) {
  return RankedTensorType::get(parameter.shape, elementType(parameter.role));
}

ModuleBuilder::Shape ModuleBuilder::shapeOf(int64_t layer) {
  return {spec.attentionOf(layer), spec.lrpe[layer]};
}

RankedTensorType ModuleBuilder::stateType(int64_t layer) {
  auto [rows, columns] = spec.stateShape(layer);
  return RankedTensorType::get(
      {ShapedType::kDynamic, spec.heads, rows, columns}, f32());
}

void ModuleBuilder::at(const llvm::Twine &name) {
  b.setLoc(NameLoc::get(b.getStringAttr(name)));
}

InitAttr ModuleBuilder::initOf(const Parameter &parameter) {
  InitKind kind = InitKind::Normal;
  if (parameter.init.kind == ParameterInit::Constant)
    kind = InitKind::Constant;
  else if (parameter.init.kind == ParameterInit::LrpeTheta)
    kind = InitKind::LRPETheta;
  return InitAttr::get(b.getContext(), kind,
                       b.getF64FloatAttr(parameter.init.value));
}

void ModuleBuilder::declareParameters() {
  for (const Parameter &parameter : parameters) {
    at(parameter.tensor);
    ParamOp::create(b, b.getStringAttr(parameter.tensor), StringAttr(),
                    TypeAttr::get(parameterType(parameter)), initOf(parameter));
  }
  if (tiedHeadDiffers())
    declareTiedHead();
}

void ModuleBuilder::declareTiedHead() {
  const Parameter &embedding = *find(Role::Embedding, -1);
  at(kTiedHeadName);
  auto type = RankedTensorType::get(embedding.shape, linearElement());
  ParamOp::create(b, b.getStringAttr(kTiedHeadName),
                  b.getStringAttr(embedding.tensor), TypeAttr::get(type),
                  initOf(embedding));
}

const Parameter *ModuleBuilder::find(Role role, int64_t layer) {
  return byRole.lookup({static_cast<int>(role), layer});
}

RankedTensorType ModuleBuilder::scalesType(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> scales = {shape[0]};
  if (options.weights == DType::I4)
    scales.push_back(shape[1] / kScaleGroup);
  return RankedTensorType::get(scales, f32());
}

Value ModuleBuilder::getScales(Role role, int64_t layer) {
  const Parameter *parameter = find(role, layer);
  if (!parameter || !isQuantised(role))
    return {};
  at(parameter->tensor);
  return RowScalesOp::create(b, scalesType(parameter->shape),
                             parameter->tensor);
}

Value ModuleBuilder::get(Role role, int64_t layer) {
  const Parameter *parameter = find(role, layer);
  if (!parameter)
    return {};
  at(parameter->tensor);
  return GetParamOp::create(b, parameterType(*parameter), parameter->tensor);
}

OwningOpRef<ModuleOp> tnllm::convertSpecToTN(MLIRContext &context,
                                             const ModelSpec &spec,
                                             const SpecToTNOptions &options) {
  return ModuleBuilder(context, spec, options).build();
}
