// Packs parameters into the layouts that kernels stream.
//
// A panel is the transpose of `width` rows, in units of `step` elements. Eight
// rows are swept at a time, so that a source line is used up while it is in the
// first level cache (rows a power of two apart share few of its sets), and
// turned in registers as 8x8 blocks of units. Where weights are quantised, the
// same eight rows are first read for their scales and so are in the second
// level cache when they are packed.
#include "tnrt/formats/Pack.h"

#include "Dispatch.h"
#include "tnrt/formats/Convert.h"
#include "tnrt/formats/Quantize.h"
#include "tnrt/formats/Text.h"

#include <algorithm>
#include <cstring>

namespace tnrt {

namespace {

constexpr int64_t rowGroup = 8;
// Elements of a row handled at a time: eight rows of converted elements and the
// lines they go to stay in the cache.
constexpr int64_t columnChunk = 512;

int64_t ceilDiv(int64_t a, int64_t b) { return a / b + (a % b != 0); }

typedef uint32_t Units32 __attribute__((vector_size(32)));
typedef uint16_t Units16 __attribute__((vector_size(16)));
typedef uint8_t Units8 __attribute__((vector_size(8)));

// Transposes 8x8 units: three rounds that each interleave rows i and i + 4.
template <typename Vector> TNRT_INLINE void transpose8(Vector (&rows)[8]) {
  for (int round = 0; round < 3; ++round) {
    Vector next[8];
    for (int i = 0; i < 4; ++i) {
      next[2 * i] = __builtin_shufflevector(rows[i], rows[i + 4], 0, 8, 1, 9, 2,
                                            10, 3, 11);
      next[2 * i + 1] = __builtin_shufflevector(rows[i], rows[i + 4], 4, 12, 5,
                                                13, 6, 14, 7, 15);
    }
    for (int i = 0; i < 8; ++i)
      rows[i] = next[i];
  }
}

// Writes unit u of row r to destination + u * stride + r * sizeof(unit).
template <typename Vector>
TNRT_INLINE void transposeRows8(const char *const *rows, int64_t units,
                                char *destination, int64_t stride) {
  constexpr int64_t unitBytes = sizeof(Vector) / 8;
  int64_t u = 0;
  for (; u + 8 <= units; u += 8) {
    Vector block[8];
    for (int r = 0; r < 8; ++r)
      std::memcpy(&block[r], rows[r] + u * unitBytes, sizeof(Vector));
    transpose8(block);
    for (int i = 0; i < 8; ++i)
      std::memcpy(destination + (u + i) * stride, &block[i], sizeof(Vector));
  }
  for (; u < units; ++u)
    for (int r = 0; r < 8; ++r)
      std::memcpy(destination + u * stride + r * unitBytes,
                  rows[r] + u * unitBytes, unitBytes);
}

TNRT_VECTOR_CLONES void transposeUnits32(const char *const *rows, int64_t units,
                                         char *destination, int64_t stride) {
  transposeRows8<Units32>(rows, units, destination, stride);
}

TNRT_VECTOR_CLONES void transposeUnits16(const char *const *rows, int64_t units,
                                         char *destination, int64_t stride) {
  transposeRows8<Units16>(rows, units, destination, stride);
}

TNRT_VECTOR_CLONES void transposeUnits8(const char *const *rows, int64_t units,
                                        char *destination, int64_t stride) {
  transposeRows8<Units8>(rows, units, destination, stride);
}

void transposeAny(const char *const *rows, int64_t rowCount, int64_t units,
                  int64_t unitBytes, char *destination, int64_t stride) {
  for (int64_t u = 0; u < units; ++u)
    for (int64_t r = 0; r < rowCount; ++r)
      std::memcpy(destination + u * stride + r * unitBytes,
                  rows[r] + u * unitBytes, static_cast<size_t>(unitBytes));
}

const unsigned char *rowOf(const TensorView &source, int64_t row) {
  return source.data + row * source.shape[1] * dtypeBytes(source.dtype);
}

// `to` cannot hold an element of the row.
Error nonFinite(const TensorView &source, int64_t row, int64_t firstRow,
                DType to) {
  const char *name = to == DType::I8   ? "int8"
                     : to == DType::I4 ? "int4"
                                       : "fp8";
  return Error{quote(source.name) + ": the weight in row " +
               std::to_string(firstRow + row) + ", column " +
               std::to_string(findNonFinite(source.dtype, rowOf(source, row),
                                            source.shape[1])) +
               " is infinite or no number, which " + name + " cannot hold"};
}

// Scales of rows [begin, end), of each `width` columns, to out[0...].
Status findScales(const TensorView &source, int64_t begin, int64_t end,
                  int64_t firstRow, float *out, DType to, int64_t width) {
  const int64_t K = source.shape[1];
  for (int64_t row = begin; row < end; ++row) {
    int64_t k = 0;
    do {
      const void *data = rowOf(source, row) + k * dtypeBytes(source.dtype);
      if (std::optional<float> scale = rowScale(source.dtype, data, width, to))
        *out++ = *scale;
      else
        return nonFinite(source, row, firstRow, to);
    } while ((k += width) < K);
  }
  return {};
}

// Rows [begin, end) quantised, `rowBytes` each.
Status quantizeRows(const TensorView &source, int64_t begin, int64_t end,
                    DType to, int64_t rowBytes, char *destination,
                    const PackOptions &options) {
  const int64_t scales = scalesOfRow(source.shape, to);
  for (int64_t row = begin; row < end; ++row, destination += rowBytes)
    if (!quantizeRow(
            source.dtype, rowOf(source, row), source.shape[1], to, destination,
            options.rowScales ? options.rowScales + row * scales : nullptr))
      return nonFinite(source, row, options.firstRow, to);
  return {};
}

// Packs the rows of one panel.
class PanelPacker {
public:
  PanelPacker(const TensorView &source, DType to, const Layout &layout,
              const PackOptions &options)
      : source(source), to(to), layout(layout), options(options),
        N(source.shape[0]), K(source.shape[1]),
        sourceBytes(dtypeBytes(source.dtype)), elementBytes(dtypeBytes(to)),
        unitBytes(layout.step * elementBytes), stride(layout.width * unitBytes),
        // Whole groups only, so that a group never straddles two chunks.
        chunk(std::max(columnChunk / layout.step * layout.step, layout.step)),
        rowBytes(static_cast<size_t>(chunk * elementBytes)),
        scratch(rowBytes * rowGroup) {}

  Status pack(int64_t panel, char *destination) {
    for (int64_t row = 0; row < layout.width; row += rowGroup) {
      const int64_t first = panel * layout.width + row;
      const int64_t count = std::min(rowGroup, layout.width - row);
      if (to == DType::I8)
        if (Status status = prepareScales(first, count); !status)
          return status;
      packRows(first, count, destination + row * unitBytes);
    }
    return {};
  }

private:
  Status prepareScales(int64_t firstRow, int64_t rowCount) {
    const int64_t last = std::min(firstRow + rowCount, N);
    if (Status status = findScales(source, firstRow, last, options.firstRow,
                                   scales, DType::I8, K);
        !status)
      return status;
    if (options.rowScales && firstRow < last)
      std::copy(scales, scales + (last - firstRow),
                options.rowScales + firstRow);
    return {};
  }

  void packRows(int64_t firstRow, int64_t rowCount, char *destination) {
    for (int64_t k = 0; k < K; k += chunk) {
      const int64_t count = std::min(chunk, K - k);
      const int64_t units = ceilDiv(count, layout.step);
      const char *rows[rowGroup];
      for (int64_t r = 0; r < rowCount; ++r)
        rows[r] =
            prepareRow(firstRow + r, scales[r], k, count, units * layout.step,
                       scratch.data() + static_cast<size_t>(r) * rowBytes);
      char *target = destination + k / layout.step * stride;
      if (rowCount == rowGroup && unitBytes == 4)
        transposeUnits32(rows, units, target, stride);
      else if (rowCount == rowGroup && unitBytes == 2)
        transposeUnits16(rows, units, target, stride);
      else if (rowCount == rowGroup && unitBytes == 1)
        transposeUnits8(rows, units, target, stride);
      else
        transposeAny(rows, rowCount, units, unitBytes, target, stride);
    }
  }

  // `padded` elements of one row in the destination's type: the source itself
  // where nothing need be converted or filled with zeros.
  const char *prepareRow(int64_t row, float scale, int64_t k, int64_t count,
                         int64_t padded, char *space) {
    if (row >= N) {
      std::memset(space, 0, static_cast<size_t>(padded * elementBytes));
      return space;
    }
    const char *data = reinterpret_cast<const char *>(source.data) +
                       (row * K + k) * sourceBytes;
    if (source.dtype == to && count == padded)
      return data;
    if (to == DType::I8)
      quantizeElements(source.dtype, data, scale,
                       reinterpret_cast<int8_t *>(space), count);
    else
      convertElements(source.dtype, data, to, space,
                      static_cast<size_t>(count));
    std::memset(space + count * elementBytes, 0,
                static_cast<size_t>((padded - count) * elementBytes));
    return space;
  }

  const TensorView &source;
  const DType to;
  const Layout &layout;
  const PackOptions &options;
  const int64_t N, K, sourceBytes, elementBytes, unitBytes, stride, chunk;
  const size_t rowBytes;
  std::vector<char> scratch;
  float scales[rowGroup] = {}; // of the rows at hand, where `to` is I8
};

} // namespace

const char *layoutName(const Layout &layout) {
  switch (layout.kind) {
  case Layout::Kind::Rows:
    return "rows";
  case Layout::Kind::Panels:
    return "panels";
  case Layout::Kind::RowScales:
    return "row_scales";
  case Layout::Kind::RowScalesF8:
    return "row_scales_f8";
  case Layout::Kind::GroupScales:
    return "group_scales";
  }
  return "";
}

// Matrices of I8 have panels or rows, others rows.
static Status checkQuantised(const std::vector<int64_t> &shape, DType dtype,
                             const Layout &layout) {
  const bool hasPanels = layout.kind == Layout::Kind::Panels;
  // As in the manifest.
  const std::string name = dtype == DType::I8   ? "'i8'"
                           : dtype == DType::I4 ? "'i4'"
                                                : "'f8e4m3'";
  if (layout.isScales() || (hasPanels && dtype != DType::I8))
    return Error{"dtype " + name + " needs layout 'rows'" +
                 (dtype == DType::I8 ? " or 'panels'" : "")};
  if (shape.size() != 2)
    return Error{"dtype " + name + " needs a matrix, the shape is " +
                 shapeText(shape)};
  if (dtype == DType::I4 && shape[1] % kI4Group != 0)
    return Error{"dtype " + name + " needs a multiple of " +
                 std::to_string(kI4Group) + " columns, the shape is " +
                 shapeText(shape)};
  return {};
}

Status checkLayout(const std::vector<int64_t> &shape, DType dtype,
                   const Layout &layout) {
  std::optional<int64_t> elements = elementCount(shape);
  int64_t bytes = 0;
  if (!elements || __builtin_mul_overflow(*elements, dtypeBytes(dtype), &bytes))
    return Error{"shape " + shapeText(shape) + " is negative or too large"};
  if (isQuantisedDType(dtype))
    if (Status status = checkQuantised(shape, dtype, layout); !status)
      return status;
  if (layout.kind == Layout::Kind::Rows)
    return {};
  const bool isScales = layout.isScales();
  const std::string name = layoutName(layout);
  if (shape.size() != 2)
    return Error{"layout '" + name + "' needs a matrix, the shape is " +
                 shapeText(shape)};
  if (isScales && dtype != DType::F32)
    return Error{"layout '" + name + "' needs dtype 'f32'"};
  if (layout.kind == Layout::Kind::GroupScales &&
      (layout.width != kI4Group || shape[1] % kI4Group != 0))
    return Error{"layout '" + name + "' needs a width of " +
                 std::to_string(kI4Group) + " that divides the columns, " +
                 shapeText(shape)};
  if (isScales)
    return {};
  constexpr int64_t limit = 1 << 20;
  if (layout.width < 1 || layout.step < 1 || layout.width > limit ||
      layout.step > limit)
    return Error{"layout 'panels' needs a width and a step of at least 1"};
  int64_t rows = ceilDiv(shape[0], layout.width) * layout.width;
  int64_t columns = ceilDiv(shape[1], layout.step) * layout.step;
  if (__builtin_mul_overflow(rows, columns, &bytes) ||
      __builtin_mul_overflow(bytes, dtypeBytes(dtype), &bytes))
    return Error{"shape " + shapeText(shape) + " is too large"};
  return {};
}

std::string packedName(const std::string &tensor,
                       const std::vector<int64_t> &shape, DType dtype,
                       const Layout &layout) {
  std::string name =
      tensor + " " + dtypeName(dtype) + " " + shapeText(shape) + " ";
  name += layoutName(layout);
  if (layout.kind == Layout::Kind::GroupScales)
    name += " " + std::to_string(layout.width);
  if (layout.kind == Layout::Kind::Panels)
    name +=
        " " + std::to_string(layout.width) + " " + std::to_string(layout.step);
  return name;
}

int64_t packUnitRows(const Layout &layout) {
  return layout.kind == Layout::Kind::Panels ? layout.width : 1;
}

int64_t packUnits(const std::vector<int64_t> &shape, const Layout &layout) {
  return shape.empty() ? 1 : ceilDiv(shape[0], packUnitRows(layout));
}

int64_t packedUnitBytes(const std::vector<int64_t> &shape, DType dtype,
                        const Layout &layout) {
  if (layout.kind == Layout::Kind::GroupScales)
    return dtypeBytes(dtype) * (shape[1] / layout.width);
  if (layout.isScales())
    return dtypeBytes(dtype);
  if (layout.kind == Layout::Kind::Panels)
    return ceilDiv(shape[1], layout.step) * layout.step * layout.width *
           dtypeBytes(dtype);
  int64_t bytes = dtypeBytes(dtype);
  for (size_t i = 1; i < shape.size(); ++i)
    bytes *= shape[i];
  return dtype == DType::I4 ? bytes / 2 : bytes;
}

int64_t packedBytes(const std::vector<int64_t> &shape, DType dtype,
                    const Layout &layout) {
  return packUnits(shape, layout) * packedUnitBytes(shape, dtype, layout);
}

Layout scalesLayout(DType dtype) {
  switch (dtype) {
  case DType::F8E4M3:
    return {Layout::Kind::RowScalesF8};
  case DType::I4:
    return {Layout::Kind::GroupScales, kI4Group};
  default:
    return {Layout::Kind::RowScales};
  }
}

int64_t scalesOfRow(const std::vector<int64_t> &shape, DType dtype) {
  return dtype == DType::I4 ? shape[1] / kI4Group : 1;
}

// The type whose scales these are.
static DType quantisedBy(const Layout &layout) {
  switch (layout.kind) {
  case Layout::Kind::RowScalesF8:
    return DType::F8E4M3;
  case Layout::Kind::GroupScales:
    return DType::I4;
  default:
    return DType::I8;
  }
}

Status packRange(const TensorView &source, DType to, const Layout &layout,
                 int64_t begin, int64_t end, void *destination,
                 const PackOptions &options) {
  const int64_t bytes = packedUnitBytes(source.shape, to, layout);
  char *target = static_cast<char *>(destination) + begin * bytes;
  switch (layout.kind) {
  case Layout::Kind::Rows: {
    if (isQuantisedDType(to))
      return quantizeRows(source, begin, end, to, bytes, target, options);
    const int64_t elements = bytes / dtypeBytes(to);
    convertElements(source.dtype,
                    source.data + begin * elements * dtypeBytes(source.dtype),
                    to, target, static_cast<size_t>((end - begin) * elements));
    return {};
  }
  case Layout::Kind::RowScales:
  case Layout::Kind::RowScalesF8:
  case Layout::Kind::GroupScales:
    return findScales(source, begin, end, options.firstRow,
                      reinterpret_cast<float *>(target), quantisedBy(layout),
                      layout.kind == Layout::Kind::GroupScales
                          ? layout.width
                          : source.shape[1]);
  case Layout::Kind::Panels:
    break;
  }
  PanelPacker packer(source, to, layout, options);
  for (int64_t panel = begin; panel < end; ++panel, target += bytes)
    if (Status status = packer.pack(panel, target); !status)
      return status;
  return {};
}

} // namespace tnrt
