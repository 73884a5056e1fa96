// Reads off a module what the manifest says of the program.
#include "tnllm/Pipelines/Pipelines.h"

#include "TN/TNDialect.h"
#include "TNRT/TNRTDialect.h"
#include "tnllm/Conversion/TNToTNK.h"

using namespace mlir;
using namespace tnllm;

static ParameterInit initOf(tn::InitAttr attr) {
  switch (attr.getKind()) {
  case tn::InitKind::Normal:
    return {ParameterInit::Normal, attr.getValue().getValueAsDouble()};
  case tn::InitKind::Constant:
    return {ParameterInit::Constant, attr.getValue().getValueAsDouble()};
  case tn::InitKind::LRPETheta:
    return {ParameterInit::LrpeTheta, 0};
  }
  llvm_unreachable("unknown initialisation");
}

static DType dtypeOf(Type element) {
  if (element.isInteger(8))
    return DType::I8;
  return element.isBF16() ? DType::BF16 : DType::F32;
}

static ParameterLayout layoutOf(tnrt::LayoutAttr attr) {
  switch (attr.getKind()) {
  case tnrt::LayoutKind::Rows:
    return {ParameterLayout::Rows, 0, 0};
  case tnrt::LayoutKind::Panels:
    return {ParameterLayout::Panels, attr.getWidth(), attr.getStep()};
  case tnrt::LayoutKind::RowScales:
    return {ParameterLayout::RowScales, 0, 0};
  }
  llvm_unreachable("unknown layout");
}

static ProgramParameter parameterOf(DictionaryAttr entry) {
  ProgramParameter parameter;
  parameter.tensor = entry.getAs<StringAttr>(parameter_keys::kTensor).str();
  auto type = cast<RankedTensorType>(
      entry.getAs<TypeAttr>(parameter_keys::kType).getValue());
  parameter.shape.assign(type.getShape().begin(), type.getShape().end());
  parameter.dtype = dtypeOf(type.getElementType());
  parameter.layout =
      layoutOf(entry.getAs<tnrt::LayoutAttr>(parameter_keys::kLayout));
  parameter.init = initOf(entry.getAs<tn::InitAttr>(parameter_keys::kInit));
  return parameter;
}

ProgramInfo tnllm::getProgramInfo(ModuleOp module) {
  ProgramInfo info;
  auto capacity =
      module->getAttrOfType<DictionaryAttr>(tnrt::kCapacityAttrName);
  auto rowsOf = [&](StringRef name) {
    auto rows = capacity.getAs<IntegerAttr>(name);
    return rows ? rows.getInt() : 0;
  };
  info.prefillRows = rowsOf("prefill");
  info.decodeRows = rowsOf("decode");
  info.headRows = rowsOf("head");
  info.arenaBytes =
      module->getAttrOfType<IntegerAttr>(tnrt::kArenaBytesAttrName).getInt();
  for (auto type : module->getAttrOfType<ArrayAttr>(tnrt::kStatesAttrName)
                       .getAsValueRange<TypeAttr>()) {
    ArrayRef<int64_t> shape = cast<RankedTensorType>(type).getShape();
    info.states.push_back({shape[1], shape[2], shape[3]});
  }
  for (auto entry : module->getAttrOfType<ArrayAttr>(tnrt::kParametersAttrName)
                        .getAsRange<DictionaryAttr>())
    info.parameters.push_back(parameterOf(entry));
  for (auto name : module->getAttrOfType<ArrayAttr>(tnrt::kProbesAttrName)
                       .getAsValueRange<StringAttr>())
    info.probes.push_back(name.str());
  return info;
}
