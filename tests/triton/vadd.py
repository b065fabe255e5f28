"""Triton's vector add without PyTorch: memory by the driver API, the kernel by Triton's own driver."""
import numpy as np
import triton
import triton.language as tl

import device

N = 98_432
BLOCK = 1024


@triton.jit
def add(x, y, out, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    tl.store(out + i, tl.load(x + i, mask=inside) + tl.load(y + i, mask=inside), mask=inside)


def main():
    device.start()
    # Multiples of 1/1024 below 1: their sums are exact.
    generator = np.random.default_rng(1)
    a, b = (generator.integers(1024, size=N).astype(np.float32) / 1024 for _ in range(2))
    x, y, out = device.Array(a), device.Array(b), device.Array(np.zeros(N, np.float32))
    compiled = add[(triton.cdiv(N, BLOCK),)](x, y, out, N, BLOCK=BLOCK)
    wrong = np.count_nonzero(out.values() != a + b)
    image = compiled.asm["cubin"]
    print(f"Triton {triton.__version__}: {N} sums, {wrong} wrong; the image begins with {image[:14]!r}")
    return 1 if wrong or not image.startswith(b"// vgpu image ") else 0


raise SystemExit(main())
