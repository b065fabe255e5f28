#!/usr/bin/env python3
"""What vgpu does on the GPU of this machine, in one run of at most five minutes: see README.md.

It needs the built programs, Python, and tinygrad on PYTHONPATH; it writes results/NAME.json, NAME.md, and the digests of all
launches to NAME.digests, whatever fails.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
# Losses differ from those of tinygrad's CPU back end by the order of sums.
TOLERANCE = 1e-4
TOTAL = 290


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="nvidia", choices=["nvidia", "cpu", "null"])
    parser.add_argument("--programs", type=pathlib.Path, default=CHECKOUT / "target" / "release", help="folder of vgpu")
    parser.add_argument("--library", type=pathlib.Path, default=CHECKOUT / "target" / "cuda", help="folder of libcuda.so.1")
    parser.add_argument("--golden", type=pathlib.Path, default=CHECKOUT / "target" / "golden", help="folder of launches")
    parser.add_argument("--results", type=pathlib.Path, default=HERE / "results")
    return parser.parse_args()


def output(*command):
    """What a command says, or why it says nothing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        return (done.stdout if done.returncode == 0 else done.stderr or f"exit code {done.returncode}").strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)


def read(path):
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError as error:
        return str(error)


def machine():
    cpu = [line.split(":", 1)[1].strip() for line in read("/proc/cpuinfo").splitlines() if line.startswith("model name")]
    query = "--query-gpu=name,driver_version,memory.total,pci.bus_id,compute_cap"
    try:
        import tinygrad  # noqa: F401
        from importlib.metadata import version
        tinygrad = version("tinygrad")
    except ImportError as error:
        tinygrad = str(error)
    return {
        "card": output("nvidia-smi", query, "--format=csv,noheader"),
        "driver": read("/proc/driver/nvidia/version"),
        "nodes": sorted(str(node) for node in pathlib.Path("/dev").glob("nvidia*")),
        "kernel": platform.release(),
        "/dev/kvm": pathlib.Path("/dev/kvm").exists(),
        "security modules": read("/sys/kernel/security/lsm"),
        "hmm": read("/sys/module/nvidia_uvm/parameters/uvm_disable_hmm"),
        "processor": f"{len(cpu)} x {cpu[0] if cpu else '?'}",
        "commit": output("git", "-C", str(CHECKOUT), "rev-parse", "HEAD"),
        "python": platform.python_version(),
        "tinygrad": tinygrad,
    }


def steps(options):
    """Name, command, environment, and the most seconds of each step."""
    vgpu = [options.programs / "vgpu", "run", "--engine", options.engine, "--library", options.library, "--"]
    python, cost = [sys.executable], options.programs / "examples" / "call-cost"
    tinygrad = {"DEV": "CUDA:PTX"}
    gpu = options.engine == "nvidia"
    table = [("the engine alone", [options.programs / "examples" / "device"], {}, 30)] if gpu else []
    table += [
        ("vadd", [*vgpu, *python, HERE / "vadd.py"], {}, 30),
        ("call cost", [*vgpu, cost], {}, 40),
        ("convnet", [*vgpu, *python, HERE / "convnet.py"], tinygrad, 80),
        ("probes", [*vgpu, *python, HERE / "probes.py", 8], {}, 20),
        ("golden launches", [*vgpu, *python, HERE / "golden.py", options.golden, 60], {}, 75),
    ]
    if gpu:
        table += [
            ("probes, NVIDIA's libcuda", [*python, HERE / "probes.py", 32], {}, 30),
            ("golden launches, NVIDIA's libcuda", [*python, HERE / "golden.py", options.golden, 40], {}, 50),
            ("call cost, NVIDIA's libcuda", [cost], {}, 20),
            ("convnet, NVIDIA's libcuda", [*python, HERE / "convnet.py"], tinygrad, 40),
        ]
    return table


def run(command, environment, seconds):
    """Runs a step; its last line is JSON."""
    start = time.monotonic()
    try:
        done = subprocess.run(
            [str(word) for word in command], env={**os.environ, **environment}, capture_output=True, text=True, timeout=seconds
        )
        code, said, complaints = done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired as error:
        code, said = "no end", (error.stdout or b"").decode(errors="replace")
        complaints = (error.stderr or b"").decode(errors="replace")
    except OSError as error:
        code, said, complaints = str(error), "", ""
    try:
        result = json.loads(said.strip().splitlines()[-1])
    except (IndexError, ValueError):
        result = None
    digests = result.pop("digests", []) if result else []
    step = {"seconds": round(time.monotonic() - start, 2), "exit": code, "result": result, "stderr": complaints[-4000:]}
    return step, digests


def verdict(step, engine):
    """Whether a step did what it should; the null engine calculates nothing."""
    result = step["result"]
    if step["exit"] != 0 or result is None:
        return "failed"
    if engine == "null":
        return "ran"
    if result.get("wrong"):
        return "wrong"
    if "losses" in result:
        expected = json.loads((HERE / "expected.json").read_text())["losses"]
        step["worst"] = max(abs(loss / right - 1) for loss, right in zip(result["losses"], expected))
        close = len(result["losses"]) == len(expected) and step["worst"] <= TOLERANCE
        return "right" if close else "wrong"
    return "right" if "wrong" in result else "ran"


def figures(step):
    result = step["result"] or {}
    if "ns" in result:
        return ", ".join(f"{name} {ns / 1000:.2f} us" for name, ns in result["ns"].items())
    if "losses" in result:
        losses = result["losses"]
        return (
            f"loss {losses[0]:.4f} to {losses[-1]:.4f}, {result['ms_per_step']:.2f} ms a step, "
            f"worst relative difference {step.get('worst', float('nan')):.1e}"
        )
    lines = (step["stderr"] or "").strip().splitlines()
    if step["result"] is None:
        return lines[-1] if lines else "no output"
    return ", ".join(f"{key} {value}" for key, value in result.items() if key != "lists")


def page(report):
    lines = [f"# {report['engine']}: {report['machine']['card']}", "", f"{report['date']}, {report['seconds']} s in all", ""]
    lines += ["| step | | s | |", "|---|---|---|---|"]
    for name, step in report["steps"].items():
        lines.append(f"| {name} | {step['verdict']} | {step['seconds']} | {figures(step)} |")
    lines += ["", "| machine | |", "|---|---|"]
    lines += [f"| {name} | {str(value).replace(chr(10), '; ')} |" for name, value in report["machine"].items()]
    return "\n".join(lines) + "\n"


def main():
    options = arguments()
    start = time.monotonic()
    date = datetime.datetime.now(datetime.timezone.utc)
    report = {"date": date.strftime("%Y-%m-%d %H:%M UTC"), "engine": options.engine, "machine": machine(), "steps": {}}
    tables = {}
    for name, command, environment, seconds in steps(options):
        left = TOTAL - (time.monotonic() - start)
        step, digests = {"exit": "no time left", "result": None, "seconds": 0, "stderr": ""}, []
        if left > 1:
            step, digests = run(command, environment, min(seconds, left))
        tables[name] = digests
        step["verdict"] = verdict(step, options.engine)
        report["steps"][name] = step
        print(f"{name}: {step['verdict']}, {step['seconds']} s: {figures(step)}", flush=True)
    report["seconds"] = round(time.monotonic() - start, 1)
    options.results.mkdir(parents=True, exist_ok=True)
    base = options.results / f"{date:%Y-%m-%d-%H%M}-{options.engine}"
    base.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    base.with_suffix(".md").write_text(page(report))
    lines = [f"{name}: {line}" for name, digests in tables.items() for line in digests]
    if lines:
        base.with_suffix(".digests").write_text("\n".join(lines) + "\n")
    print(f"written: {base}.json, {base}.md")
    return any(step["verdict"] in ("failed", "wrong") for step in report["steps"].values())


sys.exit(main())
