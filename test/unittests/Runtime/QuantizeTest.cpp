// 8-bit weights: packing against the formula of docs/Manifest.md, the error
// bound, and what cannot be quantised.
#include "tnrt/formats/Quantize.h"
#include "core/Session.h"
#include "core/ThreadPool.h"
#include "core/WeightLoader.h"
#include "tnrt/formats/Convert.h"
#include "tnrt/formats/Pack.h"
#include "tnrt/formats/RandomInit.h"

#include "TestFiles.h"

#include <cmath>
#include <cstring>
#include <limits>

using namespace tnrt;
using namespace tnrt::test;

namespace {

const Layout rowScales{Layout::Kind::RowScales};

struct Matrix {
  int64_t N, K;
  std::vector<unsigned char> bytes;
  std::vector<float> values; // what the elements mean
  TensorView view;
  const float *row(int64_t n) const { return values.data() + n * K; }
};

// `shift` makes the data unaligned. Rows differ in size; some are zero.
Matrix makeMatrix(DType dtype, int64_t N, int64_t K, size_t shift) {
  Matrix matrix{N, K, {}, {}, {}};
  const size_t count = static_cast<size_t>(N * K);
  std::vector<float> wanted(count);
  randomFill({InitSpec::Kind::Normal, 1, 0}, 42, N * K, 0, N * K,
             wanted.data());
  for (int64_t n = 0; n < N; ++n)
    for (int64_t k = 0; k < K; ++k)
      wanted[size_t(n * K + k)] *=
          n % 5 == 3 ? 0 : std::ldexp(1.0f, int(n % 11) - 6);
  matrix.bytes.resize(count * 4 + 8);
  unsigned char *data = matrix.bytes.data() + shift;
  convertElements(DType::F32, wanted.data(), dtype, data, count);
  matrix.values.resize(count);
  convertElements(dtype, data, DType::F32, matrix.values.data(), count);
  matrix.view = {
      "w", dtype, {N, K}, data, count * static_cast<size_t>(dtypeBytes(dtype))};
  return matrix;
}

float naiveScale(const float *row, int64_t count) {
  float largest = 0;
  for (int64_t k = 0; k < count; ++k)
    largest = std::max(largest, std::fabs(row[k]));
  return largest == 0
             ? 1
             : std::max(largest / 127.0f, std::numeric_limits<float>::min());
}

int naiveQuantize(float value, float scale) {
  return std::max(-127, std::min(127, int(std::nearbyint(value / scale))));
}

void checkPanels(DType from, int64_t N, int64_t K, int64_t width, int64_t step,
                 size_t shift) {
  SCOPED_TRACE(std::string(dtypeName(from)) + " " +
               shapeText({N, K, width, step}));
  const Layout layout{Layout::Kind::Panels, width, step};
  const Matrix matrix = makeMatrix(from, N, K, shift);
  ASSERT_TRUE(checkLayout(matrix.view.shape, DType::I8, layout));
  const int64_t panels = packUnits(matrix.view.shape, layout);
  const int64_t groups = (K + step - 1) / step;
  const size_t bytes = size_t(panels * groups * width * step);
  ASSERT_EQ(packedBytes(matrix.view.shape, DType::I8, layout), int64_t(bytes));
  ASSERT_EQ(packedBytes(matrix.view.shape, DType::F32, rowScales), N * 4);

  // What was there must be overwritten, zeros included, and nothing beyond.
  std::vector<int8_t> packed(bytes + 1, 0x5B);
  std::vector<float> scales(size_t(N) + 1, -7), beside(size_t(N) + 1, -7);
  PackOptions options;
  options.rowScales = beside.data();
  const int64_t half = panels / 2;
  ASSERT_TRUE(packRange(matrix.view, DType::I8, layout, half, panels,
                        packed.data(), options));
  for (int64_t n = 0; n < std::min(half * width, N); ++n)
    ASSERT_EQ(beside[size_t(n)], -7) << "a row of another range";
  ASSERT_TRUE(packRange(matrix.view, DType::I8, layout, 0, half, packed.data(),
                        options));
  ASSERT_TRUE(
      packRange(matrix.view, DType::F32, rowScales, N / 3, N, scales.data()));
  ASSERT_TRUE(
      packRange(matrix.view, DType::F32, rowScales, 0, N / 3, scales.data()));
  ASSERT_EQ(packed.back(), 0x5B);
  ASSERT_EQ(scales.back(), -7);
  ASSERT_EQ(scales, beside);
  for (int64_t n = 0; n < N; ++n)
    ASSERT_EQ(scales[size_t(n)], naiveScale(matrix.row(n), K)) << n;
  for (int64_t n = 0; n < panels * width; ++n)
    for (int64_t k = 0; k < groups * step; ++k) {
      const int64_t at = (n / width * groups + k / step) * width * step +
                         n % width * step + k % step;
      const int expected =
          n < N && k < K ? naiveQuantize(matrix.row(n)[k], scales[size_t(n)])
                         : 0;
      ASSERT_EQ(int(packed[size_t(at)]), expected) << n << " " << k;
    }
}

TEST(Quantize, PanelsMatchTheFormula) {
  const std::pair<int64_t, int64_t> shapes[] = {
      {1, 1}, {64, 64}, {65, 7}, {7, 600}, {130, 513}, {97, 1025}, {16, 16}};
  for (DType from : {DType::F32, DType::F16, DType::BF16})
    for (auto [N, K] : shapes)
      for (int64_t width : {1, 8, 12, 16, 64}) {
        checkPanels(from, N, K, width, 1, 0);
        checkPanels(from, N, K, width, 1, 3);
        checkPanels(from, N, K, width, 4, 1);
        checkPanels(from, N, K, width, 3, 2);
      }
}

// |w - q scale| <= scale / 2; the quotient's own rounding is 127 * 2^-24.
void checkBound(const std::vector<float> &row) {
  const int64_t count = int64_t(row.size());
  const std::optional<float> scale = rowScale(DType::F32, row.data(), count);
  ASSERT_TRUE(scale);
  ASSERT_GE(*scale, std::numeric_limits<float>::min());
  std::vector<int8_t> quantized(row.size());
  quantizeElements(DType::F32, row.data(), *scale, quantized.data(), count);
  for (size_t k = 0; k < row.size(); ++k) {
    ASSERT_GE(quantized[k], -127);
    ASSERT_LE(std::fabs(double(row[k]) - double(quantized[k]) * *scale),
              *scale * (0.5 + 127 * 0x1p-24))
        << row[k] << " " << *scale;
  }
}

TEST(Quantize, ErrorIsAtMostHalfAStep) {
  std::vector<float> row(1001);
  randomFill({InitSpec::Kind::Normal, 1, 0}, 9, 1001, 0, 1001, row.data());
  const float largest = std::numeric_limits<float>::max();
  for (int exponent = -149; exponent < 127; ++exponent) {
    std::vector<float> scaled = row;
    for (float &value : scaled)
      value = std::ldexp(value, exponent);
    checkBound(scaled);
  }
  checkBound({largest, -largest, largest / 2, 1, 0});
  const float tiny = std::numeric_limits<float>::denorm_min();
  checkBound({tiny, 0, -tiny});
  for (int i = 1; i < 2000; ++i)
    checkBound({float(i) * tiny, float(i / 3) * -tiny, 0});
}

TEST(Quantize, RoundsToEvenAndReachesBothEnds) {
  // The scale is 1: the elements are the quotients.
  const std::vector<float> row{127,   -127, 0.5f, 1.5f,   -0.5f,  -1.5f, 2.5f,
                               -2.5f, 0,    -0.f, 126.5f, 125.5f, 0.49f};
  const std::vector<int8_t> expected{127, -127, 0, 2,   0,   -2, 2,
                                     -2,  0,    0, 126, 126, 0};
  ASSERT_EQ(rowScale(DType::F32, row.data(), 13), 1.0f);
  std::vector<int8_t> quantized(13);
  quantizeElements(DType::F32, row.data(), 1, quantized.data(), 13);
  EXPECT_EQ(quantized, expected);
}

TEST(Quantize, ScaleOfZeros) {
  const float zeros[] = {0, -0.f, 0};
  EXPECT_EQ(rowScale(DType::F32, zeros, 3), 1.0f);
  const uint16_t half[] = {0x8000, 0};
  EXPECT_EQ(rowScale(DType::F16, half, 2), 1.0f);
  EXPECT_EQ(rowScale(DType::BF16, half, 2), 1.0f);
}

TEST(Quantize, RefusesWhatIsNotFinite) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (DType from : {DType::F32, DType::F16, DType::BF16})
    for (float bad : {infinity, -infinity, std::nanf(""), -std::nanf("")})
      for (auto [n, k] :
           {std::pair<int64_t, int64_t>{0, 0}, {20, 36}, {9, 5}}) {
        Matrix matrix = makeMatrix(from, 21, 37, 0);
        const int64_t size = dtypeBytes(from);
        convertElements(DType::F32, &bad, from,
                        matrix.bytes.data() + (n * 37 + k) * size, 1);
        const std::string place = "'w': the weight in row " +
                                  std::to_string(n + 1000) + ", column " +
                                  std::to_string(k) + " is infinite";
        std::vector<char> out(32 * 37);
        PackOptions options;
        options.firstRow = 1000;
        Status status =
            packRange(matrix.view, DType::I8, {Layout::Kind::Panels, 16, 1}, 0,
                      2, out.data(), options);
        ASSERT_FALSE(status);
        EXPECT_TRUE(contains(status.message(), place));
        status = packRange(matrix.view, DType::F32, rowScales, 0, 21,
                           out.data(), options);
        ASSERT_FALSE(status);
        EXPECT_TRUE(contains(status.message(), place));
      }
}

// Every e4m3 by its definition: 1.mmm * 2^(e - 7), 0.mmm * 2^-6 below, no
// infinities.
float valueOfF8(int bits) {
  const int exponent = bits >> 3 & 15, mantissa = bits & 7;
  const float magnitude = exponent == 0
                              ? std::ldexp(float(mantissa), -9)
                              : std::ldexp(float(8 + mantissa), exponent - 10);
  return bits & 0x80 ? -magnitude : magnitude;
}

// The nearest one, of two the one whose last bit is zero.
int naiveF8(float value) {
  int best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (int bits = 0; bits < 0x7F; ++bits) {
    const double distance =
        std::fabs(std::fabs(double(value)) - double(valueOfF8(bits)));
    if (distance < least || (distance == least && bits % 2 == 0)) {
      least = distance;
      best = bits;
    }
  }
  return best | (std::signbit(value) ? 0x80 : 0);
}

TEST(Quantize, F8IsTheNearest) {
  // The scale is 1.
  std::vector<float> row{448, -448};
  for (int bits = 0; bits < 0x7E; ++bits) {
    const float low = valueOfF8(bits), high = valueOfF8(bits + 1);
    const float middle = low + (high - low) / 2;
    for (float value : {low, middle, std::nextafter(middle, 0.0f),
                        std::nextafter(middle, 500.0f), low + (high - low) / 3})
      row.insert(row.end(), {value, -value});
  }
  row.insert(row.end(), {0.0f, -0.0f, 1e-30f, -1e-30f, 0x1p-140f});
  std::vector<uint8_t> packed(row.size());
  ASSERT_EQ(
      rowScale(DType::F32, row.data(), int64_t(row.size()), DType::F8E4M3),
      1.0f);
  ASSERT_TRUE(quantizeRow(DType::F32, row.data(), int64_t(row.size()),
                          DType::F8E4M3, packed.data()));
  for (size_t k = 0; k < row.size(); ++k)
    EXPECT_EQ(int(packed[k]), naiveF8(row[k])) << row[k];
}

// Where Pack.h says that column k of a row of I4 stands, less 8.
int numberOfI4(const uint8_t *row, int64_t k) {
  uint32_t word = 0;
  for (int i = 3; i >= 0; --i)
    word = word << 8 | row[k / 8 * 4 + i];
  return int(word >> (k % 8 / 2 * 4 + k % 2 * 16) & 15) - 8;
}

// Rows of all quantised types, packed in two ranges, and their scales.
void checkRows(DType from, DType to, int64_t N, int64_t K, size_t shift) {
  SCOPED_TRACE(std::string(dtypeName(from)) + " " + dtypeName(to) + " " +
               shapeText({N, K}));
  const int64_t group = to == DType::I4 ? kI4Group : K;
  const float largest = to == DType::I8 ? 127 : to == DType::I4 ? 7 : 448;
  Layout scalesLayout{Layout::Kind::RowScales};
  if (to == DType::F8E4M3)
    scalesLayout.kind = Layout::Kind::RowScalesF8;
  if (to == DType::I4)
    scalesLayout = {Layout::Kind::GroupScales, kI4Group};
  const Matrix matrix = makeMatrix(from, N, K, shift);
  ASSERT_TRUE(checkLayout(matrix.view.shape, to, {}));
  ASSERT_TRUE(checkLayout(matrix.view.shape, DType::F32, scalesLayout));
  const size_t bytes = size_t(to == DType::I4 ? N * K / 2 : N * K);
  const size_t groups = size_t(N * K / group);
  ASSERT_EQ(packedBytes(matrix.view.shape, to, {}), int64_t(bytes));
  ASSERT_EQ(packedBytes(matrix.view.shape, DType::F32, scalesLayout),
            int64_t(4 * groups));
  std::vector<uint8_t> packed(bytes + 1, 0x5B);
  std::vector<float> scales(groups + 1, -7);
  for (auto [begin, end] :
       {std::pair<int64_t, int64_t>{N / 2, N}, {0, N / 2}}) {
    ASSERT_TRUE(packRange(matrix.view, to, {}, begin, end, packed.data()));
    ASSERT_TRUE(packRange(matrix.view, DType::F32, scalesLayout, begin, end,
                          scales.data()));
  }
  ASSERT_EQ(packed.back(), 0x5B);
  ASSERT_EQ(scales.back(), -7);
  for (int64_t i = 0; i < N * K; ++i) {
    const float *begin = matrix.values.data() + i / group * group;
    float most = 0;
    for (int64_t k = 0; k < group; ++k)
      most = std::max(most, std::fabs(begin[k]));
    const float scale =
        most == 0 ? 1
                  : std::max(most / largest, std::numeric_limits<float>::min());
    ASSERT_EQ(scales[size_t(i / group)], scale) << i;
    const float quotient = matrix.values[size_t(i)] / scale;
    const int n = int(i / K), k = int(i % K);
    if (to == DType::I4)
      ASSERT_EQ(numberOfI4(packed.data() + n * K / 2, k),
                int(std::nearbyint(quotient)));
    else if (to == DType::I8)
      ASSERT_EQ(int(int8_t(packed[size_t(i)])), int(std::nearbyint(quotient)));
    else
      ASSERT_EQ(int(packed[size_t(i)]), naiveF8(quotient));
  }
}

TEST(Quantize, RowsMatchTheFormula) {
  for (DType from : {DType::F32, DType::F16, DType::BF16})
    for (size_t shift : {size_t(0), size_t(1)}) {
      for (DType to : {DType::I8, DType::F8E4M3})
        for (auto [N, K] :
             {std::pair<int64_t, int64_t>{1, 1}, {7, 600}, {13, 35}})
          checkRows(from, to, N, K, shift);
      for (auto [N, K] : {std::pair<int64_t, int64_t>{1, 128}, {5, 640}})
        checkRows(from, DType::I4, N, K, shift);
    }
}

TEST(Quantize, RowsRefuseWhatIsNotFinite) {
  for (DType to : {DType::I8, DType::F8E4M3, DType::I4}) {
    Matrix matrix = makeMatrix(DType::F32, 5, 256, 0);
    const float bad = std::numeric_limits<float>::infinity();
    std::memcpy(matrix.bytes.data() + (3 * 256 + 200) * 4, &bad, 4);
    std::vector<char> out(5 * 256);
    Status status = packRange(matrix.view, to, {}, 0, 5, out.data());
    ASSERT_FALSE(status);
    EXPECT_TRUE(contains(status.message(),
                         "'w': the weight in row 3, column 200 is infinite"));
  }
}

TEST(Quantize, LayoutsOfNarrowTypes) {
  auto refusal = [](DType dtype, Layout layout, std::vector<int64_t> shape) {
    return checkLayout(shape, dtype, layout).message();
  };
  const Layout panels{Layout::Kind::Panels, 16, 1};
  EXPECT_EQ(refusal(DType::F8E4M3, panels, {4, 128}),
            "dtype 'f8e4m3' needs layout 'rows'");
  EXPECT_EQ(
      refusal(DType::I4, {}, {4, 100}),
      "dtype 'i4' needs a multiple of 128 columns, the shape is [4, 100]");
  EXPECT_EQ(refusal(DType::I8, {}, {128}),
            "dtype 'i8' needs a matrix, the shape is [128]");
  EXPECT_EQ(refusal(DType::I8, rowScales, {4, 128}),
            "dtype 'i8' needs layout 'rows' or 'panels'");
  EXPECT_EQ(refusal(DType::F32, {Layout::Kind::GroupScales, 64}, {4, 128}),
            "layout 'group_scales' needs a width of 128 that divides the "
            "columns, [4, 128]");
  EXPECT_EQ(refusal(DType::BF16, {Layout::Kind::RowScalesF8}, {4, 128}),
            "layout 'row_scales_f8' needs dtype 'f32'");
  EXPECT_FALSE(parseDType("I4")) << "no type of a checkpoint's file";
}

// Loading: from a file and random, the scales before, after and without the
// matrix, with any number of threads.
class QuantizedModel : public ::testing::Test {
protected:
  static constexpr int64_t N = 3001, K = 700;

  Manifest makeManifest(Manifest::Weights weights) {
    const InitSpec init{InitSpec::Kind::Normal, 0.1, 0};
    const std::vector<int64_t> shape{N, K};
    Manifest manifest;
    manifest.weights = std::move(weights);
    manifest.parameters = {{"w", shape, DType::F32, rowScales, init},
                           {"w", shape, DType::I8, wide, init},
                           {"w", shape, DType::I8, narrow, init},
                           {"w", shape, DType::F32, rowScales, init},
                           {"v", shape, DType::F32, rowScales, init},
                           {"u", shape, DType::I8, wide, init},
                           {"u", shape, DType::F32, rowScales, init},
                           {"w", shape, DType::F32, {}, init}};
    return manifest;
  }

  void check(const Manifest &manifest) {
    for (int threads : {1, 3}) {
      ThreadPool pool(threads);
      Result<LoadedWeights> loaded = loadWeights(manifest, quiet, pool);
      ASSERT_TRUE(loaded) << loaded.message();
      const auto &data = loaded->parameters;
      EXPECT_EQ(data[3], data[0]) << "shared";
      checkMatrix("w", data[1], wide, data[0]);
      checkMatrix("w", data[2], narrow, data[0]);
      checkMatrix("u", data[5], wide, data[6]);
      checkScales("v", data[4]);
      EXPECT_EQ(std::memcmp(data[7], valuesOf("w").data(), N * K * 4), 0);
    }
  }

  static std::vector<float> valuesOf(const std::string &name) {
    std::vector<float> values(N * K);
    randomFill({InitSpec::Kind::Normal, 0.1, 0}, randomKey(5, name), N * K, 0,
               N * K, values.data());
    return values;
  }

  void checkScales(const std::string &name, const void *data) {
    const std::vector<float> values = valuesOf(name);
    for (int64_t n = 0; n < N; ++n)
      ASSERT_EQ(static_cast<const float *>(data)[n],
                naiveScale(values.data() + n * K, K))
          << name << " " << n;
  }

  void checkMatrix(const std::string &name, const void *data,
                   const Layout &layout, const void *scales) {
    checkScales(name, scales);
    const std::vector<float> values = valuesOf(name);
    const auto *packed = static_cast<const int8_t *>(data);
    for (int64_t n = 0; n < N; ++n)
      for (int64_t k = 0; k < K; ++k)
        ASSERT_EQ(packed[(n / layout.width * K + k) * layout.width +
                         n % layout.width],
                  naiveQuantize(values[size_t(n * K + k)],
                                static_cast<const float *>(scales)[n]))
            << name << " " << n << " " << k;
  }

  const Layout wide{Layout::Kind::Panels, 64, 1};
  const Layout narrow{Layout::Kind::Panels, 12, 1};
  TempDir dir;
  LoadOptions quiet{"", 2, false};
};

TEST_F(QuantizedModel, Random) {
  check(makeManifest({Manifest::Weights::Kind::Random, "", 5}));
}

TEST_F(QuantizedModel, Linked) {
  writeTensors(dir.path("model.safetensors"), {{"w", {N, K}, valuesOf("w")},
                                               {"v", {N, K}, valuesOf("v")},
                                               {"u", {N, K}, valuesOf("u")}});
  check(makeManifest({Manifest::Weights::Kind::Link, dir.path(), 0}));
}

TEST_F(QuantizedModel, NamesTheFirstWeightThatIsNotFinite) {
  std::vector<float> values = valuesOf("w");
  values[2999 * K + 1] = values[70 * K + 699] = std::nanf("");
  writeTensors(dir.path("model.safetensors"), {{"w", {N, K}, values},
                                               {"v", {N, K}, valuesOf("v")},
                                               {"u", {N, K}, valuesOf("u")}});
  const Manifest manifest =
      makeManifest({Manifest::Weights::Kind::Link, dir.path(), 0});
  ThreadPool pool(3);
  Result<LoadedWeights> loaded = loadWeights(manifest, quiet, pool);
  ASSERT_FALSE(loaded);
  EXPECT_TRUE(contains(loaded.message(),
                       "model.safetensors: 'w': the weight in row 70, column "
                       "699 is infinite or no number"));
}

} // namespace
