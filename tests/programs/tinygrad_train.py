"""Trains the small convnet; prints a line of JSON for each step: its loss, and the seconds that it took.

usage: tinygrad_train.py DEVICE STEPS
"""
import json
import sys
import time

from tinygrad import TinyJit
from tinygrad.helpers import Context
from tinygrad.nn import optim

from tinygrad_nets import RATE, Net

device, steps = sys.argv[1], int(sys.argv[2])
net = Net("convnet", device)
optimizer = optim.SGD(list(net.weights.values()), lr=RATE)


@TinyJit
def step():
    optimizer.zero_grad()
    loss = net.loss().backward()
    optimizer.step()
    return loss.realize()


with Context(TRAINING=1):
    for _ in range(steps):
        start = time.perf_counter()
        loss = step().item()
        print(json.dumps({"loss": loss, "seconds": time.perf_counter() - start}), flush=True)
