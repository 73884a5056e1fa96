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

Error addModelDescriptor(Module &module, StringRef prefill, StringRef decode,
                         StringRef head, StringRef manifest) {
  LLVMContext &context = module.getContext();
  Type *i64 = Type::getInt64Ty(context);
  Type *pointer = PointerType::getUnqual(context);

  SmallVector<Function *> entries;
  for (StringRef name : {prefill, decode, head}) {
    Function *function = module.getFunction(name);
    if (!function || function->isDeclaration())
      return createStringError("generated code does not define '" + name + "'");
    entries.push_back(function);
  }
  // The optimiser may then drop, inline and respecialise everything else.
  for (Function &function : module)
    if (!function.isDeclaration())
      function.setLinkage(GlobalValue::InternalLinkage);

  Constant *text =
      ConstantDataArray::getString(context, manifest, /*AddNull=*/false);
  auto *data = new GlobalVariable(module, text->getType(), /*isConstant=*/true,
                                  GlobalValue::PrivateLinkage, text,
                                  "tnrt_manifest");
  // struct tnrt_module, field by field.
  auto *type =
      StructType::get(context, {i64, pointer, i64, pointer, pointer, pointer,
                                pointer, i64, pointer, i64});
  Constant *null = ConstantPointerNull::get(cast<PointerType>(pointer));
  Constant *zero = ConstantInt::get(i64, 0);
  Constant *fields[] = {ConstantInt::get(i64, TNRT_ABI_VERSION),
                        data,
                        ConstantInt::get(i64, manifest.size()),
                        entries[0],
                        entries[1],
                        entries[2],
                        null, // no device image
                        zero,
                        null, // no device kernels
                        zero};
  static_assert(sizeof(tnrt_module) == 10 * 8, "tnrt_module has ten words");
  new GlobalVariable(module, type, /*isConstant=*/true,
                     GlobalValue::ExternalLinkage,
                     ConstantStruct::get(type, fields), "tnrt_model");
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
