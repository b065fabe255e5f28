#!/bin/sh
# Kernels of Triton's on vgpu: see README.md. By command, not in CI.
#
#     tests/triton/run.sh [ENGINE]
set -eu
engine=${1:-cpu}
here=$(cd "$(dirname "$0")" && pwd)
checkout=$(cd "$here/../.." && pwd)
installed=$checkout/target/cuda
home=${XDG_CACHE_HOME:-$HOME/.cache}/vgpu-stub/python/triton-3.9.0

(cd "$checkout" && cargo xtask cuda build --quick --out "$installed" && cargo build --quiet --profile quick --package vgpu-ptxas)
vgpu=$installed/bin/vgpu library=$installed/lib/vgpu ptxas=$checkout/target/quick/vgpu-ptxas
if ! cmp -s "$here/requirements.txt" "$home/complete"; then
    rm -rf "$home"
    python3.11 -m venv "$home"
    "$home/bin/pip" install --quiet --require-hashes --requirement "$here/requirements.txt"
    # NVIDIA's programs, which nothing here may start.
    rm -rf "$home"/lib/python3.11/site-packages/triton/backends/nvidia/bin
    cp "$here/requirements.txt" "$home/complete"
fi
# Triton falls back to its own ptxas where this one does not answer, and takes
# the second variable for compute capability 9.0 and later.
export TRITON_PTXAS_PATH="$ptxas"
export TRITON_PTXAS_BLACKWELL_PATH="$ptxas"
export TRITON_LIBCUDA_PATH="$library"
export TRITON_CACHE_DIR="$home/compiled"
export TRITON_DEFAULT_FP_FUSION=1
on_vgpu() {
    "$vgpu" run --engine "$engine" --library "$library" -- "$home/bin/python" "$@"
}
on_vgpu "$here/vadd.py"
# For the capability that the device has, and for tensor cores.
for capability in '' 80; do
    on_vgpu "$here/softmax.py" $capability
    on_vgpu "$here/matmul.py" $capability
done
