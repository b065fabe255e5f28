"""Taichi fills a field on CUDA, and sums it up."""
import sys

import taichi as ti

ti.init(arch=ti.cuda, offline_cache=False, log_level=ti.WARN)
if ti.lang.impl.current_cfg().arch != ti.cuda:
    sys.exit("Taichi found no CUDA device")

COUNT = 1000
field = ti.field(ti.i32, shape=COUNT)
total = ti.field(ti.i32, shape=())


@ti.kernel
def fill():
    for i in field:
        field[i] = 3 * i + 1


@ti.kernel
def add():
    for i in field:
        total[None] += field[i]


fill()
add()
right = [3 * i + 1 for i in range(COUNT)]
if field.to_numpy().tolist() != right:
    sys.exit("the field is not what it was filled with")
if total[None] != sum(right):
    sys.exit(f"the sum is {total[None]}, not {sum(right)}")
print(f"Taichi: {COUNT} elements filled, their sum is {total[None]}")
