#!/bin/sh
# Makes kernels.ptx. RUSTC is a rustc with the LLVM back end for NVPTX, LIBRARY the folder `library` of its source, such as
# Debian's packages rustc-web and rust-web-src 1.96.0 bring them; BUILD is a folder for what is between.
#
# usage: RUSTC=… LIBRARY=… BUILD=… ./make.sh
set -eu
export RUSTC_BOOTSTRAP=1
common="--target nvptx64-nvidia-cuda --edition 2024 -Copt-level=3 -Cpanic=abort -Ctarget-cpu=sm_70 --cap-lints allow"
mkdir -p "$BUILD"
# The core library; and one of no content in place of the compiler's own functions, of which these kernels need none.
$RUSTC $common --crate-type rlib --crate-name core "$LIBRARY/core/src/lib.rs" --out-dir "$BUILD"
printf '#![feature(compiler_builtins)]\n#![compiler_builtins]\n#![no_std]\n' > "$BUILD/builtins.rs"
$RUSTC $common --crate-type rlib --crate-name compiler_builtins -L "$BUILD" "$BUILD/builtins.rs" --out-dir "$BUILD"
$RUSTC $common --crate-type lib -L "$BUILD" --emit=asm kernels.rs -o kernels.ptx
