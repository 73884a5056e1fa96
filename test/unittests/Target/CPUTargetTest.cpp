// Which CPUs can be named, and what follows for the kernels.
#include "tnllm/Target/CPUTarget.h"

#include "llvm/ADT/STLExtras.h"

#include <gtest/gtest.h>

using namespace tnllm;

namespace {

struct Outcome {
  llvm::FailureOr<CPUTarget> target = llvm::failure();
  std::vector<std::string> errors;
};

Outcome get(llvm::StringRef march) {
  Outcome outcome;
  outcome.target = getCPUTarget(march, [&](const llvm::Twine &text) {
    outcome.errors.push_back(text.str());
  });
  return outcome;
}

TEST(CPUTarget, Level3HasAVX2AndItsTile) {
  Outcome outcome = get("x86-64-v3");
  ASSERT_TRUE(llvm::succeeded(outcome.target));
  const CPUTarget &target = *outcome.target;
  EXPECT_EQ(target.cpu, "x86-64-v3");
  EXPECT_EQ(target.triple, "x86_64-unknown-linux-gnu");
  EXPECT_EQ(target.vectorBits, 256);
  EXPECT_EQ(target.vectorLanes(), 8);
  EXPECT_EQ(target.tileRows, 6);
  EXPECT_EQ(target.panelWidth, 16);
  EXPECT_FALSE(target.hasBF16Dot);
  EXPECT_FALSE(target.hasByteDot);
  EXPECT_EQ(target.requiredFeatures,
            (std::vector<std::string>{"avx2", "fma", "bmi2", "f16c"}));
}

TEST(CPUTarget, Level4AddsAVX512) {
  Outcome outcome = get("x86-64-v4");
  ASSERT_TRUE(llvm::succeeded(outcome.target));
  const CPUTarget &target = *outcome.target;
  EXPECT_EQ(target.vectorBits, 512);
  EXPECT_EQ(target.panelWidth, 64);
  EXPECT_FALSE(target.hasBF16Dot);
  EXPECT_FALSE(target.hasByteDot);
  for (const char *feature : {"avx2", "fma", "avx512f", "avx512bw", "avx512vl"})
    EXPECT_TRUE(llvm::is_contained(target.requiredFeatures, feature))
        << feature;
}

// Accumulators, one row of B and one broadcast of A stay in registers.
TEST(CPUTarget, TilesFitTheRegisters) {
  for (const char *march : {"x86-64-v3", "x86-64-v4"}) {
    Outcome outcome = get(march);
    ASSERT_TRUE(llvm::succeeded(outcome.target));
    const CPUTarget &target = *outcome.target;
    int64_t registers = target.vectorBits == 512 ? 32 : 16;
    int64_t width = target.panelWidth / target.vectorLanes();
    EXPECT_EQ(target.panelWidth % target.vectorLanes(), 0) << march;
    EXPECT_LE(target.tileRows * width + width + 1, registers) << march;
  }
}

// 48 and 32 KiB hold the scores of 64 positions in half of them, 16 KiB not.
TEST(CPUTarget, TheFirstCacheDecidesTheChunk) {
  CPUTarget target;
  for (auto [kibibytes, chunk] : {std::pair(32, 64),
                                  {48, 64},
                                  {31, 32},
                                  {16, 32},
                                  {64, 64},
                                  {128, 128},
                                  {1, 16},
                                  {1 << 20, 256}}) {
    target.l1Bytes = int64_t(kibibytes) << 10;
    EXPECT_EQ(target.attentionChunk(), chunk) << kibibytes;
  }
}

TEST(CPUTarget, NativeNamesThisMachineOrSaysWhatItLacks) {
  Outcome outcome = get("native");
  if (llvm::failed(outcome.target)) {
    ASSERT_EQ(outcome.errors.size(), 1u);
    EXPECT_NE(outcome.errors[0].find("AVX2 and FMA"), std::string::npos);
    return;
  }
  const CPUTarget &target = *outcome.target;
  EXPECT_EQ(target.march, "native");
  EXPECT_FALSE(target.cpu.empty());
  EXPECT_NE(target.features.find("+avx2"), std::string::npos);
  EXPECT_GT(target.l1Bytes, 0);
  EXPECT_GT(target.l2Bytes, target.l1Bytes);
  EXPECT_EQ(target.vectorBits == 512,
            llvm::is_contained(target.requiredFeatures, "avx512f"));
  EXPECT_EQ(target.hasBF16Dot,
            llvm::is_contained(target.requiredFeatures, "avx512bf16"));
  EXPECT_EQ(target.hasByteDot,
            llvm::is_contained(target.requiredFeatures, target.vectorBits == 512
                                                            ? "avx512vnni"
                                                            : "avxvnni"));
}

TEST(CPUTarget, UnknownNamesGetOneLine) {
  for (const char *march : {"", "x86-64", "x86-64-v2", "znver5", "NATIVE"}) {
    Outcome outcome = get(march);
    EXPECT_TRUE(llvm::failed(outcome.target)) << march;
    ASSERT_EQ(outcome.errors.size(), 1u) << march;
    EXPECT_EQ(outcome.errors[0],
              "--march: unknown CPU '" + std::string(march) +
                  "', expected native, x86-64-v3 or x86-64-v4");
  }
}

} // namespace
