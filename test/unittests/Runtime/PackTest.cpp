// Packing against the formula of docs/Manifest.md, element by element.
#include "tnrt/formats/Pack.h"
#include "tnrt/formats/Convert.h"

#include <gtest/gtest.h>

#include <cstring>

using namespace tnrt;

namespace {

struct Source {
  std::vector<unsigned char> bytes;
  TensorView view;
  std::vector<float> values; // what the elements mean
};

// `shift` makes the data unaligned.
Source makeSource(DType dtype, std::vector<int64_t> shape, size_t shift) {
  Source source;
  const size_t count = static_cast<size_t>(*elementCount(shape));
  std::vector<float> wanted(count);
  for (size_t i = 0; i < count; ++i)
    wanted[i] = 0.37f * static_cast<float>(i % 8191) - 700;
  source.bytes.resize(count * 4 + 8);
  convertElements(DType::F32, wanted.data(), dtype, source.bytes.data() + shift,
                  count);
  source.values.resize(count);
  convertElements(dtype, source.bytes.data() + shift, DType::F32,
                  source.values.data(), count);
  source.view = {"w", dtype, std::move(shape), source.bytes.data() + shift,
                 count * static_cast<size_t>(dtypeBytes(dtype))};
  return source;
}

float packedElement(const std::vector<unsigned char> &packed, DType dtype,
                    size_t at) {
  float value;
  convertElements(dtype,
                  packed.data() + at * static_cast<size_t>(dtypeBytes(dtype)),
                  DType::F32, &value, 1);
  return value;
}

float rounded(float value, DType to) {
  return to == DType::BF16 ? f32FromBf16(bf16FromF32(value)) : value;
}

void checkPanels(DType from, DType to, int64_t N, int64_t K, int64_t width,
                 int64_t step, size_t shift) {
  SCOPED_TRACE(std::string(dtypeName(from)) + " to " + dtypeName(to) + " " +
               shapeText({N, K, width, step}));
  const Layout layout{Layout::Kind::Panels, width, step};
  Source source = makeSource(from, {N, K}, shift);
  ASSERT_TRUE(checkLayout(source.view.shape, to, layout));
  const int64_t bytes = packedBytes(source.view.shape, to, layout);
  const int64_t panels = packUnits(source.view.shape, layout);
  const int64_t groups = (K + step - 1) / step;
  ASSERT_EQ(panels, (N + width - 1) / width);
  ASSERT_EQ(bytes, panels * groups * width * step * dtypeBytes(to));
  // What was there must be overwritten, zeros included, and no byte more.
  std::vector<unsigned char> packed(static_cast<size_t>(bytes) + 1, 0xAB);
  ASSERT_TRUE(
      packRange(source.view, to, layout, panels / 2, panels, packed.data()));
  ASSERT_TRUE(packRange(source.view, to, layout, 0, panels / 2, packed.data()));
  ASSERT_EQ(packed.back(), 0xAB);
  for (int64_t n = 0; n < panels * width; ++n)
    for (int64_t k = 0; k < groups * step; ++k) {
      const int64_t at = (n / width * groups + k / step) * width * step +
                         n % width * step + k % step;
      const float expected =
          n < N && k < K
              ? rounded(source.values[static_cast<size_t>(n * K + k)], to)
              : 0;
      ASSERT_EQ(packedElement(packed, to, static_cast<size_t>(at)), expected)
          << n << " " << k;
    }
}

TEST(Pack, PanelsMatchTheFormula) {
  const std::pair<int64_t, int64_t> shapes[] = {
      {1, 1}, {64, 64}, {65, 7}, {7, 600}, {130, 513}, {96, 1025}, {16, 16}};
  for (DType from : {DType::F32, DType::F16, DType::BF16})
    for (auto [N, K] : shapes)
      for (int64_t width : {1, 8, 12, 16, 64}) {
        checkPanels(from, DType::F32, N, K, width, 1, 0);
        checkPanels(from, DType::F32, N, K, width, 2, 1);
        checkPanels(from, DType::BF16, N, K, width, 1, 3);
        checkPanels(from, DType::BF16, N, K, width, 2, 2);
        checkPanels(from, DType::BF16, N, K, width, 4, 0);
        checkPanels(from, DType::BF16, N, K, width, 3, 0);
      }
}

TEST(Pack, Rows) {
  for (const std::vector<int64_t> &shape :
       {std::vector<int64_t>{}, {5}, {3, 7}, {2, 1, 9}})
    for (DType from : {DType::F32, DType::F16, DType::BF16})
      for (DType to : {DType::F32, DType::BF16}) {
        Source source = makeSource(from, shape, 1);
        const Layout layout;
        const int64_t units = packUnits(shape, layout);
        std::vector<unsigned char> packed(
            static_cast<size_t>(packedBytes(shape, to, layout)));
        ASSERT_EQ(static_cast<int64_t>(packed.size()),
                  static_cast<int64_t>(source.values.size()) * dtypeBytes(to));
        for (int64_t unit = 0; unit < units; ++unit)
          ASSERT_TRUE(packRange(source.view, to, layout, unit, unit + 1,
                                packed.data()));
        for (size_t i = 0; i < source.values.size(); ++i)
          ASSERT_EQ(packedElement(packed, to, i),
                    rounded(source.values[i], to));
      }
}

TEST(Pack, ChecksLayouts) {
  const Layout panels{Layout::Kind::Panels, 64, 1};
  EXPECT_FALSE(checkLayout({4}, DType::F32, panels));
  EXPECT_FALSE(checkLayout({4, 4, 4}, DType::F32, panels));
  EXPECT_FALSE(checkLayout({4, 4}, DType::F32, {Layout::Kind::Panels, 0, 1}));
  EXPECT_FALSE(checkLayout({4, 4}, DType::F32, {Layout::Kind::Panels, 8, 0}));
  EXPECT_FALSE(checkLayout({1LL << 40, 1LL << 40}, DType::F32, {}));
  EXPECT_FALSE(
      checkLayout({1LL << 59, 1}, DType::F32, {Layout::Kind::Panels, 8, 64}));
  EXPECT_TRUE(checkLayout({}, DType::F32, {}));
  const Layout scales{Layout::Kind::RowScales};
  EXPECT_TRUE(checkLayout({4, 4}, DType::F32, scales));
  EXPECT_FALSE(checkLayout({4, 4}, DType::BF16, scales));
  EXPECT_FALSE(checkLayout({4}, DType::F32, scales));
  EXPECT_TRUE(checkLayout({4, 4}, DType::I8, panels));
  EXPECT_TRUE(checkLayout({4, 4}, DType::I8, {}));
  EXPECT_FALSE(checkLayout({4, 4}, DType::F8E4M3, panels));
  EXPECT_FALSE(checkLayout({4, 4}, DType::I8, scales));
}

} // namespace
