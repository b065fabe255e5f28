"""Asks the driver what the design of the product leaves open, and prints the answers as JSON; a number is a CUresult.

probes.py [CONTEXTS]: whether memory of a file that is shared, as a guest's is, can be registered and written by a stream; whether
addresses can be reserved where they are asked for; and what a process with a context of its own costs, up to so many at once.
"""
import ctypes
import json
import mmap
import os
import subprocess
import sys
import time

PAGE_LOCKED_BYTES = 64 << 20
# Bases that a program might want, 64 GiB to 64 TiB, and how much of each.
BASES = [(1 << 36) * number for number in (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987)] + [1 << n for n in range(42, 47)]
RESERVED = 1 << 40

cuda = ctypes.CDLL("libcuda.so.1")


def context():
    handle = ctypes.c_void_p()
    for name, arguments in [
        ("cuInit", (0,)),
        ("cuDevicePrimaryCtxRetain", (ctypes.byref(handle), 0)),
        ("cuCtxSetCurrent", (handle,)),
    ]:
        code = getattr(cuda, name)(*arguments)
        if code:
            raise SystemExit(f"{name}: CUresult {code}")


def shared_memory():
    """A file's shared memory: registered, written by a stream, seen by the program, and given back."""
    file = os.memfd_create("guest")
    os.ftruncate(file, PAGE_LOCKED_BYTES)
    memory = mmap.mmap(file, PAGE_LOCKED_BYTES)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    start = time.perf_counter()
    registered = cuda.cuMemHostRegister_v2(ctypes.c_void_p(address), ctypes.c_size_t(PAGE_LOCKED_BYTES), 2)
    answer = {"cuMemHostRegister": registered, "ms": round(1e3 * (time.perf_counter() - start), 2)}
    if registered:
        return answer
    device = ctypes.c_uint64()
    answer["cuMemHostGetDevicePointer"] = cuda.cuMemHostGetDevicePointer_v2(ctypes.byref(device), ctypes.c_void_p(address), 0)
    answer["same address"] = device.value == address
    written = cuda.cuStreamWriteValue64_v2(None, device, ctypes.c_uint64(0x1234_5678_9ABC), 0)
    answer["cuStreamWriteValue64"] = written
    answer["cuCtxSynchronize"] = cuda.cuCtxSynchronize()
    if not written:
        answer["seen"] = int.from_bytes(os.pread(file, 8, 0), "little") == 0x1234_5678_9ABC
    answer["cuMemHostUnregister"] = cuda.cuMemHostUnregister(ctypes.c_void_p(address))
    return answer


def addresses():
    """How many of the bases a reservation of a tebibyte is given at, and what the others give."""
    given, elsewhere, codes = 0, 0, {}
    for base in BASES:
        pointer = ctypes.c_uint64()
        code = cuda.cuMemAddressReserve(
            ctypes.byref(pointer), ctypes.c_size_t(RESERVED), ctypes.c_size_t(0), ctypes.c_uint64(base), ctypes.c_ulonglong(0)
        )
        if code:
            codes[code] = codes.get(code, 0) + 1
            continue
        given += pointer.value == base
        elsewhere += pointer.value != base
        cuda.cuMemAddressFree(pointer, ctypes.c_size_t(RESERVED))
    return {"asked": len(BASES), "given": given, "elsewhere": elsewhere, "refused": codes}


def free_memory():
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    code = cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
    return free.value if not code else 0


def contexts(most):
    """The time that a process takes to have a context, and the device memory that one costs, with more and more of them."""
    answers, processes = [], []
    try:
        for count in range(1, most + 1):
            before, start = free_memory(), time.perf_counter()
            process = subprocess.Popen([sys.executable, __file__, "--hold"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            processes.append(process)
            if not process.stdout.readline():
                answers.append({"contexts": count, "failed": True})
                break
            took = time.perf_counter() - start
            answers.append({"contexts": count, "ms": round(1e3 * took, 1), "MiB": (before - free_memory()) >> 20})
    finally:
        for process in processes:
            process.communicate()
    return [answers[0], answers[-1]]


if sys.argv[1:] == ["--hold"]:
    context()
    print("there", flush=True)
    sys.stdin.read()
else:
    context()
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    answers = {"shared memory": shared_memory(), "addresses": addresses(), "contexts": contexts(most)}
    print(json.dumps(answers))
