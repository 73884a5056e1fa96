// Which gradients need not begin as zeros.
#include "train/GradientZeros.h"

#include "tnrt/abi.h"
#include "tnrt/formats/DType.h"

#include <gtest/gtest.h>

#include <optional>

using namespace tnrt;

namespace {

// Three parameters of 4 x 4 with space between them.
class GradientZerosTest : public testing::Test {
protected:
  GradientZerosTest() {
    for (int64_t i = 0; i < 3; ++i) {
      TrainParameter parameter;
      parameter.offset = 20 * i;
      parameter.elements = 16;
      parameters.push_back(parameter);
    }
    zeros.emplace(parameters, memory, 60);
    zeros->learn();
  }

  // A product that adds to `rows` rows of 4 from element `at` on.
  MatmulCall product(int64_t at, int64_t rows = 4) {
    MatmulCall call = {};
    call.rows = rows;
    call.n = 4;
    call.k = 8;
    call.form =
        TNRT_MATMUL_X_TRANSPOSED | TNRT_MATMUL_W_PLAIN | TNRT_MATMUL_ACCUMULATE;
    call.outType = static_cast<int64_t>(DType::F32);
    call.y = memory + at;
    return call;
  }
  bool adds(const MatmulCall &call) {
    return zeros->formOf(call) & TNRT_MATMUL_ACCUMULATE;
  }

  std::vector<TrainParameter> parameters;
  float memory[60] = {};
  std::optional<GradientZeros> zeros;
};

TEST_F(GradientZerosTest, FirstProductWrites) {
  EXPECT_TRUE(adds(product(0))); // while it learns, everybody adds
  EXPECT_TRUE(adds(product(0)));
  zeros->use(memory + 20);
  EXPECT_TRUE(adds(product(20)));
  EXPECT_TRUE(adds(product(40, 2))); // half of it
  for (int run = 0; run < 2; ++run) {
    const auto ranges = zeros->apply();
    ASSERT_EQ(ranges.size(), 1u); // of two neighbours
    EXPECT_EQ(ranges[0].begin, 20);
    EXPECT_EQ(ranges[0].end, 56);
    EXPECT_FALSE(adds(product(0)));
    EXPECT_TRUE(adds(product(0))); // the second one
    EXPECT_TRUE(adds(product(20)));
    EXPECT_TRUE(adds(product(40, 2)));
    EXPECT_TRUE(adds(product(40)));
  }
}

TEST_F(GradientZerosTest, OthersAreLeftAlone) {
  float elsewhere[16];
  MatmulCall call = product(0);
  call.y = elsewhere;
  EXPECT_TRUE(adds(call));
  call = product(20);
  call.c = elsewhere; // adds another matrix
  EXPECT_TRUE(adds(call));
  call = product(40);
  call.form &= ~int64_t(TNRT_MATMUL_ACCUMULATE);
  EXPECT_FALSE(adds(call));
  zeros->use(elsewhere);
  zeros->use(nullptr);
  zeros->use(memory + 60); // past the end
  const auto ranges = zeros->apply();
  ASSERT_EQ(ranges.size(), 1u);
  EXPECT_EQ(ranges[0].begin, 0);
  EXPECT_EQ(ranges[0].end, 56);
}

// What lies between two that are written is not zeroed with others.
TEST_F(GradientZerosTest, RangesStopAtWhatIsWritten) {
  EXPECT_TRUE(adds(product(20)));
  const auto ranges = zeros->apply();
  ASSERT_EQ(ranges.size(), 2u);
  EXPECT_EQ(ranges[0].begin, 0);
  EXPECT_EQ(ranges[0].end, 16);
  EXPECT_EQ(ranges[1].begin, 40);
  EXPECT_EQ(ranges[1].end, 56);
}

} // namespace
