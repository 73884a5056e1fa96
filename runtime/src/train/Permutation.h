// A shuffled order of any size that takes no memory: a permutation of [0, size)
// that depends on a key alone.
#ifndef TNRT_TRAIN_PERMUTATION_H
#define TNRT_TRAIN_PERMUTATION_H

#include <array>
#include <cstddef>
#include <cstdint>

namespace tnrt {

// Mixes the bits of `value` (the finaliser of splitmix64).
uint64_t mixBits(uint64_t value);

// A Feistel network over the least even number of bits that hold `size`;
// results that are `size` or above are put through it again until one is below
// it, which keeps it a permutation ("cycle walking") and takes at most 4 turns
// on average.
class KeyedPermutation {
public:
  KeyedPermutation(uint64_t size, uint64_t key); // size >= 1, below 2^62

  uint64_t operator()(uint64_t index) const; // index < size

private:
  static constexpr int kRounds = 6;
  uint64_t once(uint64_t value) const;

  uint64_t size;
  int halfBits = 1;
  std::array<uint64_t, kRounds> roundKeys;
};

} // namespace tnrt

#endif // TNRT_TRAIN_PERMUTATION_H
