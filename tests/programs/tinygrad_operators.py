"""Holds a list of tinygrad's operators on CUDA against the same on its CPU backend, in a few seconds.

Integers and what only moves are to be equal; floats to 1e-5 of the largest value, as the backends round exp and the like each in
their own way. tinygrad's own tests, of which there are many more, are in its repository: cargo xtask cuda tinygrad-ops.

usage: tinygrad_operators.py
"""
import math
import random
import sys

from tinygrad import Tensor, dtypes

BOUND = 1e-5
ROWS, COLUMNS = 5, 12


def numbers(seed, low=-3.0, high=3.0):
    chance = random.Random(seed)
    return [chance.uniform(low, high) for _ in range(ROWS * COLUMNS)]


def floats(device, seed, low=-3.0, high=3.0, dtype=dtypes.float32):
    return Tensor(numbers(seed, low, high), device=device, dtype=dtype).reshape(ROWS, COLUMNS).realize()


def integers(device, seed, dtype=dtypes.int32, low=1, high=100):
    return Tensor([int(x) for x in numbers(seed, low, high)], device=device, dtype=dtype).reshape(ROWS, COLUMNS).realize()


# By name, what is calculated of tensors a and b of floats, p of positive ones, i and j of integers.
OPERATORS = {
    "arithmetic": lambda t: (t.a + t.b) * t.a - t.b / t.p,
    "comparisons": lambda t: (t.a < t.b).where(t.a, t.b * 2) + (t.a != t.b).float(),
    "powers": lambda t: t.p.pow(1.5) + t.p.sqrt() + t.p.rsqrt() + t.p.reciprocal(),
    "exponentials": lambda t: t.a.exp() + t.p.log() + t.a.exp2() + t.p.log2(),
    "waves": lambda t: t.a.sin() + t.b.cos(),
    "activations": lambda t: t.a.relu() + t.b.sigmoid() + t.a.tanh() + t.b.gelu() + t.a.silu(),
    "rounding": lambda t: t.a.floor() + t.b.ceil() * 8 + t.a.trunc() * 64 + t.b.round() * 512,
    "sums": lambda t: t.a.sum(0),
    "maxima": lambda t: t.a.max(1) + t.b.min(1),
    "means": lambda t: t.a.mean(1) + t.b.var(1) + t.a.std(1),
    "products": lambda t: t.p.prod(1),
    "running sums": lambda t: t.a.cumsum(1),
    "softmax": lambda t: t.a.softmax(1) + t.b.log_softmax(1),
    "places": lambda t: t.a.argmax(1) * 100 + t.b.argmin(1),
    "matrices": lambda t: t.a @ t.b.transpose(),
    "convolution": lambda t: t.a.reshape(1, 1, ROWS, COLUMNS).conv2d(t.b[:3, :3].reshape(1, 1, 3, 3), padding=1),
    "pooling": lambda t: t.a.reshape(1, 1, ROWS, COLUMNS).max_pool2d(2) + t.b.reshape(1, 1, ROWS, COLUMNS).avg_pool2d(2),
    "padding": lambda t: t.a.pad(((1, 2), (0, 3))).flip(0),
    "shrinking": lambda t: t.a[1:4, ::3].permute(1, 0).contiguous(),
    "joining": lambda t: t.a.cat(t.b, dim=1),
    "gathering": lambda t: t.a.gather(1, t.i % COLUMNS),
    "one of several": lambda t: (t.i % 4).one_hot(4),
    "integers": lambda t: t.i * t.j + t.i - t.j,
    "quotients": lambda t: t.i // t.j + t.i % t.j * 1000,
    "bits": lambda t: (t.i & t.j) + (t.i | t.j) * 2 + (t.i ^ t.j) * 4,
    "shifts": lambda t: (t.i << 3) + (t.j >> 2),
    "casts": lambda t: t.a.int() + t.i.float().int() + t.b.cast(dtypes.int8).int(),
    "halves": lambda t: (t.a.half() * 0.5).float(),
    "doubles": lambda t: (t.a.double() / t.p.double()).float(),
    "long integers": lambda t: t.i.cast(dtypes.int64) * 1_000_003 // t.j.cast(dtypes.int64),
    "bytes": lambda t: t.i.cast(dtypes.uint8) * t.j.cast(dtypes.uint8),
    "losses": lambda t: t.a.sparse_categorical_crossentropy(t.i[:, 0] % COLUMNS),
    "norms": lambda t: t.a.layernorm() + t.b.normalize(),
    "triangles": lambda t: t.a.tril() + t.b.triu(),
}


class Tensors:
    def __init__(self, device):
        self.a, self.b = floats(device, 1), floats(device, 2)
        self.p = floats(device, 3, 0.5, 4.0)
        self.i, self.j = integers(device, 4), integers(device, 5)


def flat(tensor):
    return tensor.flatten().tolist()


def main():
    on, right = Tensors("CUDA"), Tensors("CPU")
    wrong = []
    for name, operator in OPERATORS.items():
        got, expected = operator(on), operator(right)
        whole = not dtypes.is_float(expected.dtype)
        got, expected = flat(got), flat(expected)
        largest = max(abs(x) for x in expected) or 1
        bound = 0 if whole else BOUND * largest
        differences = [abs(x - y) for x, y in zip(got, expected)]
        if len(got) != len(expected) or not all(math.isfinite(d) and d <= bound for d in differences):
            wrong.append(f"{name}: differs by {max(differences, default=0):.2e}, {bound:.2e} at most")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(OPERATORS)} operators are those of tinygrad's CPU backend")


main()
