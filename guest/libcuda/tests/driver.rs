//! A program whose worker has a driver's library below it: the stand-in, as a
//! GPU cannot be had here. Calls go the whole way: our libcuda, the ring, the
//! worker in the sandbox that it has for a driver, the engine, the library.
//!
//! A test starts a daemon, and this program again as the CUDA program; the
//! worker is `examples/driver-worker.rs`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use cudarc::driver::{CudaContext, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;
use vgpu_transport::local::VARIABLE;
use vgpud::Daemon;

const KERNELS: &str = include_str!("../../../tests/corpus/clang/kernels.ptx");

/// A file that was built with this test.
fn beside_this_test(name: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap().with_file_name(name);
    assert!(path.is_file(), "{}", path.display());
    path
}

/// Not a test: the CUDA program's process.
#[test]
fn program() {
    match std::env::var("PROGRAM").as_deref() {
        Ok("vadd") => vadd(),
        Ok("fault") => fault(),
        Ok("ioctl") => {
            let _context = CudaContext::new(0).unwrap();
            let error = cudarc::driver::result::mem_get_info().unwrap_err();
            assert_eq!(error.0 as u32, 46, "CUDA_ERROR_DEVICE_UNAVAILABLE");
        }
        Ok("without") => {
            let error = CudaContext::new(0).unwrap_err();
            assert_eq!(error.0 as u32, 100, "CUDA_ERROR_NO_DEVICE");
        }
        _ => {}
    }
}

fn vadd() {
    let context = CudaContext::new(0).unwrap();
    assert_eq!(context.name().unwrap(), "stand-in of a GPU");
    assert_eq!(context.compute_capability().unwrap(), (7, 0));
    let stream = context.new_stream().unwrap();
    let module = context.load_module(Ptx::from_src(KERNELS)).unwrap();
    let kernel = module.load_function("vadd").unwrap();
    let n = 5000_u32;
    let a: Vec<f32> = (0..n).map(|i| i as f32).collect();
    let b: Vec<f32> = a.iter().map(|a| 0.5 * a).collect();
    let (x, y) = (
        stream.clone_htod(&a).unwrap(),
        stream.clone_htod(&b).unwrap(),
    );
    let mut z = stream.alloc_zeros::<f32>(n as usize).unwrap();
    let mut launch = stream.launch_builder(&kernel);
    launch.arg(&x).arg(&y).arg(&mut z).arg(&n);
    // SAFETY: the kernel takes these arguments, and looks at no more elements.
    #[allow(unsafe_code)]
    unsafe { launch.launch(LaunchConfig::for_num_elems(n)) }.unwrap();
    let sums = stream.clone_dtoh(&z).unwrap();
    assert!(sums.iter().zip(&a).all(|(sum, a)| *sum == 1.5 * a));
    // Here the stand-in tries what a driver that was taken over would, and has no
    // memory where it can.
    let (free, total) = cudarc::driver::result::mem_get_info().unwrap();
    assert!(
        0 < free && free < total && total == 256 << 20,
        "{free} of {total}"
    );
    // Large ones come from regions, and go the same way.
    let large: Vec<u32> = (0..1 << 20).collect();
    let there = stream.clone_htod(&large).unwrap();
    assert!(stream.clone_dtoh(&there).unwrap() == large);
}

fn fault() {
    let text = ".version 7.0\n.target sm_70\n.address_size 64\n\
        .visible .entry k() { st.global.u32 [16], 1; ret; }";
    let context = CudaContext::new(0).unwrap();
    let stream = context.default_stream();
    let module = context.load_module(Ptx::from_src(text)).unwrap();
    let kernel = module.load_function("k").unwrap();
    let mut launch = stream.launch_builder(&kernel);
    // SAFETY: the kernel reaches outside its memory, which is the test.
    #[allow(unsafe_code)]
    let launched = unsafe { launch.launch(LaunchConfig::for_num_elems(1)) };
    let error = launched
        .map(|_| ())
        .and_then(|()| stream.synchronize())
        .unwrap_err();
    assert_eq!(error.0 as u32, 700);
    // The program's end is no error of the worker's.
    std::mem::forget((module, stream, context));
}

/// Our library under the name that programs look for.
fn installed() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let library = beside_this_test("libcuda.so");
    for name in ["libcuda.so", "libcuda.so.1"] {
        std::os::unix::fs::symlink(&library, folder.path().join(name)).unwrap();
    }
    folder
}

fn run(name: &str, control: &str, tries: &str) {
    let own = std::env::current_exe().unwrap();
    let command: [OsString; 5] = [
        "/usr/bin/env".into(),
        format!("STANDIN_TRIES={tries}").into(),
        beside_this_test("../examples/driver-worker").into(),
        beside_this_test("libstandin_driver.so").into(),
        control.into(),
    ];
    let mut daemon = Daemon::new(command.into()).unwrap();
    let installed = installed();
    let mut program = Command::new(own)
        .args(["--exact", "program", "--nocapture"])
        .env("PROGRAM", name)
        .env("LD_LIBRARY_PATH", installed.path())
        .env(VARIABLE, daemon.name().to_string())
        .spawn()
        .unwrap();
    let status = loop {
        if let Some(status) = program.try_wait().unwrap() {
            break status;
        }
        daemon.turn();
    };
    let start = Instant::now();
    while daemon.workers().count() > 0 {
        assert!(start.elapsed() < Duration::from_secs(5), "a worker stays");
        daemon.turn();
    }
    assert!(status.success(), "{status}");
}

#[test]
fn a_kernel_runs_by_a_drivers_library() {
    run("vadd", "/dev/null", "1");
}

#[test]
fn a_fault_comes_back() {
    run("fault", "/dev/null", "");
}

#[test]
fn what_no_driver_asks_of_a_device_ends_the_worker() {
    run("ioctl", "/dev/null", "ioctl");
}

#[test]
fn without_a_driver_there_is_no_device() {
    run("without", "/nonexistent/nvidiactl", "");
}
