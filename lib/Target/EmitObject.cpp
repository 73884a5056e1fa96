// Runs LLVM's optimiser and code generator.
#include "tnllm/Target/EmitObject.h"
#include "tnrt/abi.h"

#include "llvm/Analysis/CGSCCPassManager.h"
#include "llvm/Analysis/LoopAnalysisManager.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Triple.h"

using namespace llvm;

namespace tnllm {

void initializeCPUTarget() {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  LLVMInitializeX86AsmParser();
}

Expected<std::unique_ptr<TargetMachine>>
createTargetMachine(const CPUTarget &target) {
  initializeCPUTarget();
  Triple triple(target.triple);
  std::string message;
  const Target *backend = TargetRegistry::lookupTarget(triple, message);
  if (!backend)
    return createStringError(message);
  TargetOptions options;
  options.FunctionSections = true;
  options.DataSections = true;
  std::unique_ptr<TargetMachine> machine(backend->createTargetMachine(
      triple, target.cpu, target.features, options, Reloc::PIC_,
      CodeModel::Small, CodeGenOptLevel::Aggressive));
  if (!machine)
    return createStringError("no code generator for " + target.triple);
  return machine;
}

void setModuleTarget(Module &module, const CPUTarget &target,
                     const TargetMachine &machine) {
  module.setTargetTriple(machine.getTargetTriple());
  module.setDataLayout(machine.createDataLayout());
  module.setPICLevel(PICLevel::BigPIC);
  module.setPIELevel(PIELevel::Large);
  for (Function &function : module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", target.cpu);
    if (!target.features.empty())
      function.addFnAttr("target-features", target.features);
    // Without this LLVM keeps to 256 bits on CPUs whose tuning prefers them.
    function.addFnAttr("prefer-vector-width", std::to_string(target.vectorBits));
    function.addFnAttr("min-legal-vector-width",
                       std::to_string(target.vectorBits));
  }
}

namespace {

// Writes the tables of the model's descriptor into a module.
class DescriptorBuilder {
public:
  explicit DescriptorBuilder(Module &module)
      : module(module), context(module.getContext()),
        i64(Type::getInt64Ty(context)),
        pointer(PointerType::getUnqual(context)) {}

  Constant *number(uint64_t value) { return ConstantInt::get(i64, value); }
  Constant *null() { return ConstantPointerNull::get(pointer); }

  // Private constant data.
  GlobalVariable *data(Constant *value, const Twine &name, uint64_t align = 1) {
    auto *global = new GlobalVariable(module, value->getType(),
                                      /*isConstant=*/true,
                                      GlobalValue::PrivateLinkage, value, name);
    global->setAlignment(Align(align));
    return global;
  }

  Constant *text(StringRef value, const Twine &name, bool addNull) {
    return data(ConstantDataArray::getString(context, value, addNull), name);
  }

  Constant *structOf(ArrayRef<Constant *> fields) {
    return ConstantStruct::getAnon(context, fields);
  }

  // struct tnrt_device_kernel, field by field.
  Constant *kernel(const DeviceKernel &entry) {
    Constant *kinds = data(
        ConstantDataArray::get(context, ArrayRef<uint8_t>(entry.paramKinds)),
        "tnrt_param_kinds");
    static_assert(sizeof(tnrt_device_kernel) == 10 * 8,
                  "tnrt_device_kernel has ten words");
    return structOf({text(entry.name, "tnrt_kernel_name", /*addNull=*/true),
                     number(entry.threads), number(entry.sharedBytes),
                     number(entry.paramKinds.size()), kinds,
                     number(entry.overlaps),
                     number(entry.bytes), number(entry.bytesOfRow),
                     number(entry.bytesOfSequence),
                     number(entry.flopsOfRow)});
  }

  // device_image to num_device_kernels of struct tnrt_module.
  SmallVector<Constant *> deviceFields(const DeviceImage *image) {
    if (!image)
      return {null(), number(0), null(), number(0)};
    SmallVector<Constant *> kernels;
    for (const DeviceKernel &entry : image->kernels)
      kernels.push_back(kernel(entry));
    Constant *table = null();
    if (!kernels.empty())
      table = data(ConstantArray::get(
                       ArrayType::get(kernels[0]->getType(), kernels.size()),
                       kernels),
                   "tnrt_kernels", 8);
    auto *code = ConstantDataArray::getString(context, image->code,
                                              /*AddNull=*/!image->isCubin());
    return {data(code, "tnrt_image", 64),
            number(code->getType()->getArrayNumElements()), table,
            number(kernels.size())};
  }

  SmallVector<Constant *> constantFields(StringRef name) {
    GlobalVariable *global =
        name.empty() ? nullptr
                     : module.getGlobalVariable(name, /*AllowInternal=*/true);
    if (!global)
      return {null(), number(0)};
    return {global, number(module.getDataLayout().getTypeAllocSize(
                        global->getValueType()))};
  }

private:
  Module &module;
  LLVMContext &context;
  Type *i64;
  PointerType *pointer;
};

} // namespace

// The functions of these names, null for an empty one.
static Expected<SmallVector<Constant *>> findEntries(Module &module,
                                                     ArrayRef<StringRef> names) {
  SmallVector<Constant *> entries;
  for (StringRef name : names) {
    if (name.empty()) {
      entries.push_back(ConstantPointerNull::get(
          PointerType::getUnqual(module.getContext())));
      continue;
    }
    Function *function = module.getFunction(name);
    if (!function || function->isDeclaration())
      return createStringError("generated code does not define '" + name + "'");
    entries.push_back(function);
  }
  return entries;
}

Error addModelDescriptor(Module &module, const EntryPoints &entries,
                         StringRef manifest, const DeviceImage *image,
                         StringRef constants) {
  auto inference =
      findEntries(module, {entries.prefill, entries.decode, entries.head});
  if (!inference)
    return inference.takeError();
  auto training = findEntries(module, {entries.evaluate, entries.gradient});
  if (!training)
    return training.takeError();
  auto optimizer = findEntries(module, {entries.gradientNorm, entries.adamw});
  if (!optimizer)
    return optimizer.takeError();
  auto findOptional = [&](StringRef name) {
    Function *function = name.empty() ? nullptr : module.getFunction(name);
    return function && !function->isDeclaration() ? function : nullptr;
  };
  Function *sampler = findOptional(entries.sample);
  Function *packed = findOptional(entries.packed);
  // The optimiser may then drop, inline and respecialise everything else.
  for (Function &function : module)
    if (!function.isDeclaration())
      function.setLinkage(GlobalValue::InternalLinkage);

  // struct tnrt_module, field by field.
  DescriptorBuilder builder(module);
  SmallVector<Constant *> fields = {
      builder.number(TNRT_ABI_VERSION),
      builder.text(manifest, "tnrt_manifest", /*addNull=*/false),
      builder.number(manifest.size())};
  llvm::append_range(fields, *inference);
  llvm::append_range(fields, builder.deviceFields(image));
  llvm::append_range(fields, builder.constantFields(constants));
  llvm::append_range(fields, *training);
  for (Function *function : {sampler, packed})
    fields.push_back(function ? static_cast<Constant *>(function)
                              : builder.null());
  llvm::append_range(fields, *optimizer);
  static_assert(sizeof(tnrt_module) == 18 * 8,
                "tnrt_module has eighteen words");
  Constant *descriptor = builder.structOf(fields);
  new GlobalVariable(module, descriptor->getType(), /*isConstant=*/true,
                     GlobalValue::ExternalLinkage, descriptor, "tnrt_model");
  return Error::success();
}

void optimizeModule(Module &module, TargetMachine &machine) {
  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager components;
  ModuleAnalysisManager modules;
  PipelineTuningOptions tuning;
  PassBuilder builder(&machine, tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  builder.buildPerModuleDefaultPipeline(OptimizationLevel::O3)
      .run(module, modules);
}

Error emitCode(Module &module, TargetMachine &machine, CodeGenFileType type,
               raw_pwrite_stream &out) {
  legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, out, /*DwoOut=*/nullptr, type))
    return createStringError("the target cannot write files of this type");
  passes.run(module);
  return Error::success();
}

} // namespace tnllm
