// Counter-based initial weights: a hash of (key, index) for each element.
#include "tnrt/formats/RandomInit.h"

#include "Dispatch.h"

#include <algorithm>
#include <cmath>

namespace tnrt {

namespace {

// Wellons' "lowbias32": every input bit flips every output bit with probability
// near one half; 32-bit multiplications, which vectorise.
TNRT_INLINE uint32_t mix32(uint32_t x) {
  x ^= x >> 16;
  x *= 0x7FEB352Du;
  x ^= x >> 15;
  x *= 0x846CA68Bu;
  x ^= x >> 16;
  return x;
}

uint64_t mix64(uint64_t x) { // SplitMix64's finaliser
  x ^= x >> 30;
  x *= 0xBF58476D1CE4E5B9ull;
  x ^= x >> 27;
  x *= 0x94D049BB133111EBull;
  x ^= x >> 31;
  return x;
}

// The sum of four uniform 16-bit numbers minus its mean. Two rounds with
// different halves of the key keep the streams of two tensors from being
// permutations of each other.
TNRT_INLINE int32_t sumOfUniforms(uint32_t index, uint32_t low, uint32_t high) {
  const uint32_t first = mix32(index ^ low);
  const uint32_t a = mix32(first + high);
  const uint32_t b = (a ^ first) * 0x9E3779B1u;
  const uint32_t sum =
      (a & 0xFFFFu) + (a >> 16) + ((b ^ b >> 15) & 0xFFFFu) + (b >> 16);
  return static_cast<int32_t>(sum) - 2 * 65535;
}

TNRT_VECTOR_CLONES void fillNormal(uint32_t index, uint32_t low, uint32_t high,
                                   float scale, uint32_t count, float *out) {
  for (uint32_t i = 0; i < count; ++i)
    out[i] = scale * static_cast<float>(sumOfUniforms(index + i, low, high));
}

void fillLrpeTheta(int64_t total, int64_t begin, int64_t count, float *out) {
  const double factor = -2.0 / static_cast<double>(total);
  for (int64_t i = 0; i < count; ++i)
    out[i] = static_cast<float>(
        std::pow(10000.0, factor * static_cast<double>(begin + i)));
}

} // namespace

uint64_t randomKey(uint64_t seed, std::string_view tensor) {
  uint64_t hash = 0xCBF29CE484222325ull; // FNV-1a of the name
  for (unsigned char c : tensor)
    hash = (hash ^ c) * 0x100000001B3ull;
  return mix64(mix64(seed + 0x9E3779B97F4A7C15ull) ^ hash);
}

void randomFill(const InitSpec &init, uint64_t key, int64_t total,
                int64_t begin, int64_t count, float *out) {
  switch (init.kind) {
  case InitSpec::Kind::Constant:
    std::fill(out, out + count, static_cast<float>(init.value));
    return;
  case InitSpec::Kind::LrpeTheta:
    fillLrpeTheta(total, begin, count, out);
    return;
  case InitSpec::Kind::Normal:
    break;
  }
  // Four uniforms over 65536 values have variance 4 (2^32 - 1) / 12.
  const float scale =
      static_cast<float>(init.std / std::sqrt((4294967296.0 - 1.0) / 3.0));
  while (count > 0) {
    // The index's upper half goes into the key, so a piece stays within it.
    const uint64_t index = static_cast<uint64_t>(begin);
    const uint64_t block = mix64(key + (index >> 32));
    const int64_t piece = std::min<int64_t>(
        count,
        std::min<int64_t>(0x40000000, 0x100000000 - (begin & 0xFFFFFFFF)));
    fillNormal(static_cast<uint32_t>(index), static_cast<uint32_t>(block),
               static_cast<uint32_t>(block >> 32), scale,
               static_cast<uint32_t>(piece), out);
    begin += piece;
    count -= piece;
    out += piece;
  }
}

} // namespace tnrt
