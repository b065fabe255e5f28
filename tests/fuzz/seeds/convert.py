#!/usr/bin/python3
"""Writes recorded traffic in the form that the fuzz targets read: see README.md.

convert.py xen REPORT         what `cargo xtask xen` printed for xen.sh
convert.py trace FILE         what `vgpu-stub vfio-user --trace access` logged
convert.py vfio-user FILE     what `record` wrote between QEMU and the server
convert.py control FILE...    what `record` wrote between `vgpu-stub ctl` and the server
"""

import pathlib
import re
import struct
import sys

SEEDS = pathlib.Path(__file__).parent
# Calls of the target `xenstore` by the type of the request that they make; a transaction is its last one.
XENSTORE_CALLS = {2: 0, 1: 3, 11: 4, 13: 5, 4: 6, 17: 7, 6: 9}


def write(target, name, data):
    folder = SEEDS / target
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)


def pieces(records, longest, most, first=b""):
    """Joins records to at most `most` different pieces of at most `longest` bytes, each after `first`."""
    found, piece = [], first
    for record in [*records, None]:
        if record is None or len(piece) + len(record) > longest:
            if piece not in found:
                found.append(piece)
            piece = first
        piece += record or b""
    return found[:: max(1, len(found) // most)][:most]


def accesses(lines):
    """(space, reads, offset, size, value) of each line of a trace."""
    pattern = re.compile(r"(config|bar0)_(read|write) (?:addr|offset) (\w+) size (\d+) value (\w+)")
    for line in lines:
        if match := pattern.search(line):
            space, kind, offset, size, value = match.groups()
            yield space, kind == "read", int(offset, 16), int(size), int(value, 16)


def trace(name, lines):
    config, bar0, ioreq = [], [], []
    decoded = 0
    for space, reads, offset, size, value in accesses(lines):
        if size > 8:
            continue
        log = size.bit_length() - 1
        if space == "config":
            data = value.to_bytes(8, "little")[:size]
            config.append(struct.pack("<BHB", 5, offset, size) if reads else bytes([0, offset, size]) + data)
        elif reads:
            bar0.append(struct.pack("<BH", log << 3 | 1, offset))
        else:
            bar0.append(struct.pack("<BHQ", log << 3, offset, value))
        # vCPU 0, slot 0x18; then nobody interferes as it is taken, mapped and answered.
        where = struct.pack("<BB", 2, offset) if space == "config" else struct.pack("<BH", 1, offset)
        maps = 0
        if space == "config" and not reads and offset == 4:
            maps = abs((value >> 1 & 1) - decoded)
            decoded = value >> 1 & 1
        ioreq.append(bytes([0]) + where + struct.pack("<BQB", log << 2 | 3, value, 0x20 * reads) + bytes(2 + maps))
    for target, records, longest in [("config", config, 96), ("bar0", bar0, 96), ("ioreq", ioreq, 512)]:
        first = b"" if target == "ioreq" else b"\0"
        for index, piece in enumerate(pieces(records, longest, 8, first)):
            write(target, f"{name}-{index}", piece)


def recorded(lines):
    """(from the client, descriptors, bytes) of each line that `record` wrote."""
    for line in lines:
        mark, files, data = line.split()
        yield mark == ">", int(files), bytes.fromhex(data)


def vfio_user(lines):
    parts = [bytes([files]) + struct.pack("<H", len(data)) + data for ours, files, data in recorded(lines) if ours]
    for index, piece in enumerate(pieces(parts[1:], 2000, 8, b"\0" + parts[0])):
        write("vfio-user", f"qemu-{index}", piece)


def control(files):
    everything = b""
    for file in files:
        lines = file.read_text().splitlines()
        said = b"".join(data for ours, _, data in recorded(lines) if ours)
        seed = struct.pack("<BH", 0, len(said)) + said + b"\7"
        everything += seed
        write("control", file.stem.removeprefix("control-"), seed)
    write("control", "all", everything)


def xenstore(lines):
    calls, answers, over = [], b"", False
    for ours, _, data in recorded(lines):
        if not ours:
            answers += data
        elif not over:
            call = XENSTORE_CALLS.get(struct.unpack_from("<I", data)[0])
            over = call in (None, 9) or len(calls) == 14
            calls += [call] if call is not None else []
    write("xenstore", "start", bytes([len(calls), *calls, 0]) + answers[:4000])


def xen(lines):
    parts = {}
    for line in lines:
        if line.startswith("FILE "):
            part = parts.setdefault(line.split()[1], [])
        elif parts:
            part.append(line)
    trace("xen", parts["trace.txt"])
    xenstore(parts["xenstore.txt"])
    kept = bytes.fromhex(parts["kept"][0])
    write("kept", "booted", b"\0" + kept)
    write("state", "booted", b"\0\0" + kept[48:])


kind, *files = sys.argv[1:]
files = [pathlib.Path(file) for file in files]
if kind == "control":
    control(files)
else:
    lines = files[0].read_text().splitlines()
    {"xen": xen, "trace": lambda lines: trace("qemu", lines), "vfio-user": vfio_user}[kind](lines)
