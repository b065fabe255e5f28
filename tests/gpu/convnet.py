"""Trains a small convolutional net with tinygrad, and prints its losses and the time of a step as JSON.

The weights and the data are the same at each run, so the losses are those of `expected.json`, which tinygrad's own CPU
back end gave (DEV=CPU python3 convnet.py).
"""
import json
import random
import time

from tinygrad import Context, Device, Tensor, TinyJit, nn
from tinygrad.nn.optim import SGD

STEPS = 30
BATCH = 32


def values(generator, *shape, scale=1.0):
    count = 1
    for side in shape:
        count *= side
    return Tensor([generator.uniform(-scale, scale) for _ in range(count)]).reshape(*shape).contiguous().realize()


class Net:
    def __init__(self, generator):
        self.first = values(generator, 8, 1, 3, 3, scale=0.5)
        self.second = values(generator, 16, 8, 3, 3, scale=0.2)
        self.last = values(generator, 400, 10, scale=0.1)

    def __call__(self, images):
        hidden = images.conv2d(self.first).relu().max_pool2d((2, 2))
        hidden = hidden.conv2d(self.second).relu().max_pool2d((2, 2))
        return hidden.flatten(1).dot(self.last)


def main():
    generator = random.Random(7)
    net = Net(generator)
    images = values(generator, BATCH, 1, 28, 28)
    labels = Tensor([generator.randrange(10) for _ in range(BATCH)]).realize()
    optimizer = SGD(nn.state.get_parameters(net), lr=0.05)

    @TinyJit
    @Context(TRAINING=1)
    def step():
        optimizer.zero_grad()
        loss = net(images).sparse_categorical_crossentropy(labels)
        loss.backward()
        optimizer.step()
        return loss.realize()

    losses, times = [], []
    for _ in range(STEPS):
        start = time.perf_counter()
        losses.append(step().item())
        times.append(time.perf_counter() - start)
    # The first steps compile, and record what the others repeat.
    steady = sorted(times[5:])
    print(json.dumps({"device": Device.DEFAULT, "losses": losses, "ms_per_step": 1e3 * steady[len(steady) // 2]}))


main()
