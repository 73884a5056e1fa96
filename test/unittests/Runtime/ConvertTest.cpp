// Conversions: every 16-bit value, and rounding against a search.
#include "tnrt/formats/Convert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

using namespace tnrt;

namespace {

// The value of a 16-bit float from its definition.
double valueOf(uint16_t bits, int exponentBits, int mantissaBits) {
  const int bias = (1 << (exponentBits - 1)) - 1;
  const int exponent = bits >> mantissaBits & ((1 << exponentBits) - 1);
  const int mantissa = bits & ((1 << mantissaBits) - 1);
  const double sign = bits >> 15 ? -1 : 1;
  if (exponent == (1 << exponentBits) - 1)
    return mantissa ? std::nan("") : sign * INFINITY;
  const double fraction = std::ldexp(mantissa, -mantissaBits);
  return sign * (exponent ? std::ldexp(1 + fraction, exponent - bias)
                          : std::ldexp(fraction, 1 - bias));
}

float floatOf(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

struct Format {
  DType dtype;
  int exponentBits, mantissaBits;
  float (*widen)(uint16_t);
  uint16_t (*narrow)(float);
};

class ConvertTest : public ::testing::TestWithParam<Format> {
protected:
  double valueOf(uint32_t bits) const {
    return ::valueOf(static_cast<uint16_t>(bits), GetParam().exponentBits,
                     GetParam().mantissaBits);
  }
  uint16_t infinity() const {
    return static_cast<uint16_t>(((1 << GetParam().exponentBits) - 1)
                                 << GetParam().mantissaBits);
  }
  // Nearest, ties to even, found among the two neighbours by definition.
  uint16_t reference(float value) const {
    uint16_t low = 0, high = infinity();
    const double magnitude = std::fabs(static_cast<double>(value));
    while (high - low > 1) {
      uint16_t middle = static_cast<uint16_t>((low + high) / 2);
      (valueOf(middle) <= magnitude ? low : high) = middle;
    }
    // The step above the largest finite value counts as if it were finite.
    const double step = valueOf(low) - valueOf(low ? low - 1 : 0);
    const double above =
        high == infinity() ? valueOf(low) + step : valueOf(high);
    const double down = magnitude - valueOf(low), up = above - magnitude;
    const uint16_t nearest =
        down < up || (down == up && low % 2 == 0) ? low : high;
    return static_cast<uint16_t>(nearest | (std::signbit(value) ? 0x8000 : 0));
  }
};

TEST_P(ConvertTest, EveryValueWidensAndComesBack) {
  std::vector<uint16_t> all(65536);
  for (uint32_t i = 0; i < 65536; ++i)
    all[i] = static_cast<uint16_t>(i);
  std::vector<float> wide(65536);
  std::vector<uint16_t> back(65536);
  convertElements(GetParam().dtype, all.data(), DType::F32, wide.data(), 65536);
  convertElements(DType::F32, wide.data(), GetParam().dtype, back.data(),
                  65536);
  for (uint32_t i = 0; i < 65536; ++i) {
    const double expected = valueOf(i);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(wide[i])) << i;
      EXPECT_TRUE(std::isnan(valueOf(back[i]))) << i;
      continue;
    }
    EXPECT_EQ(wide[i], expected) << i;
    EXPECT_EQ(std::signbit(wide[i]), i >> 15) << i;
    EXPECT_EQ(back[i], i);
    EXPECT_EQ(GetParam().widen(static_cast<uint16_t>(i)), wide[i]);
    EXPECT_EQ(GetParam().narrow(wide[i]), i);
  }
}

TEST_P(ConvertTest, RoundsToNearestEven) {
  std::vector<float> values;
  for (uint32_t i = 0; i < infinity(); ++i) { // midpoints, and beside them
    const double a = valueOf(i);
    const double b =
        i + 1u == infinity() ? 2 * a - valueOf(i - 1) : valueOf(i + 1);
    const float middle = static_cast<float>((a + b) / 2);
    for (float value : {middle, std::nextafter(middle, 0.0f),
                        std::nextafter(middle, INFINITY)})
      values.push_back(i % 2 ? value : -value);
  }
  std::mt19937 random(1);
  for (int i = 0; i < 200000; ++i)
    values.push_back(floatOf(random()));
  std::vector<uint16_t> narrow(values.size());
  convertElements(DType::F32, values.data(), GetParam().dtype, narrow.data(),
                  values.size());
  for (size_t i = 0; i < values.size(); ++i)
    if (std::isnan(values[i]))
      ASSERT_TRUE(std::isnan(valueOf(narrow[i])));
    else if (!std::isinf(values[i]))
      ASSERT_EQ(narrow[i], reference(values[i])) << values[i];
  EXPECT_EQ(GetParam().narrow(INFINITY), infinity());
  EXPECT_EQ(GetParam().narrow(-INFINITY), infinity() | 0x8000);
  EXPECT_EQ(GetParam().narrow(std::numeric_limits<float>::max()), infinity());
  for (uint32_t nan : {0x7F800001u, 0x7FFFFFFFu, 0xFF800001u})
    EXPECT_TRUE(std::isnan(valueOf(GetParam().narrow(floatOf(nan)))));
}

TEST_P(ConvertTest, AnyAlignmentAndCount) {
  for (size_t count = 0; count < 70; ++count)
    for (size_t shift = 0; shift < 4; ++shift) {
      std::vector<char> in(count * 4 + 8), out(count * 2 + 8, 'z');
      for (size_t i = 0; i < count; ++i) {
        float value = static_cast<float>(i) - 20;
        std::memcpy(in.data() + shift + i * 4, &value, 4);
      }
      convertElements(DType::F32, in.data() + shift, GetParam().dtype,
                      out.data() + shift, count);
      for (size_t i = 0; i < count; ++i) {
        uint16_t bits;
        std::memcpy(&bits, out.data() + shift + i * 2, 2);
        ASSERT_EQ(valueOf(bits), static_cast<double>(i) - 20);
      }
      EXPECT_EQ(out[shift + count * 2], 'z');
    }
}

INSTANTIATE_TEST_SUITE_P(
    Formats, ConvertTest,
    ::testing::Values(Format{DType::F16, 5, 10, f32FromF16, f16FromF32},
                      Format{DType::BF16, 8, 7, f32FromBf16, bf16FromF32}),
    [](const auto &info) { return dtypeName(info.param.dtype); });

TEST(Convert, BetweenTheNarrowOnes) {
  const uint16_t half[] = {0x3C00, 0xC000, 0x0001, 0x7C00};
  uint16_t brain[4], back[4];
  convertElements(DType::F16, half, DType::BF16, brain, 4);
  EXPECT_EQ(brain[0], 0x3F80);
  EXPECT_EQ(brain[1], 0xC000);
  EXPECT_EQ(brain[3], 0x7F80);
  convertElements(DType::BF16, brain, DType::F16, back, 4);
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(back[i], half[i]);
}

} // namespace
