// bench --kernels: each launch of a step alone.
#ifndef TNRT_APP_BENCHKERNELS_H
#define TNRT_APP_BENCHKERNELS_H

#include "Commands.h"

namespace tnrt {

// Times the launches of a prefill step (`--prompt` tokens of one sequence, at
// most what one step takes) and of a decode step (`--batch` sequences), as a
// table or as JSON. Errors: a CPU program, those of Session::profile.
Result<int> benchKernels(Environment &environment, Session &session,
                         const BenchOptions &options);

} // namespace tnrt

#endif // TNRT_APP_BENCHKERNELS_H
