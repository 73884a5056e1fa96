// Which GPUs can be named, and what an unknown name is told.
#include "tnllm/Target/GPUTarget.h"

#include <gtest/gtest.h>

#include <vector>

using namespace tnllm;

namespace {

struct Outcome {
  llvm::FailureOr<GPUTarget> target = llvm::failure();
  std::vector<std::string> errors;
};

Outcome get(llvm::StringRef chip) {
  Outcome outcome;
  outcome.target = getGPUTarget(chip, [&](const llvm::Twine &text) {
    outcome.errors.push_back(text.str());
  });
  return outcome;
}

TEST(GPUTarget, HopperHasWarpgroupProducts) {
  Outcome outcome = get("sm_90a");
  ASSERT_TRUE(llvm::succeeded(outcome.target));
  EXPECT_EQ(outcome.target->chip, "sm_90a");
  EXPECT_TRUE(outcome.target->hasWarpgroupProducts);
  EXPECT_EQ(outcome.target->sharedBytes, 232448);
  EXPECT_EQ(outcome.target->multiprocessors, 132);
  EXPECT_TRUE(outcome.errors.empty());
}

TEST(GPUTarget, AmpereHasNone) {
  Outcome outcome = get("sm_80");
  ASSERT_TRUE(llvm::succeeded(outcome.target));
  EXPECT_FALSE(outcome.target->hasWarpgroupProducts);
  EXPECT_EQ(outcome.target->sharedBytes, 166912);
}

TEST(GPUTarget, AnUnknownNameListsTheKnownOnes) {
  for (const char *name : {"sm_90", "sm_75", "", "SM_90A", "cpu"}) {
    Outcome outcome = get(name);
    EXPECT_TRUE(llvm::failed(outcome.target)) << name;
    ASSERT_EQ(outcome.errors.size(), 1u) << name;
    EXPECT_EQ(outcome.errors[0], "unknown GPU '" + std::string(name) +
                                     "', expected one of sm_80, sm_90a");
  }
}

} // namespace
