// The smaller parts of the core: CPU features, progress, memory.
#include "core/CpuFeatures.h"
#include "core/Memory.h"
#include "core/Progress.h"

#include "TestFiles.h"

using namespace tnrt;
using namespace tnrt::test;

namespace {

TEST(CpuFeatures, NamesWhatIsMissing) {
  EXPECT_TRUE(missingCpuFeatures({}).empty());
#if defined(__x86_64__)
  EXPECT_TRUE(missingCpuFeatures({"cmov", "fxsr", "cx8"}).empty());
#endif
  EXPECT_EQ(missingCpuFeatures({"no-such-thing"}).size(), 1u);
  Manifest::Target target;
  target.march = "x86-64-v9";
  EXPECT_TRUE(checkCpu(target));
  target.required = {"no-such-thing", "nor-this"};
  const std::string message = checkCpu(target).message();
  EXPECT_TRUE(contains(message, "this CPU lacks no-such-thing, nor-this"));
  EXPECT_TRUE(contains(message, "--march="));
}

TEST(Progress, Lines) {
  Progress bytes("loading", 2'000'000'000, Progress::Unit::Bytes, false);
  EXPECT_EQ(bytes.line(500'000'000, 3),
            "loading  [=====>              ]  25%  0.5 of 2.0 GB, 9 s left");
  EXPECT_EQ(bytes.line(2'000'000'000, 3),
            "loading  [====================] 100%  2.0 of 2.0 GB");
  EXPECT_TRUE(contains(bytes.line(20'000'000, 1), ", 1 min 39 s left"));
  Progress items("work", 4, Progress::Unit::Items, false);
  EXPECT_EQ(items.line(0, 1), "work  [>                   ]   0%  0 of 4");
  items.advance(4);
}

TEST(Memory, LargeBlocksAreAlignedAndZero) {
  for (size_t bytes : {size_t(1), size_t(4096), size_t(9) << 20}) {
    Result<Memory> memory = Memory::allocate(bytes, "a test");
    ASSERT_TRUE(memory);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory->data()) % 64, 0u);
    EXPECT_EQ(memory->data()[0], 0);
    memory->data()[bytes - 1] = 1;
    Memory moved = std::move(*memory);
    EXPECT_EQ(moved.size(), bytes);
  }
  EXPECT_TRUE(Memory::allocate(0, "nothing"));
  EXPECT_TRUE(contains(Memory::allocate(SIZE_MAX / 2, "a test").message(),
                       "for a test: Cannot allocate memory"));
  EXPECT_FALSE(Memory::allocate(SIZE_MAX, "a test"));
}

} // namespace
