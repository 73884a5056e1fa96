// From LLVM IR to PTX, and what is said when there is no usable ptxas.
#include "tnllm/Target/EmitPTX.h"

#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/SourceMgr.h"

#include <gtest/gtest.h>

using namespace tnllm;

namespace {

GPUTarget getTarget(const char *chip) {
  auto target = getGPUTarget(
      chip, [](const llvm::Twine &text) { ADD_FAILURE() << text.str(); });
  return *target;
}

std::string getPTX(const char *chip) {
  llvm::LLVMContext context;
  llvm::SMDiagnostic diagnostic;
  auto module = llvm::parseAssemblyString(
      "define ptx_kernel void @double(ptr addrspace(1) %p) {\n"
      "  %v = load float, ptr addrspace(1) %p\n"
      "  %w = fadd float %v, %v\n"
      "  store float %w, ptr addrspace(1) %p\n"
      "  ret void\n"
      "}\n",
      diagnostic, context);
  EXPECT_TRUE(module) << diagnostic.getMessage().str();
  auto ptx = emitPTX(*module, getTarget(chip));
  EXPECT_TRUE(bool(ptx)) << llvm::toString(ptx.takeError());
  return *ptx;
}

TEST(EmitPTX, NamesTheChipAndTheKernel) {
  std::string hopper = getPTX("sm_90a");
  EXPECT_NE(hopper.find(".version 8.0"), std::string::npos);
  EXPECT_NE(hopper.find(".target sm_90a"), std::string::npos);
  EXPECT_NE(hopper.find(".visible .entry double("), std::string::npos);
  EXPECT_NE(hopper.find("ld.global"), std::string::npos);
  EXPECT_NE(getPTX("sm_80").find(".target sm_80"), std::string::npos);
}

TEST(EmitPTX, TheGivenPtxasIsTaken) {
  EXPECT_EQ(findPtxas("/some/where/ptxas"), "/some/where/ptxas");
}

TEST(EmitPTX, SaysThatPtxasFailed) {
  std::string missing = llvm::toString(
      assemblePTX("", "/no/ptxas", getTarget("sm_90a")).takeError());
  EXPECT_EQ(missing.rfind("/no/ptxas: failed: ", 0), 0u) << missing;
  EXPECT_EQ(llvm::toString(
                assemblePTX("", "/bin/false", getTarget("sm_90a")).takeError()),
            "/bin/false: failed: it said nothing");
  EXPECT_EQ(
      llvm::toString(
          assemblePTX("", "/bin/true", getTarget("sm_90a")).takeError()),
      "/bin/true: wrote no output: No such file or directory");
}

} // namespace
