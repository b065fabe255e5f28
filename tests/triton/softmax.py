"""A softmax of each row of a matrix, a row to a program, as in Triton's tutorial of fused softmax.

    softmax.py [CAPABILITY]     such as 80; otherwise that of the device
"""
import sys

import numpy as np
import triton
import triton.language as tl

import device

# Rows that fill no block, one that fills it, and one of more elements than a block has threads.
SHAPES = [(37, 781), (8, 1024), (5, 3000)]
# The greatest error, relative to the value: an exponent of up to 40 that is rounded to a float32, and sums.
BOUND = 1e-5


@triton.jit
def softmax(out, x, columns, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    column = tl.arange(0, BLOCK)
    inside = column < columns
    values = tl.load(x + row * columns + column, mask=inside, other=-float("inf"))
    values = tl.exp(values - tl.max(values, axis=0))
    tl.store(out + row * columns + column, values / tl.sum(values, axis=0), mask=inside)


def main():
    capability = device.start(int(sys.argv[1]) if len(sys.argv) > 1 else None)
    generator = np.random.default_rng(2)
    failed = 0
    for rows, columns in SHAPES:
        values = (generator.standard_normal((rows, columns)) * 5).astype(np.float32)
        x, out = device.Array(values), device.Array(np.zeros_like(values))
        compiled = softmax[(rows,)](out, x, columns, BLOCK=triton.next_power_of_2(columns))
        exact = np.exp(values.astype(np.float64) - values.max(axis=1, keepdims=True))
        exact /= exact.sum(axis=1, keepdims=True)
        error = np.max(np.abs(out.values() - exact) / exact)
        failed += not error <= BOUND
        print(
            f"softmax of {rows} x {columns} for {capability}: error {error:.1e}, {BOUND:.0e} at most; "
            + device.forms(compiled, "shfl.sync", "bar.sync", "ex2")
        )
    return 1 if failed else 0


raise SystemExit(main())
