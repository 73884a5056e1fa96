// Contexts and memory.
#include "Device.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace tnrt::cuda {

Result<std::shared_ptr<Device>> Device::open(int index) {
  Result<std::shared_ptr<const Driver>> loaded = Driver::load();
  if (!loaded)
    return loaded.takeError();
  std::shared_ptr<Device> device(new Device());
  device->table = std::move(*loaded);
  const Driver &d = device->driver();
  int count = 0;
  if (Status status = TNRT_CUDA_CALL(d, cuDeviceGetCount, &count); !status)
    return status.takeError();
  if (count == 0)
    return Error{"NVIDIA's driver finds no GPU, and this program runs on one"};
  if (index < 0 || index >= count)
    return Error{"there is no device " + std::to_string(index) +
                 ": this machine has " +
                 (count == 1 ? "one GPU, device 0"
                             : std::to_string(count) + " GPUs, devices 0 to " +
                                   std::to_string(count - 1))};
  device->ordinal = index;
  if (Status status = TNRT_CUDA_CALL(d, cuDeviceGet, &device->handle, index);
      !status)
    return status.takeError();
  if (Status status = device->readProperties(); !status)
    return status.takeError();
  if (Status status = TNRT_CUDA_CALL(d, cuDevicePrimaryCtxRetain,
                                     &device->context, device->handle);
      !status)
    return Error{"cannot use device " + std::to_string(index) + ": " +
                 status.message()};
  if (Status status = device->makeCurrent(); !status)
    return status.takeError();
  return device;
}

Status Device::readProperties() {
  const Driver &d = driver();
  char text[256] = {};
  if (Status status =
          TNRT_CUDA_CALL(d, cuDeviceGetName, text, sizeof text - 1, handle);
      !status)
    return status;
  model = text;
  int major = 0, minor = 0, shared = 0;
  if (Status status = TNRT_CUDA_CALL(d, cuDeviceGetAttribute, &major,
                                     kAttributeComputeMajor, handle);
      !status)
    return status;
  if (Status status = TNRT_CUDA_CALL(d, cuDeviceGetAttribute, &minor,
                                     kAttributeComputeMinor, handle);
      !status)
    return status;
  if (Status status = TNRT_CUDA_CALL(d, cuDeviceGetAttribute, &shared,
                                     kAttributeSharedBytesOptIn, handle);
      !status)
    return status;
  compute = major * 10 + minor;
  sharedBytes = shared;
  size_t bytes = 0;
  if (Status status = TNRT_CUDA_CALL(d, cuDeviceTotalMem_v2, &bytes, handle);
      !status)
    return status;
  total = static_cast<int64_t>(bytes);
  return {};
}

Device::~Device() {
  if (!context)
    return;
  driver().cuCtxSetCurrent(nullptr);
  driver().cuDevicePrimaryCtxRelease_v2(handle);
}

Status Device::makeCurrent() const {
  return TNRT_CUDA_CALL(driver(), cuCtxSetCurrent, context);
}

Result<int64_t> Device::freeBytes() const {
  size_t free = 0, all = 0;
  if (Status status = TNRT_CUDA_CALL(driver(), cuMemGetInfo_v2, &free, &all);
      !status)
    return status.takeError();
  return static_cast<int64_t>(free);
}

std::string Device::text() const {
  return "device " + std::to_string(ordinal) + " is " + model + ", sm_" +
         std::to_string(compute);
}

Status Device::checkChip(const std::string &chip, bool isPtx) const {
  char *end = nullptr;
  const bool isNamed = chip.rfind("sm_", 0) == 0;
  const long wanted = isNamed ? std::strtol(chip.c_str() + 3, &end, 10) : 0;
  const std::string suffix = end ? end : "";
  bool fits = false;
  if (suffix == "a")
    fits = compute == wanted;
  else if (isPtx && suffix.empty())
    fits = compute >= wanted;
  else
    fits = compute / 10 == wanted / 10 && compute >= wanted;
  if (fits)
    return {};
  // What the compiler calls the whole of this GPU.
  const std::string own =
      "sm_" + std::to_string(compute) + (compute >= 90 ? "a" : "");
  return Error{"compiled for " + chip + "; " + text() +
               "; compile with --target=" + own};
}

void Device::account(int64_t bytes) {
  held += bytes;
  peak = std::max(peak, held);
}

Result<DeviceMemory> DeviceMemory::allocate(std::shared_ptr<Device> device,
                                            int64_t bytes,
                                            const std::string &purpose) {
  DeviceMemory memory;
  if (bytes == 0)
    return memory;
  if (Status status =
          TNRT_CUDA_CALL(device->driver(), cuMemAlloc_v2, &memory.pointer,
                         static_cast<size_t>(bytes));
      !status)
    return Error{"cannot allocate " + gibibytes(bytes) + " on device " +
                 std::to_string(device->index()) + " for " + purpose + ": " +
                 status.message()};
  memory.bytes = bytes;
  device->account(bytes);
  memory.device = std::move(device);
  return memory;
}

DeviceMemory &DeviceMemory::operator=(DeviceMemory &&other) noexcept {
  std::swap(device, other.device);
  std::swap(pointer, other.pointer);
  std::swap(bytes, other.bytes);
  return *this;
}

DeviceMemory::~DeviceMemory() {
  if (!device)
    return;
  device->driver().cuMemFree_v2(pointer);
  device->account(-bytes);
}

Result<PinnedMemory> PinnedMemory::allocate(std::shared_ptr<Device> device,
                                            int64_t bytes,
                                            const std::string &purpose) {
  PinnedMemory memory;
  if (bytes == 0)
    return memory;
  if (Status status =
          TNRT_CUDA_CALL(device->driver(), cuMemHostAlloc, &memory.pointer,
                         static_cast<size_t>(bytes), kHostAllocPortable);
      !status)
    return Error{"cannot allocate " + gibibytes(bytes) +
                 " of page-locked memory for " + purpose + ": " +
                 status.message()};
  memory.bytes = bytes;
  memory.device = std::move(device);
  return memory;
}

PinnedMemory &PinnedMemory::operator=(PinnedMemory &&other) noexcept {
  std::swap(device, other.device);
  std::swap(pointer, other.pointer);
  std::swap(bytes, other.bytes);
  return *this;
}

PinnedMemory::~PinnedMemory() {
  if (device)
    device->driver().cuMemFreeHost(pointer);
}

Result<Stream> createStream(const std::shared_ptr<Device> &device) {
  CUstream stream = nullptr;
  if (Status status = TNRT_CUDA_CALL(device->driver(), cuStreamCreate, &stream,
                                     kStreamNonBlocking);
      !status)
    return status.takeError();
  return Stream(device, stream);
}

Result<Event> createEvent(const std::shared_ptr<Device> &device,
                          unsigned flags) {
  CUevent event = nullptr;
  if (Status status =
          TNRT_CUDA_CALL(device->driver(), cuEventCreate, &event, flags);
      !status)
    return status.takeError();
  return Event(device, event);
}

std::string gibibytes(int64_t bytes) {
  constexpr double mebi = 1 << 20, gibi = 1 << 30;
  char text[32];
  const double value = static_cast<double>(bytes);
  if (value < gibi / 10)
    std::snprintf(text, sizeof text, "%.1f MiB", value / mebi);
  else
    std::snprintf(text, sizeof text, "%.1f GiB", value / gibi);
  return text;
}

} // namespace tnrt::cuda
