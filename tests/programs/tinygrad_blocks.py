"""Trains the small MLP for as many steps as it is asked to, as often as it is; tells how many seconds each time took.

A loss is read in each step. Two such programs that are asked in turns run under the same conditions.

usage: tinygrad_blocks.py DEVICE ASKED TOLD     two named pipes: a number of steps, or 0 for the end, and seconds
"""
import sys
import time

from tinygrad import TinyJit
from tinygrad.helpers import Context
from tinygrad.nn import optim

from tinygrad_nets import RATE, Net

device, asked, told = sys.argv[1:]
net = Net("mlp", device)
optimizer = optim.SGD(list(net.weights.values()), lr=RATE)


@TinyJit
def step():
    optimizer.zero_grad()
    loss = net.loss().backward()
    optimizer.step()
    return loss.realize()


def read():
    with open(asked) as pipe:
        return int(pipe.read())


with Context(TRAINING=1):
    while steps := read():
        start = time.perf_counter()
        for _ in range(steps):
            step().item()
        seconds = time.perf_counter() - start
        with open(told, "w") as pipe:
            print(seconds, file=pipe)
