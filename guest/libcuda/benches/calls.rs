//! What a call costs a program: asynchronous and waiting ones, through the
//! library's symbols, the ring and a worker, beside a bare cache line that two
//! threads pass to and fro in the same run.
//!
//!     cargo bench -p vgpu-libcuda [-- RUNS]
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use vgpu_transport::local::VARIABLE;
use vgpud::Daemon;

/// Calls per batch: their records fit the ring.
const BATCH: usize = 1000;
const BATCHES: usize = 50;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("worker") => worker(&arguments[2]),
        Some("program") => program(arguments[2].parse().unwrap()),
        _ => {
            let runs = arguments.iter().find_map(|word| word.parse().ok());
            serve(runs.unwrap_or(12));
        }
    }
}

fn worker(daemon: &str) {
    let socket = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    std::process::exit(vgpu_service::worker(socket, daemon.parse().unwrap()));
}

/// Runs the program with a daemon.
fn serve(runs: usize) {
    let own = std::env::current_exe().unwrap();
    let mut daemon = Daemon::new(vec![own.clone().into(), "worker".into()]).unwrap();
    let mut program = Command::new(&own)
        .args(["program", &runs.to_string()])
        .env(VARIABLE, daemon.name().to_string())
        .spawn()
        .unwrap();
    while program.try_wait().unwrap().is_none() {
        daemon.turn();
    }
}

/// The least of the best tenth's values, in nanoseconds per call.
fn best(mut batch: impl FnMut() -> u128) -> f64 {
    let mut values: Vec<u128> = (0..BATCHES).map(|_| batch()).collect();
    values.sort_unstable();
    values[values.len() / 10] as f64 / BATCH as f64
}

fn ping_pong() -> f64 {
    #[repr(align(128))]
    struct Line(AtomicU64);
    static LINES: [Line; 2] = [const { Line(AtomicU64::new(0)) }; 2];
    let last = (BATCH * BATCHES) as u64;
    let pass = |from: &AtomicU64, n: u64| {
        while from.load(Ordering::Acquire) != n {
            std::hint::spin_loop();
        }
    };
    LINES
        .iter()
        .for_each(|line| line.0.store(0, Ordering::Relaxed));
    let peer = thread::spawn(move || {
        for n in 1..=last {
            pass(&LINES[0].0, n);
            LINES[1].0.store(n, Ordering::Release);
        }
    });
    let mut n = 0;
    let value = best(|| {
        let start = Instant::now();
        for _ in 0..BATCH {
            n += 1;
            LINES[0].0.store(n, Ordering::Release);
            pass(&LINES[1].0, n);
        }
        start.elapsed().as_nanos()
    });
    peer.join().unwrap();
    value
}

/// The median, and the quartiles around it.
fn summary(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}

fn program(runs: usize) {
    let library = std::env::current_exe()
        .unwrap()
        .with_file_name("libcuda.so");
    // SAFETY: our own library; the functions' types are the driver API's.
    let cuda = unsafe { libloading::Library::new(library) }.unwrap();
    type Handle = *mut c_void;
    macro_rules! function {
        ($name:ident($($type:ty),*)) => {{
            type Function = unsafe extern "C" fn($($type),*) -> u32;
            // SAFETY: the type is the driver API's.
            *unsafe { cuda.get::<Function>(stringify!($name).as_bytes()) }.unwrap()
        }};
    }
    let init = function!(cuInit(u32));
    let create = function!(cuCtxCreate_v2(*mut Handle, u32, c_int));
    let event_create = function!(cuEventCreate(*mut Handle, u32));
    let record = function!(cuEventRecord(Handle, Handle));
    let query = function!(cuStreamQuery(Handle));
    let synchronize = function!(cuCtxSynchronize());
    let (mut context, mut event) = (std::ptr::null_mut(), std::ptr::null_mut());
    let null = std::ptr::null_mut();
    // SAFETY: there is nothing to keep.
    assert_eq!(unsafe { init(0) }, 0);
    // SAFETY: the pointer is valid for a write.
    assert_eq!(unsafe { create(&mut context, 0, 0) }, 0);
    // SAFETY: the pointer is valid for a write.
    assert_eq!(unsafe { event_create(&mut event, 0) }, 0);
    let mut results = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..runs {
        results[0].push(ping_pong());
        results[1].push(best(|| {
            let start = Instant::now();
            for _ in 0..BATCH {
                // SAFETY: as above.
                assert_eq!(unsafe { record(event, null) }, 0);
            }
            let spent = start.elapsed().as_nanos();
            // SAFETY: as above.
            assert_eq!(unsafe { synchronize() }, 0);
            spent
        }));
        results[2].push(best(|| {
            let start = Instant::now();
            for _ in 0..BATCH {
                // SAFETY: as above.
                assert_eq!(unsafe { query(null) }, 0);
            }
            start.elapsed().as_nanos()
        }));
    }
    println!("median of {runs} runs [quartiles]; ratio to the bare round trip of a cache line\n");
    let names = ["bare round trip", "asynchronous call", "waiting call"];
    for (name, values) in names.iter().zip(&results) {
        let ratios = values
            .iter()
            .zip(&results[0])
            .map(|(value, bare)| value / bare);
        let ([low, middle, high], ratio) = (summary(values.clone()), summary(ratios.collect()));
        println!(
            "{name:18} {middle:7.0} ns [{low:.0}, {high:.0}]  {:6.2} [{:.2}, {:.2}]",
            ratio[1], ratio[0], ratio[2]
        );
    }
}
