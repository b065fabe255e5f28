//! What a call costs a program: an asynchronous launch and a waiting call,
//! through the library's symbols, the ring and a worker with the null engine,
//! beside a bare cache line that the same two threads pass to and fro in the
//! same run; how many instructions a launch is; and how many launches go through
//! in seconds, beside the same engine called in this process. Prints JSON; `cargo
//! xtask bench cuda` makes a table of it.
//!
//!     cargo bench -p vgpu-libcuda --bench calls [-- RUNS]
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use std::arch::asm;
use std::ffi::{c_char, c_int, c_void};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use vgpu_cuda_wire::message::WriteFrom;
use vgpu_engine::{Engine, Launch};
use vgpu_engine_null::NullEngine;
use vgpu_ring::Memory;
use vgpu_service::Cuda;
use vgpu_transport::local::VARIABLE;
use vgpu_worker::{Context, Fatal, Options, Request, Service};
use vgpud::Daemon;

/// Calls per batch: their records fit the ring.
const BATCH: usize = 1000;
const BATCHES: usize = 50;
/// Round trips of the cache line in a batch.
const ROUND_TRIPS: u64 = BATCH as u64;

/// Between two runs. What is below this machine moves its processors about: on one
/// core, on two of one cache, far from each other. The sample is to have of each.
const PAUSE: Duration = Duration::from_secs(4);

/// How long launches go on, and for how long the engine is called by itself.
const SUSTAINED: Duration = Duration::from_secs(2);
const DIRECT: Duration = Duration::from_millis(500);

/// Two lines of shared memory: a word of each is passed to and fro.
const LINES: [usize; 2] = [0, 16];
/// A copy of so many bytes from pinned memory asks the worker for its part.
const ASKED: usize = 4096;

const PTX: &std::ffi::CStr = c"
.version 7.0
.target sm_70
.address_size 64
.visible .entry add(.param .u64 a, .param .u64 b, .param .u64 c, .param .u32 n) { ret; }";

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
    assert!(program.wait().unwrap().success());
}

/// Waits for a number, without a pause: who passes it runs on another processor.
fn pass(word: &AtomicU64, n: u64) {
    while word.load(Ordering::Acquire) != n {
        std::hint::spin_loop();
    }
}

/// The service, and the worker's part of the cache line's way.
struct Measured(Cuda);

impl Service for Measured {
    fn handle(&mut self, request: Request<'_>, session: &Context<'_>) -> Result<(), Fatal> {
        if request.header.op == WriteFrom::OP {
            let (copy, _) = WriteFrom::decode(request.payload).unwrap();
            if copy.size == ASKED as u64 {
                let region = session.regions.get(copy.region).unwrap();
                let [to, fro] = LINES.map(|line| &region.words()[line]);
                for n in 1..=ROUND_TRIPS {
                    pass(to, n);
                    fro.store(n, Ordering::Release);
                }
            }
        }
        self.0.handle(request, session)
    }
}

fn worker(daemon: &str) {
    let socket = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let options = Options {
        parent: Pid::from_raw(daemon.parse().unwrap()),
        ..Options::default()
    };
    let cuda = Cuda::new(Box::new(|(first, last)| {
        Ok(Box::new(NullEngine::new(1 << 30, first, last)) as _)
    }));
    let served = vgpu_worker::serve(socket, &options, Measured(cuda));
    std::process::exit(i32::from(served.is_err()));
}

/// Nanoseconds for each of a batch.
fn batch(mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..BATCH {
        call();
    }
    start.elapsed().as_nanos() as f64 / BATCH as f64
}

/// Nanoseconds of each of a batch, with a reading of the clock in each.
fn each(times: &mut Vec<f64>, mut call: impl FnMut()) {
    let mut before = Instant::now();
    for _ in 0..BATCH {
        call();
        let now = Instant::now();
        times.push((now - before).as_nanos() as f64);
        before = now;
    }
}

/// Calls in a second, of those that go on for a while, until all are done.
fn rate(duration: Duration, mut call: impl FnMut(), done: impl FnOnce()) -> f64 {
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < duration {
        for _ in 0..BATCH {
            call();
        }
        count += BATCH;
    }
    done();
    count as f64 / start.elapsed().as_secs_f64()
}

/// Launches in a second of the engine alone.
fn direct() -> f64 {
    let mut engine = NullEngine::new(1 << 30, 1 << 40, 1 << 41);
    let module = engine.module_load(PTX.to_bytes()).unwrap();
    let parameters = [0; 28];
    let launch = Launch {
        module: module.id,
        function: "add",
        grid: [1; 3],
        block: [32, 1, 1],
        shared: 0,
        parameters: &parameters,
    };
    let one = || engine.launch(std::hint::black_box(&launch)).unwrap();
    rate(DIRECT, one, || ())
}

/// The processor's flag that has it trap after each instruction.
#[cfg(target_arch = "x86_64")]
const TRAP: i32 = 1 << 8;

/// How many instructions of this process a call is, with those of the counting.
#[cfg(target_arch = "x86_64")]
fn traps(call: impl FnOnce()) -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    extern "C" fn trapped(_: c_int) {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
    let count: extern "C" fn(c_int) = trapped;
    // SAFETY: what handles the signal does nothing but count.
    unsafe { libc::signal(libc::SIGTRAP, count as libc::sighandler_t) };
    COUNT.store(0, Ordering::Relaxed);
    // SAFETY: the flag changes nothing but that a signal comes, which is handled.
    unsafe { asm!("pushfq", "or dword ptr [rsp], {}", "popfq", const TRAP) };
    call();
    // SAFETY: as above.
    unsafe { asm!("pushfq", "and dword ptr [rsp], {}", "popfq", const !TRAP) };
    COUNT.load(Ordering::Relaxed)
}

/// How many instructions of this process a call is.
#[cfg(target_arch = "x86_64")]
fn instructions(call: impl FnOnce()) -> Option<u64> {
    let counting = traps(|| ());
    Some(traps(call) - counting)
}

/// It is known where the processor can be asked.
#[cfg(not(target_arch = "x86_64"))]
fn instructions(_: impl FnOnce()) -> Option<u64> {
    None
}

/// The value that `percent` of all are below.
fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    let place = values.len() * percent / 100;
    *values.select_nth_unstable_by(place, f64::total_cmp).1
}

fn program(runs: usize) {
    let library = std::env::current_exe()
        .unwrap()
        .with_file_name("libcuda.so");
    // SAFETY: our own library; the functions' types are the driver API's.
    let cuda = unsafe { libloading::Library::new(library) }.unwrap();
    type Handle = *mut c_void;
    // A function that gives an error where there is one.
    macro_rules! function {
        ($name:ident($($argument:ident: $type:ty),*)) => {{
            type Function = unsafe extern "C" fn($($type),*) -> u32;
            // SAFETY: the type is the driver API's.
            let function = *unsafe { cuda.get::<Function>(stringify!($name).as_bytes()) }.unwrap();
            move |$($argument: $type),*| {
                // SAFETY: the caller passes what the driver API asks for.
                let status = unsafe { function($($argument),*) };
                assert_eq!(status, 0, stringify!($name));
            }
        }};
    }
    let init = function!(cuInit(flags: u32));
    let create = function!(cuCtxCreate_v2(context: *mut Handle, flags: u32, device: c_int));
    let load = function!(cuModuleLoadData(module: *mut Handle, image: *const c_char));
    let get =
        function!(cuModuleGetFunction(function: *mut Handle, module: Handle, name: *const c_char));
    let launch = function!(cuLaunchKernel(
        function: Handle,
        grid_x: u32, grid_y: u32, grid_z: u32, block_x: u32, block_y: u32, block_z: u32,
        shared: u32, stream: Handle, parameters: *mut Handle, extra: *mut Handle
    ));
    let alloc = function!(cuMemAlloc_v2(pointer: *mut u64, size: usize));
    let pin = function!(cuMemHostAlloc(pointer: *mut Handle, size: usize, flags: u32));
    let upload =
        function!(cuMemcpyHtoDAsync_v2(to: u64, from: Handle, size: usize, stream: Handle));
    let query = function!(cuStreamQuery(stream: Handle));
    let synchronize = function!(cuCtxSynchronize());

    let null: Handle = std::ptr::null_mut();
    let (mut context, mut module, mut add, mut shared) = (null, null, null, null);
    let mut buffer = 0;
    init(0);
    create(&mut context, 0, 0);
    load(&mut module, PTX.as_ptr());
    get(&mut add, module, c"add".as_ptr());
    alloc(&mut buffer, ASKED);
    pin(&mut shared, ASKED, 0);
    // SAFETY: pinned memory of as many bytes, that is never freed; all threads
    // and the worker see it as atomic words.
    let words = unsafe { std::slice::from_raw_parts(shared.cast::<AtomicU64>(), ASKED / 8) };
    let [to, fro] = LINES.map(|line| &words[line]);

    let mut pointers = [buffer; 3];
    let mut count = 1_u32;
    let [a, b, c] = pointers
        .each_mut()
        .map(|pointer| std::ptr::from_mut(pointer).cast());
    let mut parameters: [Handle; 4] = [a, b, c, std::ptr::from_mut(&mut count).cast()];
    let list = parameters.as_mut_ptr();

    let one = || launch(add, 1, 1, 1, 32, 1, 1, 0, null, list, std::ptr::null_mut());
    // The worker passes the cache line, from a copy on, and is not to be woken.
    let begin = || {
        to.store(0, Ordering::Relaxed);
        fro.store(0, Ordering::Release);
        upload(buffer, shared, ASKED, null);
    };
    let round_trips = || {
        let mut n = 0;
        move || {
            n += 1;
            to.store(n, Ordering::Release);
            pass(fro, n);
        }
    };
    batch(one);
    synchronize();
    begin();
    let instructions = instructions(one);
    batch(round_trips());
    let mut results = [const { Vec::new() }; 5];
    let (mut tails, mut rates) = ([const { Vec::new() }; 3], [const { Vec::new() }; 2]);
    for run in 0..runs {
        if run > 0 {
            std::thread::sleep(PAUSE);
        }
        // In turns, each beside the others: where the scheduler has put the two
        // threads changes, and all of them by the same factor.
        let mut parts = [const { Vec::new() }; 5];
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..BATCHES {
            begin();
            let bare = batch(round_trips());
            synchronize();
            let asynchronous = batch(one);
            synchronize();
            let waiting = batch(|| query(null));
            let values = [
                bare,
                asynchronous,
                waiting,
                asynchronous / bare,
                waiting / bare,
            ];
            for (part, value) in parts.iter_mut().zip(values) {
                part.push(value);
            }
            let [of_bare, of_launch, of_waiting] = &mut times;
            begin();
            each(of_bare, round_trips());
            synchronize();
            each(of_launch, one);
            synchronize();
            each(of_waiting, || query(null));
        }
        for (result, part) in results.iter_mut().zip(parts) {
            result.push(percentile(part, 50));
        }
        for (tail, times) in tails.iter_mut().zip(times) {
            tail.push(percentile(times, 99));
        }
        let [sustained, directly] = &mut rates;
        sustained.push(rate(SUSTAINED, one, synchronize));
        directly.push(direct());
    }
    let [bare, launch, waiting, launch_ratio, waiting_ratio] = results;
    let [bare_p99, launch_p99, waiting_p99] = tails;
    let [sustained, direct] = rates;
    let instructions = instructions.map_or("null".into(), |count| count.to_string());
    println!(
        "{{\"bare\": {bare:?}, \"launch\": {launch:?}, \"waiting\": {waiting:?}, \
         \"launch_ratio\": {launch_ratio:?}, \"waiting_ratio\": {waiting_ratio:?}, \
         \"bare_p99\": {bare_p99:?}, \"launch_p99\": {launch_p99:?}, \
         \"waiting_p99\": {waiting_p99:?}, \
         \"sustained\": {sustained:?}, \"direct\": {direct:?}, \
         \"launch_instructions\": {instructions}}}"
    );
}
