"""Two small nets for tinygrad, with weights and data that are the same on every device."""
import math
import random

from tinygrad import Tensor, dtypes

BATCH, SIDE, CLASSES = 8, 8, 4
RATE = 0.3


def pictures():
    """Noise with a line across, down, or along a diagonal: which one is the class."""
    chance = random.Random(1)
    pixels, classes = [], []
    for n in range(BATCH):
        line, at = n % CLASSES, 2 + n // CLASSES
        picture = [chance.gauss(0, 0.1) for _ in range(SIDE * SIDE)]
        for k in range(SIDE):
            row, column = [(at, k), (k, at), (k, k), (k, SIDE - 1 - k)][line]
            picture[row * SIDE + column] += 1
        pixels += picture
        classes.append(line)
    return pixels, classes


def convnet(w, x):
    h = x.conv2d(w["conv1"], padding=1).relu().max_pool2d()
    h = h.conv2d(w["conv2"], padding=1).relu().max_pool2d()
    return h.flatten(1).matmul(w["out"])


def mlp(w, x):
    return (x.flatten(1).matmul(w["in"]) + w["bias"]).relu().matmul(w["out"])


NETS = {
    "convnet": (convnet, {"conv1": (4, 1, 3, 3), "conv2": (8, 4, 3, 3), "out": (8 * (SIDE // 4) ** 2, CLASSES)}),
    "mlp": (mlp, {"in": (SIDE * SIDE, 32), "bias": (32,), "out": (32, CLASSES)}),
}


def first_weights(net):
    """Lists of numbers, by name."""
    chance = random.Random(2)
    weights = {}
    for name, shape in NETS[net][1].items():
        inputs = math.prod(shape[1:]) if len(shape) == 4 else shape[0]
        scale = math.sqrt(3 / inputs)
        weights[name] = [chance.uniform(-scale, scale) for _ in range(math.prod(shape))]
    return weights


class Net:
    """A net on a device."""

    def __init__(self, net, device, dtype=dtypes.float32):
        self.forward, self.shapes = NETS[net]
        self.device, self.dtype = device, dtype
        pixels, classes = pictures()
        self.x = Tensor(pixels, device=device, dtype=dtype).reshape(BATCH, 1, SIDE, SIDE).contiguous().realize()
        self.y = Tensor(classes, device=device, dtype=dtypes.int32).realize()
        values = first_weights(net)
        self.weights = {name: self.tensor(name, values[name]) for name in self.shapes}

    def tensor(self, name, values):
        return Tensor(values, device=self.device, dtype=self.dtype).reshape(self.shapes[name]).contiguous().realize()

    def set(self, values):
        for name, weight in self.weights.items():
            weight.assign(self.tensor(name, values[name])).realize()

    def loss(self):
        return self.forward(self.weights, self.x).sparse_categorical_crossentropy(self.y)
