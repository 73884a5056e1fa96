// The sampler: which candidates stay, how often each is drawn, and edge cases.
#include "Sampler.h"
#include "Likeliest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace tnrt {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

SamplerOptions plain() {
  SamplerOptions options;
  options.temperature = 1;
  options.topK = 0;
  options.topP = 1;
  options.minP = 0;
  return options;
}

int32_t sampleOnce(const SamplerOptions &options, std::vector<float> logits,
                   double uniform,
                   const RecentTokens &recent = RecentTokens(0)) {
  Sampler sampler(options, static_cast<int64_t>(logits.size()));
  return sampler.sample(logits.data(), recent, uniform);
}

std::vector<double> frequencies(const SamplerOptions &options,
                                const std::vector<float> &logits,
                                int draws = 20000) {
  Sampler sampler(options, static_cast<int64_t>(logits.size()));
  std::vector<double> counts(logits.size());
  RecentTokens recent(0);
  std::vector<float> copy;
  for (int i = 0; i < draws; ++i) {
    copy = logits;
    counts[sampler.sample(copy.data(), recent, uniformAt(5, i))] += 1.0 / draws;
  }
  return counts;
}

// Every token that any draw can give.
std::set<int32_t> support(const SamplerOptions &options,
                          const std::vector<float> &logits) {
  Sampler sampler(options, static_cast<int64_t>(logits.size()));
  std::set<int32_t> tokens;
  RecentTokens recent(0);
  std::vector<float> copy;
  for (int i = 0; i < 4000; ++i) {
    copy = logits;
    tokens.insert(sampler.sample(copy.data(), recent, i / 4000.0));
  }
  return tokens;
}

TEST(UniformTest, IsAFunctionOfSeedAndCounter) {
  EXPECT_EQ(uniformAt(1, 2), uniformAt(1, 2));
  EXPECT_NE(uniformAt(1, 2), uniformAt(1, 3));
  EXPECT_NE(uniformAt(1, 2), uniformAt(2, 2));
}

TEST(UniformTest, IsUniform) {
  for (uint64_t seed : {uint64_t(0), uint64_t(1), ~uint64_t(0)}) {
    double sum = 0, square = 0, serial = 0, previous = 0.5;
    constexpr int draws = 100000;
    for (int i = 0; i < draws; ++i) {
      double u = uniformAt(seed, i);
      ASSERT_GE(u, 0);
      ASSERT_LT(u, 1);
      sum += u;
      square += (u - 0.5) * (u - 0.5);
      serial += (u - 0.5) * (previous - 0.5);
      previous = u;
    }
    EXPECT_NEAR(sum / draws, 0.5, 0.005);
    EXPECT_NEAR(square / draws, 1.0 / 12, 0.002);
    EXPECT_NEAR(serial / draws, 0, 0.002);
  }
}

TEST(UniformTest, NeighbouringSeedsAreIndependent) {
  double serial = 0;
  for (uint64_t seed = 0; seed < 100000; ++seed)
    serial += (uniformAt(seed, 0) - 0.5) * (uniformAt(seed + 1, 0) - 0.5);
  EXPECT_NEAR(serial / 100000, 0, 0.002);
}

TEST(SamplerTest, ZeroTemperatureTakesTheLargest) {
  SamplerOptions options;
  options.temperature = 0;
  EXPECT_EQ(sampleOnce(options, {1, 5, 2}, 0.99), 1);
  EXPECT_EQ(sampleOnce(options, {3, 5, 5}, 0.99), 1)
      << "a tie goes to the smaller id";
}

TEST(SamplerTest, DrawsTheSoftmax) {
  std::vector<float> logits = {0, std::log(2.0f), std::log(5.0f)};
  auto counts = frequencies(plain(), logits);
  EXPECT_NEAR(counts[0], 1.0 / 8, 0.01);
  EXPECT_NEAR(counts[1], 2.0 / 8, 0.01);
  EXPECT_NEAR(counts[2], 5.0 / 8, 0.01);
}

TEST(SamplerTest, TemperatureScalesTheLogits) {
  auto options = plain();
  options.temperature = 0.5f;
  auto counts = frequencies(options, {0, std::log(2.0f)});
  EXPECT_NEAR(counts[1], 4.0 / 5, 0.01);
}

TEST(SamplerTest, TinyTemperatureDoesNotOverflow) {
  auto options = plain();
  options.temperature = 1e-30f;
  EXPECT_EQ(sampleOnce(options, {-1e30f, 3, 2.9f}, 0.999), 1);
}

TEST(SamplerTest, TopKKeepsTheLikeliest) {
  auto options = plain();
  options.topK = 2;
  EXPECT_EQ(support(options, {1, 4, 2, 3}), (std::set<int32_t>{1, 3}));
  options.topK = 100;
  EXPECT_EQ(support(options, {1, 4, 2, 3}).size(), 4u);
  options.topK = 2; // of equal logits, the smaller ids
  EXPECT_EQ(support(options, {1, 1, 1, 1}), (std::set<int32_t>{0, 1}));
}

TEST(SamplerTest, TopPKeepsTheSmallestSetThatReachesP) {
  std::vector<float> logits = {std::log(1.0f), std::log(6.0f), std::log(3.0f)};
  auto options = plain();
  for (auto [p, size] : {std::pair<float, size_t>{0.0f, 1},
                         {0.59f, 1},
                         {0.61f, 2},
                         {0.89f, 2},
                         {0.91f, 3},
                         {1.0f, 3}}) {
    options.topP = p;
    EXPECT_EQ(support(options, logits).size(), size) << p;
  }
}

// Against the definition, by a full sort.
TEST(SamplerTest, TopPAgreesWithSorting) {
  constexpr int64_t vocabulary = 1000;
  for (int round = 0; round < 8; ++round) {
    std::vector<float> logits(vocabulary);
    for (int64_t i = 0; i < vocabulary; ++i) // coarse steps: many ties
      logits[i] = std::floor(float(uniformAt(round, i)) * 40) / 8;
    auto options = plain();
    options.topP = 0.3f;
    std::vector<int32_t> order(vocabulary);
    for (int64_t i = 0; i < vocabulary; ++i)
      order[i] = static_cast<int32_t>(i);
    std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
    });
    double total = 0, sum = 0;
    for (float logit : logits)
      total += std::exp(double(logit));
    std::set<int32_t> expected;
    for (int32_t id : order) {
      if (sum >= double(options.topP) * total)
        break;
      sum += std::exp(double(logits[id]));
      expected.insert(id);
    }
    auto actual = support(options, logits);
    EXPECT_EQ(actual, expected);
  }
}

TEST(SamplerTest, MinPDropsTheUnlikely) {
  std::vector<float> logits = {std::log(1.0f), std::log(10.0f), std::log(4.0f)};
  auto options = plain();
  options.minP = 0.3f;
  EXPECT_EQ(support(options, logits), (std::set<int32_t>{1, 2}));
  options.minP = 1.0f;
  EXPECT_EQ(support(options, logits), (std::set<int32_t>{1}));
}

TEST(SamplerTest, RepeatPenaltyLowersBothSigns) {
  SamplerOptions options;
  options.temperature = 0;
  options.repeatPenalty = 2;
  RecentTokens recent(4);
  recent.push(0);
  recent.push(0); // once is enough
  EXPECT_EQ(sampleOnce(options, {3, 2, 1}, 0, recent), 1);
  EXPECT_EQ(sampleOnce(options, {5, 2, 1}, 0, recent), 0);
  EXPECT_EQ(sampleOnce(options, {-1, -1.5f, -9}, 0, recent), 1);
}

TEST(SamplerTest, PenaltyLooksBackOnlySoFar) {
  SamplerOptions options;
  options.temperature = 0;
  options.repeatPenalty = 10;
  RecentTokens recent(2);
  for (int32_t token : {0, 1, 2})
    recent.push(token);
  EXPECT_EQ(sampleOnce(options, {3, 9, 9}, 0, recent), 0);
  EXPECT_EQ(recent.inOrder(), (std::vector<int32_t>{1, 2}));
}

TEST(SamplerTest, PenaltyIgnoresTokensOutsideTheVocabulary) {
  SamplerOptions options;
  options.temperature = 0;
  options.repeatPenalty = 2;
  RecentTokens recent(2);
  recent.push(-1);
  recent.push(99);
  EXPECT_EQ(sampleOnce(options, {1, 2}, 0, recent), 1);
}

TEST(SamplerTest, NonFiniteLogits) {
  float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(sampleOnce(plain(), {nan, nan}, 0.5), -1);
  EXPECT_EQ(sampleOnce(plain(), {-kInf, -kInf}, 0.5), -1);
  EXPECT_EQ(sampleOnce(plain(), {nan, 1, -kInf}, 0.999), 1);
  EXPECT_EQ(sampleOnce(plain(), {1, kInf, 2}, 0.0), 1);
  SamplerOptions defaults;
  EXPECT_EQ(sampleOnce(defaults, {nan, 1, nan}, 0.999), 1);
}

TEST(SamplerTest, UniformNearOneStaysInRange) {
  std::vector<float> logits(100, -1000.0f);
  logits[3] = 0;
  EXPECT_EQ(sampleOnce(plain(), logits, std::nextafter(1.0, 0.0)), 3);
  EXPECT_EQ(sampleOnce(plain(), {0}, std::nextafter(1.0, 0.0)), 0);
}

TEST(SamplerTest, CombinedDefaultsKeepAtMostForty) {
  std::vector<float> logits(200, 0.0f);
  EXPECT_LE(support(SamplerOptions(), logits).size(), 40u);
}

// Wherever the largest stands among vector pieces and their rest.
TEST(Likeliest, FindsTheFirstOfTheLargest) {
  for (size_t count : {1, 2, 31, 32, 33, 63, 64, 100})
    for (size_t at = 0; at < count; ++at) {
      std::vector<float> logits(count, -3);
      logits[at] = 5;
      if (at + 1 < count)
        logits[count - 1] = 5; // a later equal one
      ASSERT_EQ(likeliest(logits.data(), int64_t(count)), int32_t(at));
    }
  const float nan = std::nanf(""), infinity = HUGE_VALF;
  const std::vector<float> hard = {nan, -infinity, -1, nan, infinity, 3};
  EXPECT_EQ(likeliest(hard.data(), 6), 4);
  EXPECT_EQ(likeliest(hard.data(), 4), 2);
  EXPECT_EQ(likeliest(hard.data(), 2), -1);
  EXPECT_EQ(likeliest(hard.data(), 0), -1);
}

} // namespace
} // namespace tnrt
