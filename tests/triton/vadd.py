"""Triton's vector add without PyTorch: memory by the driver API, the kernel by Triton's own driver."""
import ctypes
import random
import struct

import triton
import triton.language as tl

N = 98_432
BLOCK = 1024


@triton.jit
def add(x, y, out, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    tl.store(out + i, tl.load(x + i, mask=inside) + tl.load(y + i, mask=inside), mask=inside)


cuda = ctypes.CDLL("libcuda.so.1")


def call(name, *arguments):
    code = getattr(cuda, name)(*arguments)
    if code:
        raise SystemExit(f"{name}: CUresult {code}")


class Array:
    """Float32 values in device memory, as a Triton kernel takes them."""

    dtype = "float32"

    def __init__(self, values):
        self.bytes = ctypes.c_size_t(4 * len(values))
        self.pointer = ctypes.c_uint64()
        call("cuMemAlloc_v2", ctypes.byref(self.pointer), self.bytes)
        call("cuMemcpyHtoD_v2", self.pointer, struct.pack(f"{len(values)}f", *values), self.bytes)

    def data_ptr(self):
        return self.pointer.value

    def values(self):
        target = ctypes.create_string_buffer(self.bytes.value)
        call("cuMemcpyDtoH_v2", target, self.pointer, self.bytes)
        return struct.unpack(f"{self.bytes.value // 4}f", target.raw)


def main():
    # Makes the device's context current in this thread.
    triton.runtime.driver.active.get_current_device()
    generator = random.Random(1)
    # Multiples of 1/1024 below 1: their sums are exact.
    a, b = ([generator.randrange(1024) / 1024 for _ in range(N)] for _ in range(2))
    x, y, out = Array(a), Array(b), Array([0.0] * N)
    compiled = add[(triton.cdiv(N, BLOCK),)](x, y, out, N, BLOCK=BLOCK)
    wrong = sum(got != one + other for got, one, other in zip(out.values(), a, b))
    image = compiled.asm["cubin"]
    print(f"Triton {triton.__version__}: {N} sums, {wrong} wrong; the image begins with {image[:14]!r}")
    return 1 if wrong or not image.startswith(b"// vgpu image ") else 0


raise SystemExit(main())
