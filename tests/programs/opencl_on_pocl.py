"""The kernels of tests/corpus/opencl on pocl, as the interpreter's peer.

    pocl.py FOLDER KERNELS.cl

FOLDER is what the interpreter's benchmark wrote. Prints what it runs on, and then for each kernel the largest difference to
the interpreter's result, relative to the largest value. Then it reads names, one a line, measures each on one thread, and
answers with a line: the name, and the nanoseconds of processor time that a launch takes.
"""

import os
import pathlib
import sys
import time

os.environ["POCL_MAX_PTHREAD_COUNT"] = "1"
os.environ["PYOPENCL_NO_CACHE"] = "1"

import numpy
import pyopencl as cl

# For how long a kernel is launched again and again, in seconds.
LENGTH = 0.1


def main():
    folder, source = map(pathlib.Path, sys.argv[1:])
    platform = next(p for p in cl.get_platforms() if "Portable" in p.name)
    context = cl.Context(platform.get_devices())
    queue = cl.CommandQueue(context)
    program = cl.Program(context, source.read_text()).build(cache_dir=False)
    print(f"{platform.version}; {context.devices[0].name}", flush=True)
    launches = {}
    for line in (folder / "cases.txt").read_text().splitlines():
        name, kind, n, x, y, tx, ty = line.split()
        size, x, y, tx, ty = map(int, (n, x, y, tx, ty))
        flags = cl.mem_flags.READ_ONLY | cl.mem_flags.COPY_HOST_PTR
        read = lambda part, kind: numpy.fromfile(folder / f"{name}.{part}", kind)
        a, b = (cl.Buffer(context, flags, hostbuf=read(part, "float32")) for part in "ab")
        expected = read("out", kind)
        out = cl.Buffer(context, cl.mem_flags.COPY_HOST_PTR, hostbuf=numpy.zeros_like(expected))
        kernel = cl.Kernel(program, name)
        kernel.set_args(a, b, out, numpy.uint32(size))

        # A kernel does not keep its buffers alive.
        def launch(kernel=kernel, shape=((x * tx, y * ty), (tx, ty)), buffers=(a, b, out)):
            cl.enqueue_nd_range_kernel(queue, kernel, *shape)

        launch()
        got = numpy.empty_like(expected)
        cl.enqueue_copy(queue, got, out)
        queue.finish()
        wide = lambda values: values.astype("float64")
        largest = max(numpy.abs(wide(expected)).max(), 1e-30)
        print(name, numpy.abs(wide(got) - wide(expected)).max() / largest, flush=True)
        launches[name] = launch
    print("ready", flush=True)
    for line in sys.stdin:
        name = line.strip()
        print(name, measure(queue, launches[name]), flush=True)


def measure(queue, launch):
    """Nanoseconds of processor time of a launch: of all threads, as pocl executes in one of its own."""
    launch()
    queue.finish()
    count, start, before = 0, time.monotonic(), time.process_time_ns()
    while time.monotonic() - start < LENGTH:
        # Several at once, so that a launch's own cost on the host counts little.
        for _ in range(4):
            launch()
        queue.finish()
        count += 4
    return (time.process_time_ns() - before) / count


main()
