"""Products of matrices by tiles, in a loop that Triton makes a pipeline of, as in its tutorial of matmul.

    matmul.py [CAPABILITY]     such as 80, where there are tensor cores; otherwise that of the device
"""
import sys

import numpy as np
import triton
import triton.language as tl

import device

# M, N, K: whole tiles, and such that fill none.
SHAPES = [(128, 64, 96), (70, 90, 50)]


@triton.jit
def multiply(
    a, b, c, M, N, K,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr, GROUP: tl.constexpr, PRECISION: tl.constexpr,
):
    # Tiles go down a few rows at a time, so that what they read is still in the cache.
    program = tl.program_id(0)
    down, across = tl.cdiv(M, ROWS), tl.cdiv(N, COLUMNS)
    first = program // (GROUP * across) * GROUP
    height = min(down - first, GROUP)
    tile_row = first + program % (GROUP * across) % height
    tile_column = program % (GROUP * across) // height

    row = tile_row * ROWS + tl.arange(0, ROWS)
    column = tile_column * COLUMNS + tl.arange(0, COLUMNS)
    depth = tl.arange(0, DEPTH)
    left = a + row[:, None] * K + depth[None, :]
    right = b + depth[:, None] * N + column[None, :]
    total = tl.zeros((ROWS, COLUMNS), dtype=tl.float32)
    for k in range(0, tl.cdiv(K, DEPTH)):
        inside = depth < K - k * DEPTH
        x = tl.load(left, mask=(row < M)[:, None] & inside[None, :], other=0.0)
        y = tl.load(right, mask=inside[:, None] & (column < N)[None, :], other=0.0)
        total = tl.dot(x, y, total, input_precision=PRECISION)
        left += DEPTH
        right += DEPTH * N
    target = c + row[:, None] * N + column[None, :]
    tl.store(target, total.to(c.dtype.element_ty), mask=(row < M)[:, None] & (column < N)[None, :])


def check(name, values, out, precision, bound, generator, capability):
    """Holds products of a type against numpy's in float64; how many are wrong."""
    failed = 0
    for m, n, k in SHAPES:
        left, right = (values(generator, shape) for shape in [(m, k), (k, n)])
        a, b = device.Array(left), device.Array(right)
        c = device.Array(np.zeros((m, n), out))
        tiles = triton.cdiv(m, 32) * triton.cdiv(n, 32)
        compiled = multiply[(tiles,)](
            a, b, c, m, n, k, ROWS=32, COLUMNS=32, DEPTH=16, GROUP=2, PRECISION=precision, num_warps=4, num_stages=3
        )
        exact = left.astype(np.float64) @ right.astype(np.float64)
        error = np.max(np.abs(c.values() - exact))
        failed += not error <= bound
        print(
            f"{name}, {m} x {k} x {n} for {capability}: error {error:.1e}, {bound:.0e} at most; "
            + device.forms(compiled, "cp.async.c", "ldmatrix", "mma.sync", "fma.rn.f32")
        )
    return failed


def main():
    capability = device.start(int(sys.argv[1]) if len(sys.argv) > 1 else None)
    generator = np.random.default_rng(3)

    # Eighths up to 1: their products, and the sums of those, are exact in each type.
    def eighths(dtype):
        return lambda generator, shape: (generator.integers(-8, 9, size=shape) / 8).astype(dtype)

    def any_number(dtype):
        return lambda generator, shape: generator.uniform(-1, 1, size=shape).astype(dtype)

    failed = 0
    for name, values, out, precision, bound in [
        ("float16, exact", eighths(np.float16), np.float32, "ieee", 0),
        ("float16", any_number(np.float16), np.float16, "ieee", 2e-2),
        ("float32, exact", eighths(np.float32), np.float32, "ieee", 0),
        ("float32", any_number(np.float32), np.float32, "ieee", 1e-5),
        ("tf32, exact", eighths(np.float32), np.float32, "tf32", 0),
        ("tf32", any_number(np.float32), np.float32, "tf32", 2e-2),
    ]:
        failed += check(name, values, out, precision, bound, generator, capability)
    return 1 if failed else 0


raise SystemExit(main())
