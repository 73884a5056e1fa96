// From LLVM IR to machine code, and the descriptor the runtime looks for.
#include "tnllm/Target/EmitObject.h"
#include "tnllm/Target/LinkExecutable.h"

#include "llvm/AsmParser/Parser.h"
#include "llvm/BinaryFormat/Magic.h"
#include "llvm/IR/Constants.h"
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

const EntryPoints inference = {"prefill", "decode", "head", "", "",
                               "",        "",       "",     ""};

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
        addModelDescriptor(*module, inference, "{\"a\":1}"));
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

// The words of the descriptor, each an integer or a named global.
std::string describeWord(const llvm::Constant *word) {
  if (auto *number = llvm::dyn_cast<llvm::ConstantInt>(word))
    return std::to_string(number->getZExtValue());
  if (word->isNullValue())
    return "null";
  return "@" + word->getName().str();
}

std::vector<std::string> wordsOf(const llvm::GlobalVariable *global) {
  std::vector<std::string> words;
  for (const llvm::Use &word : global->getInitializer()->operands())
    words.push_back(describeWord(llvm::cast<llvm::Constant>(word)));
  return words;
}

TEST_F(EmitObjectTest, ACPUProgramHasNoDeviceCode) {
  prepare("x86-64-v3");
  ASSERT_EQ(describe(), "");
  EXPECT_EQ(wordsOf(module->getGlobalVariable("tnrt_model")),
            (std::vector<std::string>{"6", "@tnrt_manifest", "7", "@prefill",
                                      "@decode", "@head", "null", "0", "null",
                                      "0", "null", "0", "null", "null",
                                      "null", "null", "null", "null"}));
}

TEST_F(EmitObjectTest, ATrainingProgramHasItsOwnEntryPoints) {
  prepare("x86-64-v3", "define void @loss() { ret void }\n"
                       "define void @loss_gradient() { ret void }\n");
  EntryPoints training;
  training.evaluate = "loss";
  training.gradient = "loss_gradient";
  ASSERT_FALSE(bool(addModelDescriptor(*module, training, "{}")));
  EXPECT_EQ(wordsOf(module->getGlobalVariable("tnrt_model")),
            (std::vector<std::string>{"6", "@tnrt_manifest", "2", "null",
                                      "null", "null", "null", "0", "null", "0",
                                      "null", "0", "@loss", "@loss_gradient",
                                      "null", "null", "null", "null"}));
}

TEST_F(EmitObjectTest, ATrainingProgramOfAGPUHasAnOptimizer) {
  prepare("x86-64-v3", "define void @norm() { ret void }\n"
                       "define void @step() { ret void }\n");
  EntryPoints training;
  training.gradientNorm = "norm";
  training.adamw = "step";
  ASSERT_FALSE(bool(addModelDescriptor(*module, training, "{}")));
  std::vector<std::string> words =
      wordsOf(module->getGlobalVariable("tnrt_model"));
  ASSERT_EQ(words.size(), 18u);
  EXPECT_EQ(words[16], "@norm");
  EXPECT_EQ(words[17], "@step");
  training.adamw = "none";
  EXPECT_EQ(llvm::toString(addModelDescriptor(*module, training, "{}")),
            "generated code does not define 'none'");
}

TEST_F(EmitObjectTest, AGPUProgramCarriesImageKernelsAndConstants) {
  prepare("x86-64-v3", "define void @prefill() { ret void }\n"
                       "define void @decode() { ret void }\n"
                       "define void @head() { ret void }\n"
                       "define void @sample() { ret void }\n"
                       "@bytes = private constant [80 x i8] zeroinitializer\n");
  DeviceImage image;
  image.code = ".version 8.0";
  image.kernels = {{"norm", 128, 0, {0, 0}},
                   {"tiles", 384, 200000, {1, 0, 0}, true, 7, 8, 9, 10}};
  EntryPoints entries = inference;
  entries.sample = "sample";
  ASSERT_FALSE(bool(addModelDescriptor(*module, entries, "{}", &image, "bytes")));
  EXPECT_FALSE(llvm::verifyModule(*module, &llvm::errs()));
  // PTX ends in a NUL that is part of the image.
  EXPECT_EQ(wordsOf(module->getGlobalVariable("tnrt_model")),
            (std::vector<std::string>{"6", "@tnrt_manifest", "2", "@prefill",
                                      "@decode", "@head", "@tnrt_image", "13",
                                      "@tnrt_kernels", "2", "@bytes", "80",
                                      "null", "null", "@sample", "null",
                                      "null", "null"}));
  const llvm::Constant *table =
      module->getGlobalVariable("tnrt_kernels", true)->getInitializer();
  const llvm::Constant *second = table->getAggregateElement(1u);
  EXPECT_EQ(describeWord(second->getAggregateElement(1u)), "384");
  EXPECT_EQ(describeWord(second->getAggregateElement(2u)), "200000");
  EXPECT_EQ(describeWord(second->getAggregateElement(3u)), "3");
  auto *kinds = llvm::cast<llvm::GlobalVariable>(second->getAggregateElement(4));
  EXPECT_EQ(llvm::cast<llvm::ConstantDataArray>(kinds->getInitializer())
                ->getRawDataValues(),
            llvm::StringRef("\1\0\0", 3));
  EXPECT_EQ(describeWord(second->getAggregateElement(5u)), "1") << "overlaps";
  for (unsigned word = 6; word < 10; ++word)
    EXPECT_EQ(describeWord(second->getAggregateElement(word)),
              std::to_string(word + 1));
}

TEST_F(EmitObjectTest, ACubinIsStoredAsItIs) {
  prepare("x86-64-v3");
  DeviceImage image;
  image.code = std::string("\x7f" "ELF\0\1", 6);
  ASSERT_FALSE(bool(addModelDescriptor(*module, inference, "{}", &image,
                                       "missing")));
  std::vector<std::string> words =
      wordsOf(module->getGlobalVariable("tnrt_model"));
  EXPECT_EQ(words[7], "6");
  EXPECT_EQ(words[8], "null"); // no kernels
  EXPECT_EQ(words[10], "null"); // no constants
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
