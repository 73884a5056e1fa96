// bench --energy: joules of work that repeats.
#ifndef TNRT_APP_BENCHENERGY_H
#define TNRT_APP_BENCHENERGY_H

#include "tnrt/Result.h"

#include <functional>
#include <optional>

namespace tnrt {

// Joules of one `work` by a counter that `read` gives, in joules, and that
// moves some ten times a second. The work is repeated for `seconds` at least,
// from one movement of the counter to another one, so that neither end is idle.
// `work` returns false where it was interrupted; the result is nothing then.
// Errors: those of both; a counter that stands still for `seconds` and five
// more.
Result<std::optional<double>>
joulesOfRun(const std::function<Result<double>()> &read,
            const std::function<Result<bool>()> &work, double seconds);

} // namespace tnrt

#endif // TNRT_APP_BENCHENERGY_H
