// The energy that a GPU uses, as NVIDIA's management library counts it.
#ifndef TNRT_CUDA_ENERGY_H
#define TNRT_CUDA_ENERGY_H

#include "Library.h"

#include "tnrt/Result.h"

#include <memory>

namespace tnrt::cuda {

class EnergyMeter {
public:
  // Of the machine's GPU `index`, by the driver's numbers. Errors: no driver,
  // no such GPU, no management library, a GPU without a counter.
  static Result<std::unique_ptr<EnergyMeter>> open(int index);
  ~EnergyMeter();
  EnergyMeter(const EnergyMeter &) = delete;
  EnergyMeter &operator=(const EnergyMeter &) = delete;

  // Joules since the driver was loaded, of the whole board and whoever uses it.
  // The counter moves some ten times a second.
  Result<double> joules() const;

private:
  struct Functions;
  EnergyMeter() = default;

  std::unique_ptr<Functions> functions;
  void *handle = nullptr;
};

} // namespace tnrt::cuda

#endif // TNRT_CUDA_ENERGY_H
