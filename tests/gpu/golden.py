"""Does the launches of a folder again by the driver API, and holds what they give against what is written there.

golden.py FOLDER [SECONDS]: FOLDER is what the tests of vgpu-simt wrote with VGPU_GOLDEN (see README.md). Some processes share
the work, each with a part of all kinds, so that a run that is cut short has seen some of each; one that a launch has ended is
followed by another. Prints JSON: how many launches gave the same bits, which did not, by how many units of the last place, and
the digest of what each gave.
"""
import collections
import concurrent.futures
import ctypes
import hashlib
import json
import pathlib
import struct
import subprocess
import sys
import time

# Processes at a time.
PROCESSES = 4
# What may differ by the last places: the ISA states a bound for these, or leaves the order of sums open.
INEXACT = (".approx", "div.full", "mma.sync", "atom.add.f", "red.add.f", "atom.global.add.f", "atom.shared.add.f")
# Numbers of a buffer: unsigned word of struct, bits of the exponent and behind the point.
FLOATS = {"f32": ("I", 8, 23), "f64": ("Q", 11, 52), "f16": ("H", 5, 10)}
MAX_DYNAMIC_SHARED = 8
DEFAULT_SHARED = 48 << 10

Case = collections.namedtuple("Case", "name text kernel shape parameters buffers")


def cases(folder):
    """All launches, each once, in an order that mixes them."""
    found = {}
    for path in sorted(pathlib.Path(folder).glob("*.cases")):
        data, at = path.read_bytes(), 0

        def take(size):
            nonlocal at
            at += size
            return data[at - size : at]

        def part():
            return take(*struct.unpack("<I", take(4)))

        while at < len(data):
            start = at
            name, text, kernel = part().decode(), part(), part().decode()
            shape, parameters = struct.unpack("<7I", take(28)), part()
            (count,) = struct.unpack("<I", take(4))
            buffers = [(*struct.unpack("<Q", take(8)), part(), part()) for _ in range(count)]
            key = hashlib.sha256(data[start:at]).digest()
            found[key] = Case(name, text, kernel, shape, parameters, buffers)
    return [case for _, case in sorted(found.items())]


class Refused(Exception):
    """The driver says no."""


class Device:
    def __init__(self):
        self.cuda = ctypes.CDLL("libcuda.so.1")
        context = ctypes.c_void_p()
        self.call("cuInit", 0)
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0)
        self.call("cuCtxSetCurrent", context)

    def call(self, name, *arguments):
        code = getattr(self.cuda, name)(*arguments)
        if code:
            raise Refused(f"{name}: {code}")

    def launch(self, case):
        """What is in the buffers afterwards."""
        module, function = ctypes.c_void_p(), ctypes.c_void_p()
        self.call("cuModuleLoadData", ctypes.byref(module), case.text + b"\0")
        try:
            self.call("cuModuleGetFunction", ctypes.byref(function), module, case.kernel.encode())
            return self.with_buffers(case, function)
        finally:
            self.cuda.cuModuleUnload(module)

    def with_buffers(self, case, function):
        parameters = bytearray(case.parameters)
        places = []
        try:
            for address, before, _ in case.buffers:
                place = ctypes.c_uint64()
                self.call("cuMemAlloc_v2", ctypes.byref(place), ctypes.c_size_t(max(len(before), 1)))
                places.append(place)
                if before:
                    self.call("cuMemcpyHtoD_v2", place, before, ctypes.c_size_t(len(before)))
                for at in range(0, len(parameters) - 7, 8):
                    if case.parameters[at : at + 8] == struct.pack("<Q", address):
                        parameters[at : at + 8] = struct.pack("<Q", place.value)
            if case.shape[6] > DEFAULT_SHARED:
                self.call("cuFuncSetAttribute", function, MAX_DYNAMIC_SHARED, case.shape[6])
            # All parameters as one buffer: CU_LAUNCH_PARAM_BUFFER_POINTER, _SIZE, _END.
            buffer, size = ctypes.create_string_buffer(bytes(parameters), max(len(parameters), 1)), ctypes.c_size_t(len(parameters))
            extra = (ctypes.c_void_p * 5)(1, ctypes.addressof(buffer), 2, ctypes.addressof(size), 0)
            self.call("cuLaunchKernel", function, *case.shape, None, None, extra if parameters else None)
            self.call("cuCtxSynchronize")
            results = []
            for place, (_, before, _) in zip(places, case.buffers):
                result = ctypes.create_string_buffer(max(len(before), 1))
                if before:
                    self.call("cuMemcpyDtoH_v2", result, place, ctypes.c_size_t(len(before)))
                results.append(result.raw[: len(before)])
            return results
        finally:
            for place in places:
                self.cuda.cuMemFree_v2(place)


def distance(got, expected):
    """How two buffers differ: in nothing but bits of NaNs, or by how many units of the last place, by the type that is nearest."""
    best = None
    for kind, (letter, exponent, fraction) in FLOATS.items():
        size = struct.calcsize(letter)
        if len(got) % size:
            continue
        infinity, sign = ((1 << exponent) - 1) << fraction, 1 << (exponent + fraction)
        most = 0
        for pair in zip(struct.iter_unpack(f"<{letter}", got), struct.iter_unpack(f"<{letter}", expected)):
            (one,), (other,) = pair
            if one == other or one & ~sign > infinity and other & ~sign > infinity:
                continue
            if one & ~sign > infinity or other & ~sign > infinity:
                most = None
                break
            one, other = (-(word & ~sign) if word & sign else word for word in (one, other))
            most = max(most, abs(one - other))
        if most is not None and (best is None or most < best[0]):
            best = (most, kind)
    return best


def verdict(case, results):
    """A launch's verdict, and by how much it differs."""
    worst = None
    for got, (_, before, after) in zip(results, case.buffers):
        expected = after or before
        if got != expected:
            how = distance(got, expected)
            if how is None:
                return "differs", None
            worst = max(worst or how, how)
    if worst is None:
        return "equal", None
    if worst[0] == 0:
        return "equal but for NaNs", None
    return "differs", f"{worst[0]} {worst[1]}"


def work(folder, first, step):
    """Every `step`th launch from `first` on: a line of JSON each, as soon as it is done."""
    device = Device()
    for number, case in list(enumerate(cases(folder)))[first::step]:
        print(json.dumps({"begun": number}), flush=True)
        try:
            results = device.launch(case)
        except Refused as why:
            print(json.dumps({"number": number, "verdict": "refused", "by": str(why)}), flush=True)
            # A launch that fails takes its context with it.
            if not str(why).startswith("cuModule"):
                return
            continue
        said, by = verdict(case, results)
        digest = hashlib.sha256(b"".join(results)).hexdigest()[:16]
        print(json.dumps({"number": number, "verdict": said, "by": by, "digest": digest}), flush=True)


def share(folder, part, count, until):
    """All that one of PROCESSES has to do, by one process after the other."""
    done, first = {}, part
    while first < count and time.monotonic() < until:
        command = [sys.executable, __file__, "--work", folder, str(first), str(PROCESSES)]
        left = max(until - time.monotonic(), 1)
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=left).stdout
        except subprocess.TimeoutExpired as error:
            said = (error.stdout or b"").decode(errors="replace")
        begun = None
        for line in said.splitlines():
            try:
                result = json.loads(line)
            except ValueError:
                # What a kernel prints.
                continue
            begun = result.get("begun", begun)
            if "number" in result:
                done[result["number"]] = result
        if begun is None:
            break
        if begun not in done and time.monotonic() < until:
            done[begun] = {"number": begun, "verdict": "refused", "by": "the process ended"}
        first = begun + PROCESSES
    return done


def main():
    folder, seconds = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 60.0
    until, everything, done = time.monotonic() + seconds, cases(folder), {}
    with concurrent.futures.ThreadPoolExecutor(PROCESSES) as pool:
        for part in pool.map(lambda part: share(folder, part, len(everything), until), range(PROCESSES)):
            done.update(part)
    counts, wrong, approximate, refused, digests = collections.Counter(), [], {}, [], []
    for number, result in sorted(done.items()):
        case = everything[number]
        counts[result["verdict"]] += 1
        digests.append(f"{result.get('digest', '-'):16} {case.name}")
        if result["verdict"] == "refused":
            refused.append(f"{case.name}: {result['by']}")
        elif result["verdict"] == "differs" and any(word in case.text.decode() for word in INEXACT):
            approximate[case.name] = result["by"]
        elif result["verdict"] == "differs":
            wrong.append(f"{case.name}: {result['by']}")
    report = {
        "launches": len(everything),
        "done": len(done),
        **{said.replace(" ", "_"): counts[said] for said in ("equal", "equal but for NaNs")},
        "approximate": len(approximate),
        "refused": len(refused),
        "wrong": len(wrong),
    }
    print(json.dumps({**report, "lists": {"wrong": wrong, "approximate": approximate, "refused": refused}, "digests": sorted(digests)}))


if sys.argv[1] == "--work":
    work(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
else:
    main()
