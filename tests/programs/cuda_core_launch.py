"""cuda-core loads PTX, launches its kernel, and copies memory there and back.

Without NVRTC and nvJitLink, which are NVIDIA's: the PTX is there already. On an engine that calculates, the sums are checked too.
"""
import pathlib
import sys

import numpy as np
from cuda.bindings import driver
from cuda.core import Device, LaunchConfig, ObjectCode, launch

PTX = pathlib.Path(__file__).parents[1] / "corpus" / "clang" / "kernels.ptx"
COUNT = 4096


def buffer(device, stream, values):
    there = device.allocate(values.nbytes, stream=stream)
    check(driver.cuMemcpyHtoDAsync(int(there.handle), values.ctypes.data, values.nbytes, int(stream.handle)))
    stream.sync()
    return there


def check(result):
    if int(result[0]):
        sys.exit(f"the driver says {result[0]!r}")


def values(there, stream):
    back = np.zeros(COUNT, dtype=np.float32)
    check(driver.cuMemcpyDtoHAsync(back.ctypes.data, int(there.handle), back.nbytes, int(stream.handle)))
    stream.sync()
    return back


device = Device()
device.set_current()
stream = device.create_stream()
a = np.arange(COUNT, dtype=np.float32)
b = a / 2
x, y = buffer(device, stream, a), buffer(device, stream, b)
z = buffer(device, stream, np.zeros_like(a))
kernel = ObjectCode.from_ptx(PTX.read_bytes()).get_kernel("vadd")
launch(stream, LaunchConfig(grid=COUNT // 128, block=128), kernel, x, y, z, np.uint32(COUNT))
stream.sync()
if not (values(x, stream) == a).all():
    sys.exit("memory is not what was copied there")
calculates = device.name != "vgpu null engine"
if calculates and not (values(z, stream) == a + b).all():
    sys.exit("the sums are wrong")
what = f"{COUNT} sums are right" if calculates else "nothing was calculated"
print(f"cuda-core on {device.name}: a kernel was launched, memory came back; {what}")
