"""Joules that a GPU uses, by the counter of NVIDIA's management library.

The counter moves some ten times a second, so work is repeated for two seconds at least
and read where the counter has just moved, while the work goes on. It counts the whole
board, what it uses at rest included.
"""
import ctypes
import time

SECONDS = 2.0


def bus_of(torch):
    """Where torch's current GPU is, as NVML names it."""
    found = torch.cuda.get_device_properties(torch.cuda.current_device())
    return f"{found.pci_domain_id:08x}:{found.pci_bus_id:02x}:{found.pci_device_id:02x}.0"


class Meter:
    """Of the GPU at a place on the bus. Raises OSError where there is no such library or
    counter."""

    def __init__(self, bus):
        self.library = ctypes.CDLL("libnvidia-ml.so.1")
        self.handle = ctypes.c_void_p()
        self.check(self.library.nvmlInit_v2())
        self.check(self.library.nvmlDeviceGetHandleByPciBusId_v2(bus.encode(), ctypes.byref(self.handle)))
        self.joules()

    def check(self, code):
        if code:
            self.library.nvmlErrorString.restype = ctypes.c_char_p
            raise OSError(f"NVML: {self.library.nvmlErrorString(code).decode()}")

    def joules(self):
        count = ctypes.c_ulonglong()
        self.check(self.library.nvmlDeviceGetTotalEnergyConsumption(self.handle, ctypes.byref(count)))
        return count.value / 1e3


def joules_of_run(read, work, seconds=SECONDS, clock=time.perf_counter):
    """Joules of one `work`, which returns when the GPU is done. `read` gives the counter."""
    runs, began, first, last, counted = 0, None, None, read(), 0
    while True:
        work()
        now = read()
        moved, last = now != last, now
        if began is None:
            if moved:
                began, first = clock(), now
            continue
        runs += 1
        if moved:
            counted, total = runs, now - first
        if clock() - began >= seconds and counted:
            return total / counted
