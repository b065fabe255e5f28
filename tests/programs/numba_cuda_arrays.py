"""numba-cuda finds the device, copies arrays there and back, and records events.

It compiles kernels by libNVVM, which is NVIDIA's and is not here: so there is no kernel in this.
"""
import sys

import numpy as np
from numba import cuda

values = np.arange(100_000, dtype=np.float32).reshape(100, 1000)
stream = cuda.stream()
start, end = cuda.event(), cuda.event()
start.record(stream)
there = cuda.to_device(values, stream=stream)
other = cuda.device_array_like(there)
other.copy_to_device(there, stream=stream)
back = other.copy_to_host(stream=stream)
end.record(stream)
end.synchronize()
if not (back == values).all():
    sys.exit("the array is not what was copied there")
pinned = cuda.pinned_array(values.shape, dtype=values.dtype)
pinned[:] = values
if not (cuda.to_device(pinned).copy_to_host() == values).all():
    sys.exit("the pinned array is not what was copied there")
if start.elapsed_time(end) < 0:
    sys.exit("time goes back")
name = cuda.get_current_device().name.decode()
print(f"numba-cuda on {name}: {values.nbytes} bytes went there, over and back")
