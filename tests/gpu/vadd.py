"""Adds two vectors by the driver API alone, and prints the device and how many sums are wrong as JSON."""
import ctypes
import json
import pathlib
import struct

PTX = pathlib.Path(__file__).parents[1] / "corpus" / "clang" / "kernels.ptx"
N = 1 << 16

cuda = ctypes.CDLL("libcuda.so.1")


def call(name, *arguments):
    code = getattr(cuda, name)(*arguments)
    if code:
        raise SystemExit(f"{name}: CUresult {code}")


def main():
    context, module, function = (ctypes.c_void_p() for _ in range(3))
    call("cuInit", 0)
    name = ctypes.create_string_buffer(256)
    call("cuDeviceGetName", name, 256, 0)
    version = ctypes.c_int()
    call("cuDriverGetVersion", ctypes.byref(version))
    call("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0)
    call("cuCtxSetCurrent", context)
    call("cuModuleLoadData", ctypes.byref(module), PTX.read_bytes() + b"\0")
    call("cuModuleGetFunction", ctypes.byref(function), module, b"vadd")
    a = [float(i) for i in range(N)]
    b = [0.5 * i for i in range(N)]
    pointers = [ctypes.c_uint64() for _ in range(3)]
    for pointer, values in zip(pointers, (a, b, [0.0] * N)):
        call("cuMemAlloc_v2", ctypes.byref(pointer), ctypes.c_size_t(4 * N))
        call("cuMemcpyHtoD_v2", pointer, struct.pack(f"{N}f", *values), ctypes.c_size_t(4 * N))
    arguments = [*pointers, ctypes.c_uint32(N)]
    addresses = (ctypes.c_void_p * 4)(*(ctypes.addressof(argument) for argument in arguments))
    call("cuLaunchKernel", function, N // 128, 1, 1, 128, 1, 1, 0, None, addresses, None)
    sums = ctypes.create_string_buffer(4 * N)
    call("cuMemcpyDtoH_v2", sums, pointers[2], ctypes.c_size_t(4 * N))
    wrong = sum(got != x + y for got, x, y in zip(struct.unpack(f"{N}f", sums.raw), a, b))
    print(json.dumps({"device": name.value.decode(), "cuda": version.value, "sums": N, "wrong": wrong}))


main()
