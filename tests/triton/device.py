"""Arrays in device memory without PyTorch, by the driver API, as Triton's kernels take them."""
import ctypes

import numpy as np
import triton
from triton.backends.compiler import GPUTarget

cuda = ctypes.CDLL("libcuda.so.1")


def call(name, *arguments):
    code = getattr(cuda, name)(*arguments)
    if code:
        raise SystemExit(f"{name}: CUresult {code}")


def start(capability=None):
    """Makes the device's context current in this thread; kernels are then compiled for a capability, such as 80 for
    8.0, or for that of the device."""
    active = triton.runtime.driver.active
    active.get_current_device()
    if capability:
        target = GPUTarget("cuda", capability, 32)
        active.get_current_target = lambda: target
    return active.get_current_target().arch


class Array:
    """An array of numpy's in device memory."""

    def __init__(self, values):
        self.shape, self.numpy = values.shape, values.dtype
        self.dtype = values.dtype.name
        self.pointer = ctypes.c_uint64()
        values = np.ascontiguousarray(values)
        call("cuMemAlloc_v2", ctypes.byref(self.pointer), ctypes.c_size_t(values.nbytes))
        call("cuMemcpyHtoD_v2", self.pointer, values.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(values.nbytes))

    def data_ptr(self):
        return self.pointer.value

    def values(self):
        values = np.empty(self.shape, self.numpy)
        call("cuMemcpyDtoH_v2", values.ctypes.data_as(ctypes.c_void_p), self.pointer, ctypes.c_size_t(values.nbytes))
        return values


def forms(compiled, *names):
    """How often each of these begins an instruction of a kernel's PTX."""
    words = [line.split() for line in compiled.asm["ptx"].splitlines()]
    opcodes = [line[1] if line[0].startswith("@") else line[0] for line in words if len(line) > 1]
    counts = {name: sum(opcode.startswith(name) for opcode in opcodes) for name in names}
    return ", ".join(f"{count} {name}" for name, count in counts.items())
