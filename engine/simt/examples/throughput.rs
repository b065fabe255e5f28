//! How many lane instructions a core executes in a second: a kernel that only
//! computes, and one that loads, computes and stores.
//!
//! `cargo run --release -p vgpu-simt --example throughput`

use std::sync::Arc;
use std::time::Instant;

use vgpu_device_memory::Memory;
use vgpu_simt::{Executor, Launch, Program};

const KERNELS: &str = ".version 7.0
.target sm_70
.address_size 64
.visible .entry integer(.param .u64 to) {
    .reg .b32 %r<9>; .reg .b64 %rd<4>; .reg .pred %p;
    ld.param.u64 %rd1, [to];
    mov.u32 %r1, %tid.x;
    mov.u32 %r2, 0;
loop:
    mad.lo.s32 %r1, %r1, 1664525, 1013904223;
    xor.b32 %r3, %r1, %r2;
    shr.u32 %r4, %r3, 7;
    add.s32 %r1, %r1, %r4;
    add.s32 %r2, %r2, 1;
    setp.lt.u32 %p, %r2, 2000;
    @%p bra loop;
    mul.wide.u32 %rd2, %r1, 0;
    add.s64 %rd3, %rd1, %rd2;
    st.global.u32 [%rd3], %r1;
    ret;
}
.visible .entry fma(.param .u64 to) {
    .reg .b32 %r<3>; .reg .f32 %f<6>; .reg .pred %p;
    mov.u32 %r1, %tid.x;
    mov.u32 %r2, 0;
    cvt.rn.f32.u32 %f1, %r1;
    mov.f32 %f2, 0f3F7FFF00;
    mov.f32 %f3, %f1;
loop:
    fma.rn.f32 %f1, %f1, %f2, %f3;
    fma.rn.f32 %f3, %f3, %f2, %f1;
    mul.f32 %f4, %f1, %f2;
    add.f32 %f5, %f4, %f3;
    add.s32 %r2, %r2, 1;
    setp.lt.u32 %p, %r2, 2000;
    @%p bra loop;
    ret;
}
.visible .entry axpy(.param .u64 x, .param .u64 y) {
    .reg .b32 %r<9>; .reg .f32 %f<4>; .reg .b64 %rd<6>; .reg .pred %p;
    ld.param.u64 %rd1, [x];
    ld.param.u64 %rd2, [y];
    mov.u32 %r1, %tid.x;
    mul.wide.u32 %rd3, %r1, 4;
    add.s64 %rd4, %rd1, %rd3;
    add.s64 %rd5, %rd2, %rd3;
    mov.u32 %r2, 0;
loop:
    ld.global.f32 %f1, [%rd4];
    ld.global.f32 %f2, [%rd5];
    fma.rn.f32 %f3, %f1, 0f3F000000, %f2;
    st.global.f32 [%rd5], %f3;
    add.s32 %r2, %r2, 1;
    setp.lt.u32 %p, %r2, 2000;
    @%p bra loop;
    ret;
}";

/// Nanoseconds that this thread has been on a processor.
fn on_processor() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split(' ').next().unwrap_or_default();
    first.parse().unwrap_or(0)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut memory = Memory::new(1 << 32, 1 << 40, 1 << 20);
    let program = Arc::new(Program::load(&vgpu_ptx::parse(KERNELS)?, &mut memory)?);
    let (x, y) = (memory.alloc(4096)?, memory.alloc(4096)?);
    let parameters = [x.to_le_bytes(), y.to_le_bytes()].concat();
    let mut executor = Executor::new(1, u64::MAX);
    for (kernel, threads) in [("integer", 256), ("fma", 256), ("axpy", 256), ("axpy", 16)] {
        let launch = Launch {
            kernel,
            blocks: [20, 1, 1],
            threads: [threads, 1, 1],
            shared: 0,
            parameters: &parameters,
        };
        let (start, before) = (Instant::now(), on_processor());
        let done = executor.launch(&program, &memory.view(), &launch)?;
        let (wall, busy) = (start.elapsed().as_nanos() as f64, on_processor() - before);
        let count = done.lane_instructions as f64;
        println!(
            "{kernel:8} {threads:4} threads: {:.3} G lane instructions/s of processor time \
             ({:.3} by the clock), {:.1} ns for an instruction of a warp",
            count / busy as f64,
            count / wall,
            busy as f64 / done.instructions as f64,
        );
    }
    Ok(())
}
