// The largest of many logits.
#ifndef TNRT_APP_LIKELIEST_H
#define TNRT_APP_LIKELIEST_H

#include <cstdint>

namespace tnrt {

// Index of the largest of logits [count], of equal ones the first; NaN counts
// as -infinity. -1: all are. Both passes are vector code: this is what the host
// does for each greedy token while a GPU waits.
int32_t likeliest(const float *logits, int64_t count);

} // namespace tnrt

#endif // TNRT_APP_LIKELIEST_H
