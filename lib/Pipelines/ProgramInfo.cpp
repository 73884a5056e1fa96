// What a module says of the program and of what it is compiled for.
#include "tnllm/Pipelines/Pipelines.h"

#include "TN/TNDialect.h"
#include "TNK/TNKDialect.h"
#include "TNRT/TNRTDialect.h"
#include "tnllm/Conversion/TNToTNK.h"
#include "tnrt/abi.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

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
  if (element.isInteger(4))
    return DType::I4;
  if (isa<Float8E4M3FNType>(element))
    return DType::F8;
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
  case tnrt::LayoutKind::RowScalesF8:
    return {ParameterLayout::RowScalesF8, 0, 0};
  case tnrt::LayoutKind::GroupScales:
    return {ParameterLayout::GroupScales, attr.getWidth(), 0};
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

// True for a dictionary that convert-tn-to-tnk wrote.
static bool isParameter(Attribute attr) {
  auto entry = dyn_cast<DictionaryAttr>(attr);
  if (!entry)
    return false;
  auto type = entry.getAs<TypeAttr>(parameter_keys::kType);
  return entry.getAs<StringAttr>(parameter_keys::kTensor) && type &&
         isa<RankedTensorType>(type.getValue()) &&
         entry.getAs<tnrt::LayoutAttr>(parameter_keys::kLayout) &&
         entry.getAs<tn::InitAttr>(parameter_keys::kInit);
}

static bool isState(Attribute attr) {
  auto type = dyn_cast<TypeAttr>(attr);
  auto tensor =
      type ? dyn_cast<RankedTensorType>(type.getValue()) : RankedTensorType();
  return tensor && tensor.getRank() == 4;
}

// What the stages have left on the module.
static LogicalResult checkAttributes(ModuleOp module) {
  auto isListOf = [&](StringRef name,
                      llvm::function_ref<bool(Attribute)> isEntry) {
    auto list = module->getAttrOfType<ArrayAttr>(name);
    return list && llvm::all_of(list, isEntry);
  };
  struct {
    StringRef name;
    bool isRight;
  } const attributes[] = {
      {tnrt::kCapacityAttrName,
       module->hasAttrOfType<DictionaryAttr>(tnrt::kCapacityAttrName)},
      {tnrt::kArenaBytesAttrName,
       module->hasAttrOfType<IntegerAttr>(tnrt::kArenaBytesAttrName)},
      {tnrt::kStatesAttrName, isListOf(tnrt::kStatesAttrName, isState)},
      {tnrt::kParametersAttrName,
       isListOf(tnrt::kParametersAttrName, isParameter)},
      {tnrt::kProbesAttrName,
       isListOf(tnrt::kProbesAttrName, llvm::IsaPred<StringAttr>)},
      {tnrt::kProbeShapesAttrName,
       isListOf(tnrt::kProbeShapesAttrName, llvm::IsaPred<DenseI64ArrayAttr>)}};
  for (const auto &attribute : attributes)
    if (!attribute.isRight)
      return module.emitError("expected the attribute '")
             << attribute.name << "' as the tnrt stage leaves it";
  return success();
}

FailureOr<ProgramInfo> tnllm::getProgramInfo(ModuleOp module) {
  if (failed(checkAttributes(module)))
    return failure();
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
  info.trainTokens = rowsOf("loss_gradient");
  if (auto sequences =
          module->getAttrOfType<IntegerAttr>(tnrt::kSequencesAttrName))
    info.trainSequences = sequences.getInt();
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
  for (auto shape : module->getAttrOfType<ArrayAttr>(tnrt::kProbeShapesAttrName)
                        .getAsRange<DenseI64ArrayAttr>())
    info.probeShapes.emplace_back(shape.asArrayRef().begin(),
                                  shape.asArrayRef().end());
  return info;
}

// Threads of a block, which the conversion states as the kernel's limit.
static int64_t threadsOf(FunctionOpInterface kernel) {
  for (StringRef name : {NVVM::NVVMDialect::getReqntidAttrName(),
                         NVVM::NVVMDialect::getMaxntidAttrName()})
    if (auto threads = kernel->getAttrOfType<DenseI32ArrayAttr>(name))
      return threads[0];
  return 0;
}

static DeviceKernel deviceKernelOf(FunctionOpInterface kernel) {
  DeviceKernel entry;
  entry.name = kernel.getName().str();
  entry.threads = threadsOf(kernel);
  if (auto bytes =
          kernel->getAttrOfType<IntegerAttr>(tnk::kSharedBytesAttrName))
    entry.sharedBytes = bytes.getInt();
  entry.overlaps = kernel->hasAttr(tnk::kOverlapsAttrName);
  auto cost = kernel->getAttrOfType<DenseI64ArrayAttr>(tnk::kCostAttrName);
  if (cost && cost.size() == 4) {
    entry.bytes = cost[0];
    entry.bytesOfRow = cost[1];
    entry.bytesOfSequence = cost[2];
    entry.flopsOfRow = cost[3];
  }
  // A tensor map is passed by value, anything else in a slot of 8 bytes.
  StringRef byValue = LLVM::LLVMDialect::getByValAttrName();
  for (unsigned i = 0; i < kernel.getNumArguments(); ++i)
    entry.paramKinds.push_back(kernel.getArgAttr(i, byValue) ? TNRT_PARAM_MAP
                                                             : TNRT_PARAM_SLOT);
  return entry;
}

std::vector<DeviceKernel> tnllm::getDeviceKernels(ModuleOp module) {
  std::vector<DeviceKernel> kernels;
  auto names = module->getAttrOfType<ArrayAttr>(tnrt::kDeviceKernelsAttrName);
  if (!names)
    return kernels;
  for (auto name : names.getAsRange<SymbolRefAttr>())
    kernels.push_back(deviceKernelOf(
        SymbolTable::lookupNearestSymbolFrom<FunctionOpInterface>(module,
                                                                  name)));
  return kernels;
}

StringRef tnllm::getDeviceConstantsName() { return tnrt::kConstantsName; }

void tnllm::setModuleFingerprint(ModuleOp module, StringRef fingerprint) {
  module->setAttr(tnrt::kFingerprintAttrName,
                  StringAttr::get(module.getContext(), fingerprint));
}

std::optional<StringRef> tnllm::getModuleFingerprint(ModuleOp module) {
  auto attr = module->getAttrOfType<StringAttr>(tnrt::kFingerprintAttrName);
  if (!attr)
    return std::nullopt;
  return attr.getValue();
}
