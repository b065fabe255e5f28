"""Trains the small MLP, and goes on; prints a line of JSON now and then: how many steps were made, and the loss of the last.

The loss of each of the first steps is read. After them the device is kept busy: a loss is read when many steps more were sent.

usage: tinygrad_go_on.py DEVICE STEPS FILE     until the file is there, and at least so many steps
"""
import json
import os
import sys

from tinygrad import TinyJit
from tinygrad.helpers import Context
from tinygrad.nn import optim

from tinygrad_nets import RATE, Net

# Steps that are sent before a loss is read: less than a ring has room for.
AT_ONCE = 40

device, steps, end = sys.argv[1], int(sys.argv[2]), sys.argv[3]
net = Net("mlp", device)
optimizer = optim.SGD(list(net.weights.values()), lr=RATE)


@TinyJit
def step():
    optimizer.zero_grad()
    loss = net.loss().backward()
    optimizer.step()
    return loss.realize()


def tell(made, loss):
    print(json.dumps({"step": made, "loss": loss.item()}), flush=True)


with Context(TRAINING=1):
    for made in range(1, steps + 1):
        tell(made, step())
    while not os.path.exists(end):
        for _ in range(AT_ONCE):
            loss = step()
        made += AT_ONCE
        tell(made, loss)
