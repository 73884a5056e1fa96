// Random weights that depend on nothing but the seed, the tensor's name and the
// element's index: the same on every machine and for every number of threads.
#ifndef TNRT_FORMATS_RANDOMINIT_H
#define TNRT_FORMATS_RANDOMINIT_H

#include <cstdint>
#include <string_view>

namespace tnrt {

struct InitSpec {
  enum class Kind {
    Normal,   // mean 0, standard deviation `std`
    Constant, // `value`
    LrpeTheta // 10000^(-2i/D) over the flat index i, D = number of elements
  };
  Kind kind = Kind::Normal;
  double std = 0.02;
  double value = 0;
};

// What tells one tensor's stream from another's.
uint64_t randomKey(uint64_t seed, std::string_view tensor);

// Elements [begin, begin + count) of a tensor of `total` elements. The normal
// distribution is approximated by the sum of four uniforms (exact mean and
// deviation, nothing beyond 3.46 deviations), which vectorises.
void randomFill(const InitSpec &init, uint64_t key, int64_t total,
                int64_t begin, int64_t count, float *out);

} // namespace tnrt

#endif // TNRT_FORMATS_RANDOMINIT_H
