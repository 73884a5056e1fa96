// NVML, loaded at run time like the driver.
#include "Energy.h"

#include "Driver.h"

#include <string>
#include <type_traits>

namespace tnrt::cuda {

// Every function of the library but nvmlErrorString returns a code, 0 for
// success.
struct EnergyMeter::Functions {
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*handleByBusId)(const char *busId, void **device) = nullptr;
  int (*totalEnergy)(void *device, unsigned long long *millijoules) = nullptr;
  const char *(*errorString)(int code) = nullptr;

  Status load();
  Status check(const char *call, int code) const {
    if (code == 0)
      return {};
    return Error{std::string(call) + ": " + errorString(code)};
  }
};

Status EnergyMeter::Functions::load() {
  Result<Library> library = Library::open(libraryNames().nvml);
  if (!library)
    return Error{"NVIDIA's management library cannot be loaded (" +
                 library.message() + ")"};
  std::string missing;
  auto find = [&](auto &function, const char *symbol) {
    void *found = library->find(symbol);
    function =
        reinterpret_cast<std::remove_reference_t<decltype(function)>>(found);
    if (!found)
      missing += (missing.empty() ? "" : ", ") + std::string(symbol);
  };
  find(init, "nvmlInit_v2");
  find(shutdown, "nvmlShutdown");
  find(handleByBusId, "nvmlDeviceGetHandleByPciBusId_v2");
  find(totalEnergy, "nvmlDeviceGetTotalEnergyConsumption");
  find(errorString, "nvmlErrorString");
  if (!missing.empty())
    return Error{"NVIDIA's management library (" + library->name() +
                 ") lacks " + missing};
  return {};
}

// The library numbers GPUs in its own way, so that a GPU is named by its place
// on the bus.
static Result<std::string> busIdOf(int index) {
  Result<std::shared_ptr<const Driver>> driver = Driver::load();
  if (!driver)
    return driver.takeError();
  CUdevice device = 0;
  if (Status status = TNRT_CUDA_CALL(**driver, cuDeviceGet, &device, index);
      !status)
    return status.takeError();
  char text[32] = {};
  if (Status status = TNRT_CUDA_CALL(**driver, cuDeviceGetPCIBusId, text,
                                     sizeof text, device);
      !status)
    return status.takeError();
  return std::string(text);
}

Result<std::unique_ptr<EnergyMeter>> EnergyMeter::open(int index) {
  Result<std::string> busId = busIdOf(index);
  if (!busId)
    return busId.takeError();
  auto functions = std::make_unique<Functions>();
  if (Status status = functions->load(); !status)
    return status.takeError();
  if (Status status = functions->check("nvmlInit", functions->init()); !status)
    return status.takeError();
  std::unique_ptr<EnergyMeter> meter(new EnergyMeter());
  meter->functions = std::move(functions);
  const Functions &f = *meter->functions;
  if (Status status = f.check("nvmlDeviceGetHandleByPciBusId",
                              f.handleByBusId(busId->c_str(), &meter->handle));
      !status)
    return status.takeError();
  if (Result<double> now = meter->joules(); !now)
    return now.takeError();
  return meter;
}

EnergyMeter::~EnergyMeter() {
  if (functions)
    functions->shutdown();
}

Result<double> EnergyMeter::joules() const {
  unsigned long long millijoules = 0;
  if (Status status =
          functions->check("nvmlDeviceGetTotalEnergyConsumption",
                           functions->totalEnergy(handle, &millijoules));
      !status)
    return status.takeError();
  return double(millijoules) / 1e3;
}

} // namespace tnrt::cuda
