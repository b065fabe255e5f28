//! `--engine cpu-racecheck`: a missing barrier ends the kernel, and is named.

mod common;

use common::{Library, text, with_program};
use cudarc::driver::{CudaContext, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;

/// Each thread reads what its neighbour in the next warp wrote.
const NEIGHBOURS: &str = r"
.version 7.0
.target sm_70
.address_size 64
.visible .entry neighbours(.param .u64 out)
{
    .shared .align 4 .b8 s[256];
    .reg .b32 %t<4>;
    .reg .b64 %rd<6>;
    ld.param.u64 %rd1, [out];
    mov.u32 %t1, %tid.x;
    mul.wide.u32 %rd2, %t1, 4;
    mov.u64 %rd3, s;
    add.u64 %rd4, %rd3, %rd2;
    st.shared.u32 [%rd4], %t1;
    BARRIER
    xor.b32 %t2, %t1, 32;
    mul.wide.u32 %rd5, %t2, 4;
    add.u64 %rd5, %rd3, %rd5;
    ld.shared.u32 %t3, [%rd5];
    add.u64 %rd1, %rd1, %rd2;
    st.global.u32 [%rd1], %t3;
    ret;
}
";

/// Not a test: the program.
#[test]
fn program() {
    let barrier = match std::env::var("PROGRAM").as_deref() {
        Ok("with") => "bar.sync 0;",
        Ok("without") => "",
        _ => return,
    };
    let context = CudaContext::new(0).unwrap();
    let stream = context.default_stream();
    let text = NEIGHBOURS.replace("BARRIER", barrier);
    let module = context.load_module(Ptx::from_src(text)).unwrap();
    let function = module.load_function("neighbours").unwrap();
    let mut out = stream.alloc_zeros::<u32>(64).unwrap();
    let mut launch = stream.launch_builder(&function);
    launch.arg(&mut out);
    let block = LaunchConfig {
        block_dim: (64, 1, 1),
        ..LaunchConfig::for_num_elems(1)
    };
    // SAFETY: the kernel takes this parameter, and writes 64 words.
    #[allow(unsafe_code)]
    unsafe { launch.launch(block) }.unwrap();
    match stream.clone_dtoh(&out) {
        Ok(out) => println!("\nright: {}", (0..64).all(|t| out[t ^ 32] as usize == t)),
        Err(error) => println!("\nerror: {error:?}"),
    }
}

/// What a program says and what its engine logs.
fn said(engine: &str, program: &str) -> [String; 2] {
    let library = Library::new();
    let words = ["run", "--engine", engine];
    let output = with_program(&words, &library, program).output().unwrap();
    [text(&output.stdout), text(&output.stderr)]
}

#[test]
fn a_missing_barrier_is_found_where_it_is_asked_for() {
    let [stdout, stderr] = said("cpu-racecheck", "without");
    assert!(stdout.contains("CUDA_ERROR_LAUNCH_FAILED"), "{stdout}");
    assert!(
        stderr.contains("race in shared memory at 0x") && stderr.contains("no barrier between"),
        "{stderr}"
    );
    for (engine, program) in [("cpu-racecheck", "with"), ("cpu", "with")] {
        let [stdout, stderr] = said(engine, program);
        assert!(stdout.contains("\nright: true\n"), "{stdout} {stderr}");
        assert!(!stderr.contains("race"), "{stderr}");
    }
    // Nobody asked.
    let [stdout, stderr] = said("cpu", "without");
    assert!(!stdout.contains("error"), "{stdout} {stderr}");
}
