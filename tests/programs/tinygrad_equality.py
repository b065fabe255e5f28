"""Holds each step of a training on CUDA against the same step of tinygrad's CPU backend.

Both get equal weights before each step. Its loss and each weight's gradient must be those of the CPU backend to 1e-5: the
largest difference, relative to the largest value. Another net on CUDA trains freely, and its losses are shown beside.

usage: tinygrad_equality.py NET STEPS
"""
import sys

from tinygrad import TinyJit

from tinygrad_nets import Net

BOUND = 1e-5
# Slow enough that no class is certain after 100 steps: where one is, its gradient is 1 - p, of which 32 bits leave few digits.
RATE = 0.03


def make(net, device):
    """Loss and gradients of a step, as lists, by TinyJit: captured once, and replayed with other weights."""
    model = Net(net, device)
    names = list(model.weights)

    @TinyJit
    def gradients():
        loss = model.loss()
        return tuple(t.contiguous().realize() for t in [loss] + loss.gradient(*model.weights.values()))

    def step():
        values = [t.flatten().tolist() for t in gradients()]
        return values[0][0], dict(zip(names, values[1:]))

    return model, step


def learned(weights, gradients):
    return {name: [w - RATE * g for w, g in zip(weights[name], gradients[name])] for name in weights}


def difference(one, other):
    largest = max(abs(value) for value in other)
    return max(abs(a - b) for a, b in zip(one, other)) / (largest or 1)


def numbers(model):
    return {name: weight.flatten().tolist() for name, weight in model.weights.items()}


def main(net, steps):
    right, right_step = make(net, "CPU")
    held, held_step = make(net, "CUDA")
    free, free_step = make(net, "CUDA")
    worst = 0.0
    print(f"{net}: step, CPU loss, CUDA loss from equal weights, CUDA loss of the free run, largest difference")
    for step in range(1, steps + 1):
        weights = numbers(right)
        held.set(weights)
        loss, gradients = right_step()
        held_loss, held_gradients = held_step()
        free_loss, free_gradients = free_step()
        differences = {"loss": abs(held_loss - loss) / abs(loss)}
        for name in gradients:
            differences[name] = difference(held_gradients[name], gradients[name])
        name, now = max(differences.items(), key=lambda item: item[1])
        worst = max(worst, now)
        if step <= 3 or step % 10 == 0 or step == steps:
            print(f"{step:5} {loss:.7f} {held_loss:.7f} {free_loss:.7f} {now:.1e}", flush=True)
        if not now <= BOUND:
            sys.exit(f"step {step}: {name} differs by {now:.2e}, more than {BOUND:.0e}")
        right.set(learned(weights, gradients))
        free.set(learned(numbers(free), free_gradients))
    print(f"{net}: {steps} steps are equal to {BOUND:.0e}; the largest difference is {worst:.1e}")


main(sys.argv[1], int(sys.argv[2]))
