// The Feistel network.
#include "Permutation.h"

namespace tnrt {

uint64_t mixBits(uint64_t value) {
  value += 0x9E3779B97F4A7C15u;
  value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9u;
  value = (value ^ value >> 27) * 0x94D049BB133111EBu;
  return value ^ value >> 31;
}

KeyedPermutation::KeyedPermutation(uint64_t size, uint64_t key) : size(size) {
  while ((uint64_t(1) << (2 * halfBits)) < size)
    ++halfBits;
  for (int round = 0; round < kRounds; ++round)
    roundKeys[static_cast<size_t>(round)] =
        mixBits(key + static_cast<uint64_t>(round) * 0xD1342543DE82EF95u);
}

uint64_t KeyedPermutation::once(uint64_t value) const {
  const uint64_t mask = (uint64_t(1) << halfBits) - 1;
  uint64_t left = value >> halfBits, right = value & mask;
  for (uint64_t key : roundKeys) {
    uint64_t next = left ^ (mixBits(right ^ key) & mask);
    left = right;
    right = next;
  }
  return left << halfBits | right;
}

uint64_t KeyedPermutation::operator()(uint64_t index) const {
  do
    index = once(index);
  while (index >= size);
  return index;
}

} // namespace tnrt
