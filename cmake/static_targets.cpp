// Keeps a static tnllmc to the backends it uses.
//
// lld registers every backend that LLVM was built with, for link-time optimisation,
// which would draw all of them into the program. Empty registrations of all but X86
// and NVPTX stand in for them: no bitcode is ever linked.

#include "llvm/Config/llvm-config.h"
#include "llvm/Plugins/PassPlugin.h"

#define TNLLM_SECOND_OF(first, second, ...) second
#define TNLLM_SECOND(...) TNLLM_SECOND_OF(__VA_ARGS__)
// Only for these is this more than a name without a meaning: a comma.
#define TNLLM_USED_NVPTX ,
#define TNLLM_USED_X86 ,
// TNLLM_UNUSED(T)(name): a definition of `name`, or nothing where T is used.
#define TNLLM_UNUSED(T)                                                        \
  TNLLM_SECOND(TNLLM_USED_##T TNLLM_NOTHING, TNLLM_DEFINE, )
#define TNLLM_NOTHING(name)
#define TNLLM_DEFINE(name)                                                     \
  void name();                                                                 \
  void name() {}

extern "C" {
#define LLVM_TARGET(T)                                                         \
  TNLLM_UNUSED(T)(LLVMInitialize##T##TargetInfo)                               \
  TNLLM_UNUSED(T)(LLVMInitialize##T##Target)                                   \
  TNLLM_UNUSED(T)(LLVMInitialize##T##TargetMC)
#include "llvm/Config/Targets.def"
#define LLVM_ASM_PRINTER(T) TNLLM_UNUSED(T)(LLVMInitialize##T##AsmPrinter)
#include "llvm/Config/AsmPrinters.def"
#define LLVM_ASM_PARSER(T) TNLLM_UNUSED(T)(LLVMInitialize##T##AsmParser)
#include "llvm/Config/AsmParsers.def"
}

// Link-time optimisation would register Polly too, whose archive Debian has not.
llvm::PassPluginLibraryInfo getPollyPluginInfo();
llvm::PassPluginLibraryInfo getPollyPluginInfo() {
  return {LLVM_PLUGIN_API_VERSION, "Polly", LLVM_VERSION_STRING, nullptr};
}
