// Learning which gradients are written whole by a product, and relying on it.
#include "GradientZeros.h"

#include "tnrt/abi.h"
#include "tnrt/formats/DType.h"

#include <algorithm>
#include <functional>

namespace tnrt {

GradientZeros::GradientZeros(const std::vector<TrainParameter> &parameters,
                             const float *first, int64_t elements)
    : first(first), elements(elements) {
  for (const TrainParameter &parameter : parameters)
    entries.push_back({parameter.offset, parameter.elements});
  std::sort(entries.begin(), entries.end(),
            [](const Entry &a, const Entry &b) { return a.begin < b.begin; });
}

GradientZeros::Entry *GradientZeros::find(const void *address) {
  const auto *element = static_cast<const float *>(address);
  // Addresses of different arrays have an order only so.
  if (std::less<>()(element, first) ||
      !std::less<>()(element, first + elements))
    return nullptr;
  const int64_t place = element - first;
  auto after = std::upper_bound(
      entries.begin(), entries.end(), place,
      [](int64_t value, const Entry &entry) { return value < entry.begin; });
  return after == entries.begin() ? nullptr : &*std::prev(after);
}

void GradientZeros::learn() {
  isLearning = true;
  for (Entry &entry : entries)
    entry.isUsed = entry.isWritten = false;
}

std::vector<GradientZeros::Range> GradientZeros::apply() {
  isLearning = false;
  std::vector<Range> zeros;
  for (Entry &entry : entries) {
    entry.wasWritten = false;
    if (entry.isWritten)
      continue;
    const int64_t end = entry.begin + entry.elements;
    // What lies between parameters is zero for ever.
    const bool follows =
        !zeros.empty() && &entry != entries.data() && !(&entry - 1)->isWritten;
    if (follows)
      zeros.back().end = end;
    else
      zeros.push_back({entry.begin, end});
  }
  return zeros;
}

int64_t GradientZeros::formOf(const MatmulCall &call) {
  Entry *entry = find(call.y);
  if (!entry)
    return call.form;
  const bool covers = call.y == first + entry->begin && !call.c &&
                      (call.form & TNRT_MATMUL_ACCUMULATE) &&
                      call.outType == static_cast<int64_t>(DType::F32) &&
                      call.rows * call.n == entry->elements;
  if (isLearning) {
    entry->isWritten |= covers && !entry->isUsed;
    entry->isUsed = true;
    return call.form;
  }
  const bool writes = covers && entry->isWritten && !entry->wasWritten;
  entry->wasWritten |= writes;
  return writes ? call.form & ~int64_t(TNRT_MATMUL_ACCUMULATE) : call.form;
}

void GradientZeros::use(const void *argument) {
  if (!isLearning)
    return;
  if (Entry *entry = find(argument))
    entry->isUsed = true;
}

} // namespace tnrt
