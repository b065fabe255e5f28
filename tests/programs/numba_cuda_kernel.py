"""numba-cuda compiles a kernel, links it and launches it. Its compiler, libNVVM, is NVIDIA's: see README.md.

The null engine calculates nothing, so nothing is compared there. The CPU engine refuses what NVIDIA's compilers make.
"""
import numpy as np
from numba import cuda


@cuda.jit
def double(values):
    index = cuda.grid(1)
    if index < values.size:
        values[index] *= 2


values = np.arange(1000, dtype=np.float32)
there = cuda.to_device(values)
double[8, 128](there)
cuda.synchronize()
back = there.copy_to_host()
name = cuda.get_current_device().name
done = "doubled" if (back == 2 * values).all() else "back as they were"
print(f"numba-cuda on {name!r}: a kernel was compiled, linked and launched; the values are {done}")
