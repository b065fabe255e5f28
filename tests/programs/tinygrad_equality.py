"""Holds each step of a training on CUDA against the same step of tinygrad's CPU backend, and both against 64-bit floats.

All get equal weights before each step. Loss and each weight's gradient on CUDA must be those of the CPU backend to 1e-5, and
those of the CPU backend with 64-bit floats as well: the largest difference, relative to the largest value. Another net on CUDA
trains freely, and its losses are shown beside.

usage: tinygrad_equality.py NET STEPS [RATE]
"""
import sys

from tinygrad import TinyJit, dtypes

from tinygrad_nets import Net

BOUND = 1e-5
# Slow enough that no class is certain after 100 steps: where one is, its gradient is 1 - p, of which 32 bits leave few digits. At
# 0.3, the CPU backend's own gradients are then 2e-5 from those of 64 bits.
RATE = 0.03


def make(net, device, dtype=dtypes.float32):
    """Loss and gradients of a step, as lists, by TinyJit: captured once, and replayed with other weights."""
    model = Net(net, device, dtype)
    names = list(model.weights)

    @TinyJit
    def gradients():
        loss = model.loss()
        return tuple(t.contiguous().realize() for t in [loss] + loss.gradient(*model.weights.values()))

    def step():
        values = [t.flatten().tolist() for t in gradients()]
        return dict(zip(["loss"] + names, values))

    return model, step


def learned(weights, results, rate):
    return {name: [w - rate * g for w, g in zip(weights[name], results[name])] for name in weights}


def differences(results, right):
    """By name, the largest difference relative to the largest value."""

    def of(name):
        largest = max(abs(value) for value in right[name])
        return max(abs(a - b) for a, b in zip(results[name], right[name])) / (largest or 1)

    return {name: of(name) for name in right}


def numbers(model):
    return {name: weight.flatten().tolist() for name, weight in model.weights.items()}


def main(net, steps, rate=RATE):
    cpu, cpu_step = make(net, "CPU")
    exact, exact_step = make(net, "CPU", dtypes.float64)
    cuda, cuda_step = make(net, "CUDA")
    free, free_step = make(net, "CUDA")
    worst = dict.fromkeys(["CUDA to CPU", "CUDA to 64 bits", "CPU to 64 bits"], 0.0)
    print(f"{net}: step; loss on the CPU, on CUDA from equal weights, and of CUDA's free run; " + ", ".join(worst))
    for step in range(1, steps + 1):
        weights = numbers(cpu)
        cuda.set(weights)
        exact.set(weights)
        right, on_cuda, in_64_bits, freely = cpu_step(), cuda_step(), exact_step(), free_step()
        now = dict(zip(worst, [differences(on_cuda, right), differences(on_cuda, in_64_bits), differences(right, in_64_bits)]))
        largest = {pair: max(by_name.values()) for pair, by_name in now.items()}
        worst = {pair: max(worst[pair], largest[pair]) for pair in worst}
        if step <= 3 or step % 10 == 0 or step == steps:
            losses = [results["loss"][0] for results in (right, on_cuda, freely)]
            print(f"{step:5}", *(f"{loss:.7f}" for loss in losses), *(f"{value:.1e}" for value in largest.values()), flush=True)
        for pair in ["CUDA to CPU", "CUDA to 64 bits"]:
            if not largest[pair] <= BOUND:
                name = max(now[pair], key=now[pair].get)
                sys.exit(f"step {step}: {name} differs by {largest[pair]:.2e} ({pair}), more than {BOUND:.0e}")
        cpu.set(learned(weights, right, rate))
        free.set(learned(numbers(free), freely, rate))
    print(f"{net}: {steps} steps are equal to {BOUND:.0e}; largest differences:", ", ".join(f"{pair} {value:.1e}" for pair, value in worst.items()))


main(sys.argv[1], int(sys.argv[2]), *map(float, sys.argv[3:]))
