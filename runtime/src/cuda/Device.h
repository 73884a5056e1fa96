// One GPU: its primary context, memory, streams and events. Everything here is
// released by its destructor, whatever happened in between; what a destructor
// cannot do after a failure it leaves to the end of the process.
#ifndef TNRT_CUDA_DEVICE_H
#define TNRT_CUDA_DEVICE_H

#include "Driver.h"

#include <cstdint>
#include <memory>
#include <string>

namespace tnrt::cuda {

class Device {
public:
  // GPU `index` of the machine, its context made current. Errors: no driver, no
  // GPU, no such GPU.
  static Result<std::shared_ptr<Device>> open(int index);
  ~Device();
  Device(const Device &) = delete;
  Device &operator=(const Device &) = delete;

  const Driver &driver() const { return *table; }
  int index() const { return ordinal; }
  const std::string &name() const { return model; }
  int capability() const { return compute; } // 90 for sm_90
  int64_t sharedBytesOfBlock() const { return sharedBytes; }
  int64_t totalBytes() const { return total; }
  // Errors: those of the driver.
  Result<int64_t> freeBytes() const;

  // Makes the context the calling thread's.
  Status makeCurrent() const;

  // "device 0 is NVIDIA A100, sm_80".
  std::string text() const;
  // Errors unless code for `chip` runs here: "sm_90a" on 9.0 alone, "sm_80" on
  // 8.x from 8.0 on (any newer GPU where `isPtx`).
  Status checkChip(const std::string &chip, bool isPtx) const;

  // Bytes of device memory held now, and the most so far.
  int64_t heldBytes() const { return held; }
  int64_t peakBytes() const { return peak; }

private:
  friend class DeviceMemory;
  Device() = default;
  Status readProperties();
  void account(int64_t bytes);

  std::shared_ptr<const Driver> table;
  CUdevice handle = 0;
  CUcontext context = nullptr;
  int ordinal = 0, compute = 0;
  int64_t sharedBytes = 0, total = 0;
  std::string model;
  int64_t held = 0, peak = 0;
};

// Device memory, aligned to 256 bytes at least.
class DeviceMemory {
public:
  DeviceMemory() = default;
  // Errors: the device has no `bytes` left for `purpose`.
  static Result<DeviceMemory> allocate(std::shared_ptr<Device> device,
                                       int64_t bytes,
                                       const std::string &purpose);
  DeviceMemory(DeviceMemory &&other) noexcept { *this = std::move(other); }
  DeviceMemory &operator=(DeviceMemory &&other) noexcept;
  ~DeviceMemory();

  DevicePointer address() const { return pointer; }
  void *data() const { return reinterpret_cast<void *>(pointer); }
  int64_t size() const { return bytes; }

private:
  std::shared_ptr<Device> device;
  DevicePointer pointer = 0;
  int64_t bytes = 0;
};

// Page-locked host memory, which the GPU copies from and to by itself.
class PinnedMemory {
public:
  PinnedMemory() = default;
  static Result<PinnedMemory> allocate(std::shared_ptr<Device> device,
                                       int64_t bytes,
                                       const std::string &purpose);
  PinnedMemory(PinnedMemory &&other) noexcept { *this = std::move(other); }
  PinnedMemory &operator=(PinnedMemory &&other) noexcept;
  ~PinnedMemory();

  void *data() const { return pointer; }
  int64_t size() const { return bytes; }

private:
  std::shared_ptr<Device> device;
  void *pointer = nullptr;
  int64_t bytes = 0;
};

// A handle that one function of the driver destroys.
template <typename Handle, CUresult (*Driver::*Destroy)(Handle)> class Owned {
public:
  Owned() = default;
  Owned(std::shared_ptr<Device> device, Handle handle)
      : device(std::move(device)), handle(handle) {}
  Owned(Owned &&other) noexcept { *this = std::move(other); }
  Owned &operator=(Owned &&other) noexcept {
    std::swap(device, other.device);
    std::swap(handle, other.handle);
    return *this;
  }
  ~Owned() {
    if (handle)
      (device->driver().*Destroy)(handle);
  }
  Handle get() const { return handle; }

private:
  std::shared_ptr<Device> device;
  Handle handle = nullptr;
};

using Stream = Owned<CUstream, &Driver::cuStreamDestroy_v2>;
using Event = Owned<CUevent, &Driver::cuEventDestroy_v2>;
using Graph = Owned<CUgraph, &Driver::cuGraphDestroy>;
using GraphExec = Owned<CUgraphExec, &Driver::cuGraphExecDestroy>;

Result<Stream> createStream(const std::shared_ptr<Device> &device);
Result<Event> createEvent(const std::shared_ptr<Device> &device,
                          unsigned flags);

// Records what `enqueue` puts on the stream and makes it a graph that can be
// launched. The capture ends whether it succeeds or not.
template <typename Function>
Result<GraphExec> capture(const std::shared_ptr<Device> &device,
                          const Stream &stream, Function &&enqueue) {
  const Driver &d = device->driver();
  // Relaxed: what is loaded on first use may be loaded while capturing.
  if (Status status = TNRT_CUDA_CALL(d, cuStreamBeginCapture_v2, stream.get(),
                                     kCaptureRelaxed);
      !status)
    return status.takeError();
  Status enqueued = enqueue();
  CUgraph made = nullptr;
  Status ended = TNRT_CUDA_CALL(d, cuStreamEndCapture, stream.get(), &made);
  Graph graph(device, made);
  if (!enqueued)
    return enqueued.takeError();
  if (!ended)
    return ended.takeError();
  CUgraphExec exec = nullptr;
  if (Status status =
          TNRT_CUDA_CALL(d, cuGraphInstantiateWithFlags, &exec, made, 0);
      !status)
    return status.takeError();
  return GraphExec(device, exec);
}

// "15.2 GiB"; below a tenth of one "12 MiB".
std::string gibibytes(int64_t bytes);

} // namespace tnrt::cuda

#endif // TNRT_CUDA_DEVICE_H
