// From LLVM IR to machine code, and the descriptor the runtime looks for.
#include "tnllm/Target/EmitObject.h"
#include "tnllm/Target/LinkExecutable.h"

#include "llvm/AsmParser/Parser.h"
#include "llvm/BinaryFormat/Magic.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"

#include <gtest/gtest.h>

using namespace tnllm;

namespace {

const char entryPoints[] = R"(
  define void @prefill(ptr %p) {
    %v = load <16 x float>, ptr %p, align 64
    %w = fadd <16 x float> %v, %v
    store <16 x float> %w, ptr %p, align 64
    ret void
  }
  define void @decode() { call void @helper() ret void }
  define void @head() { ret void }
  define void @helper() { ret void }
)";

class EmitObjectTest : public testing::Test {
protected:
  // The module of `source` for `march`, with the descriptor.
  void prepare(const char *march, const char *source = entryPoints) {
    auto target = getCPUTarget(march, [](const llvm::Twine &text) {
      ADD_FAILURE() << text.str();
    });
    ASSERT_TRUE(llvm::succeeded(target));
    auto created = createTargetMachine(*target);
    ASSERT_TRUE(bool(created)) << llvm::toString(created.takeError());
    machine = std::move(*created);
    llvm::SMDiagnostic diagnostic;
    module = llvm::parseAssemblyString(source, diagnostic, context);
    ASSERT_TRUE(module) << diagnostic.getMessage().str();
    setModuleTarget(*module, *target, *machine);
  }
  std::string describe() {
    return llvm::toString(
        addModelDescriptor(*module, "prefill", "decode", "head", "{\"a\":1}"));
  }
  std::string emit(llvm::CodeGenFileType type) {
    llvm::SmallString<0> buffer;
    llvm::raw_svector_ostream out(buffer);
    EXPECT_FALSE(bool(emitCode(*module, *machine, type, out)));
    return std::string(buffer);
  }

  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module;
  std::unique_ptr<llvm::TargetMachine> machine;
};

TEST_F(EmitObjectTest, UsesTheWidestVectors) {
  prepare("x86-64-v4");
  ASSERT_EQ(describe(), "");
  optimizeModule(*module, *machine);
  std::string wide = emit(llvm::CodeGenFileType::AssemblyFile);
  EXPECT_NE(wide.find("%zmm"), std::string::npos);

  prepare("x86-64-v3");
  ASSERT_EQ(describe(), "");
  optimizeModule(*module, *machine);
  std::string narrow = emit(llvm::CodeGenFileType::AssemblyFile);
  EXPECT_EQ(narrow.find("%zmm"), std::string::npos);
  EXPECT_NE(narrow.find("%ymm"), std::string::npos);
}

TEST_F(EmitObjectTest, ExportsTheDescriptorAlone) {
  prepare("x86-64-v3");
  ASSERT_EQ(describe(), "");
  EXPECT_FALSE(llvm::verifyModule(*module, &llvm::errs()));
  EXPECT_TRUE(module->getGlobalVariable("tnrt_model")->hasExternalLinkage());
  EXPECT_TRUE(module->getFunction("prefill")->hasInternalLinkage());
  optimizeModule(*module, *machine);
  EXPECT_FALSE(module->getFunction("helper")); // inlined and dropped
  std::string object = emit(llvm::CodeGenFileType::ObjectFile);
  EXPECT_EQ(llvm::identify_magic(object), llvm::file_magic::elf_relocatable);
}

TEST_F(EmitObjectTest, MissesAnEntryPoint) {
  prepare("x86-64-v3", "define void @prefill() { ret void }\n"
                       "declare void @decode()\n"
                       "define void @head() { ret void }\n");
  EXPECT_EQ(describe(), "generated code does not define 'decode'");
}

TEST(LinkExecutable, SaysThatTheDirectoryIsMissing) {
  EXPECT_EQ(llvm::toString(linkExecutable("", "/no-such-folder").takeError()),
            "cannot read /no-such-folder/link.args: No such file or directory");
}

} // namespace
