// Random weights: their distribution, and that they depend on the index alone.
#include "tnrt/formats/RandomInit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

using namespace tnrt;

namespace {

std::vector<float> normal(uint64_t key, int64_t begin, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  randomFill({InitSpec::Kind::Normal, 0.02, 0}, key, INT64_MAX, begin, count,
             values.data());
  return values;
}

double correlation(const std::vector<float> &a, const std::vector<float> &b,
                   size_t shift) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i + shift < a.size(); ++i) {
    ab += double(a[i]) * b[i + shift];
    aa += double(a[i]) * a[i];
    bb += double(b[i + shift]) * b[i + shift];
  }
  return ab / std::sqrt(aa * bb);
}

TEST(RandomInit, MomentsOfANormalDistribution) {
  const std::vector<float> values = normal(randomKey(1, "w"), 0, 1 << 21);
  double mean = 0, square = 0, cube = 0, largest = 0;
  int64_t within = 0;
  for (float value : values) {
    const double x = value / 0.02;
    mean += x;
    square += x * x;
    cube += x * x * x;
    largest = std::max(largest, std::fabs(x));
    within += std::fabs(x) < 1;
  }
  const double n = static_cast<double>(values.size());
  EXPECT_NEAR(mean / n, 0, 0.004);
  EXPECT_NEAR(square / n, 1, 0.004);
  EXPECT_NEAR(cube / n, 0, 0.01);
  EXPECT_NEAR(static_cast<double>(within) / n, 0.683, 0.02);
  EXPECT_LT(largest, 3.47);
  EXPECT_GT(largest, 3.2);
}

TEST(RandomInit, AnyPieceGivesTheSameValues) {
  const uint64_t key = randomKey(3, "w");
  const int64_t start =
      (int64_t(1) << 32) - 50; // across the index's upper half
  const std::vector<float> whole = normal(key, start, 100);
  for (int64_t begin = 0; begin < 100; begin += 7)
    for (int64_t i = begin; i < 100; ++i)
      EXPECT_EQ(normal(key, start + begin, 100 - begin)[size_t(i - begin)],
                whole[size_t(i)]);
  EXPECT_NE(normal(key, 0, 50), normal(key, int64_t(1) << 32, 50));
}

TEST(RandomInit, StreamsAreUnrelated) {
  const int64_t count = 1 << 18;
  const std::vector<float> a = normal(randomKey(1, "layers.0.w"), 0, count);
  for (auto [seed, name] : {std::pair{1, "layers.1.w"}, {2, "layers.0.w"}})
    for (size_t shift : {0, 1, 64, 1000})
      EXPECT_LT(
          std::fabs(correlation(
              a, normal(randomKey(uint64_t(seed), name), 0, count), shift)),
          0.01);
  for (size_t shift : {1, 2, 16, 1024, 65536})
    EXPECT_LT(std::fabs(correlation(a, a, shift)), 0.012) << shift;
  EXPECT_EQ(randomKey(1, "a"), randomKey(1, "a"));
}

TEST(RandomInit, ConstantAndTheta) {
  std::vector<float> values(8);
  randomFill({InitSpec::Kind::Constant, 0, 1.5}, 0, 8, 0, 8, values.data());
  EXPECT_EQ(values[7], 1.5f);
  randomFill({InitSpec::Kind::LrpeTheta, 0, 0}, 0, 64, 8, 8, values.data());
  for (int i = 0; i < 8; ++i)
    EXPECT_FLOAT_EQ(values[size_t(i)],
                    static_cast<float>(std::pow(10000.0, -2.0 * (8 + i) / 64)));
}

} // namespace
