// Runs LLVM's NVPTX code generator, and ptxas as a program of its own.
#include "tnllm/Target/EmitPTX.h"
#include "tnllm/Spec/Printable.h"
#include "tnllm/Target/EmitObject.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Triple.h"

using namespace llvm;

namespace tnllm {

void initializeGPUTarget() {
  LLVMInitializeNVPTXTargetInfo();
  LLVMInitializeNVPTXTarget();
  LLVMInitializeNVPTXTargetMC();
  LLVMInitializeNVPTXAsmPrinter();
}

static Expected<std::unique_ptr<TargetMachine>>
createGPUMachine(const GPUTarget &target) {
  initializeGPUTarget();
  Triple triple("nvptx64-nvidia-cuda");
  std::string message;
  const Target *backend = TargetRegistry::lookupTarget(triple, message);
  if (!backend)
    return createStringError(message);
  std::unique_ptr<TargetMachine> machine(backend->createTargetMachine(
      triple, target.chip, target.features, TargetOptions(), std::nullopt,
      std::nullopt, CodeGenOptLevel::Aggressive));
  if (!machine)
    return createStringError("no code generator for " + target.chip);
  return machine;
}

Expected<std::string> emitPTX(Module &module, const GPUTarget &target) {
  auto machine = createGPUMachine(target);
  if (!machine)
    return machine.takeError();
  module.setTargetTriple((*machine)->getTargetTriple());
  module.setDataLayout((*machine)->createDataLayout());
  optimizeModule(module, **machine);
  SmallString<0> buffer;
  raw_svector_ostream out(buffer);
  if (Error error =
          emitCode(module, **machine, CodeGenFileType::AssemblyFile, out))
    return std::move(error);
  return std::string(buffer);
}

std::optional<std::string> findPtxas(StringRef given) {
  if (!given.empty())
    return given.str();
  auto inFolder = [](StringRef folder) -> std::optional<std::string> {
    SmallString<128> path(folder);
    sys::path::append(path, "bin", "ptxas");
    if (sys::fs::can_execute(path))
      return std::string(path);
    return std::nullopt;
  };
  if (auto home = sys::Process::GetEnv("CUDA_HOME"))
    if (auto found = inFolder(*home))
      return found;
  if (auto found = sys::findProgramByName("ptxas"))
    return *found;
  return inFolder("/usr/local/cuda");
}

// The first line of a report that complains, else the first line.
static StringRef firstComplaint(StringRef report) {
  SmallVector<StringRef> lines;
  report.split(lines, '\n', -1, /*KeepEmpty=*/false);
  for (StringRef line : lines)
    if (line.contains("error") || line.contains("fatal"))
      return line.trim();
  return lines.empty() ? StringRef("it said nothing") : lines.front().trim();
}

Expected<Assembly> assemblePTX(StringRef ptx, StringRef ptxas,
                               const GPUTarget &target) {
  SmallString<128> folder;
  if (std::error_code code = sys::fs::createUniqueDirectory("tnllm", folder))
    return createStringError("cannot create a temporary folder: " +
                             code.message());
  scope_exit cleanup([&] { sys::fs::remove_directories(folder); });
  auto file = [&](StringRef name) {
    SmallString<128> path(folder);
    sys::path::append(path, name);
    return std::string(path);
  };
  std::string input = file("kernels.ptx"), output = file("kernels.cubin"),
              log = file("log");
  std::error_code code;
  {
    raw_fd_ostream stream(input, code);
    if (!code) {
      stream << ptx;
      stream.flush();
      code = stream.error();
      stream.clear_error();
    }
    if (code)
      return createStringError(input + ": cannot write: " + code.message());
  }
  std::string architecture = "-arch=" + target.chip;
  StringRef arguments[] = {ptxas, architecture, "-O3", "-v",
                           input, "-o",         output};
  std::string reason;
  int status = sys::ExecuteAndWait(ptxas, arguments, /*Env=*/std::nullopt,
                                   {StringRef(""), StringRef(log),
                                    StringRef(log)},
                                   /*SecondsToWait=*/0, /*MemoryLimit=*/0,
                                   &reason);
  auto report = MemoryBuffer::getFile(log);
  StringRef said = report ? (*report)->getBuffer() : StringRef();
  if (status != 0)
    return createStringError(
        printable(ptxas) + ": failed: " +
        printable(reason.empty() ? firstComplaint(said) : StringRef(reason)));
  auto cubin = MemoryBuffer::getFile(output);
  if (!cubin)
    return createStringError(printable(ptxas) + ": wrote no output: " +
                             cubin.getError().message());
  return Assembly{(*cubin)->getBuffer().str(), said.str()};
}

} // namespace tnllm
