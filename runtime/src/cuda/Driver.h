// The driver's functions, found at run time, and the text of their errors.
#ifndef TNRT_CUDA_DRIVER_H
#define TNRT_CUDA_DRIVER_H

#include "DriverTypes.h"
#include "Library.h"

#include <memory>

namespace tnrt::cuda {

struct Driver {
#define TNRT_CUDA(symbol, parameters) CUresult(*symbol) parameters = nullptr;
#include "Driver.def"

  // Opens the driver and initialises it. Errors: no driver, one too old, no
  // GPU.
  static Result<std::shared_ptr<const Driver>> load();

  // "cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY (out of memory)" where `code` is not
  // success. `call` may end in a version, which is left out.
  Status check(const char *call, CUresult code) const;
};

// Calls a function of the driver and checks its result.
#define TNRT_CUDA_CALL(driver, symbol, ...)                                    \
  (driver).check(#symbol, (driver).symbol(__VA_ARGS__))

} // namespace tnrt::cuda

#endif // TNRT_CUDA_DRIVER_H
