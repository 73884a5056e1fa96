// Sequences of different lengths, one after the other, cut in steps of what one
// call takes. A step is a contiguous piece of all the tokens: the rest of one
// sequence, whole ones, the beginning of another.
#ifndef TNRT_CORE_PACKEDSTEPS_H
#define TNRT_CORE_PACKEDSTEPS_H

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace tnrt {

class PackedSteps {
public:
  // `lengths`: tokens of each sequence, 0 or more. `capacity` >= 1.
  PackedSteps(std::vector<int64_t> lengths, int64_t capacity)
      : left(std::move(lengths)), capacity(capacity), taken(left.size(), 0) {}

  // Goes to the next step; false when there is none.
  bool next() {
    start += tokens;
    tokens = 0;
    std::fill(taken.begin(), taken.end(), 0);
    size_t first = left.size();
    for (size_t row = 0; row < left.size() && tokens < capacity; ++row) {
      // A step takes no more sequences than tokens, were they empty.
      if (first < row && row - first >= static_cast<size_t>(capacity))
        break;
      const int64_t count = pieceOf(left[row]);
      if (count > 0)
        first = std::min(first, row);
      taken[row] = count;
      tokens += count;
      left[row] -= count;
      if (left[row] > 0)
        break;
    }
    return tokens > 0;
  }

  int64_t begin() const { return start; } // the step's first token
  int64_t count() const { return tokens; }
  // Of each sequence, in this step.
  const std::vector<int64_t> &counts() const { return taken; }
  // Whether the sequence has tokens in this step, and none after it.
  bool endsHere(size_t row) const { return taken[row] > 0 && left[row] == 0; }

private:
  // A sequence is cut where its attention begins a chunk in any case, so that a
  // sequence gives the same bits whatever is packed beside it.
  int64_t pieceOf(int64_t length) const {
    constexpr int64_t kChunk = 64;
    const int64_t room = capacity - tokens;
    if (length <= room)
      return length;
    return capacity < kChunk ? room : room / kChunk * kChunk;
  }

  std::vector<int64_t> left;
  int64_t capacity;
  std::vector<int64_t> taken;
  int64_t start = 0, tokens = 0;
};

} // namespace tnrt

#endif // TNRT_CORE_PACKEDSTEPS_H
