//! Programs on our libcuda, over a real daemon and a real worker.
//!
//! A test starts a daemon, and this program again as the CUDA program; the
//! daemon starts `examples/cuda-worker.rs`.

#![allow(unsafe_code)]

use std::ffi::{CString, c_char, c_int, c_void};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use cudarc::driver::CudaContext;
use vgpu_transport::local::VARIABLE;
use vgpud::Daemon;

/// A folder with our library under both of its names, as it is installed.
struct Installed(PathBuf);

impl Installed {
    fn new() -> Self {
        let test = std::env::current_exe().unwrap();
        let library = test.with_file_name("libcuda.so");
        assert!(library.is_file(), "{}", library.display());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let folder = folder.join(format!("libcuda-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["libcuda.so", "libcuda.so.1"] {
            std::os::unix::fs::symlink(&library, folder.join(name)).unwrap();
        }
        Self(folder)
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

type Test = fn();

const PROGRAMS: &[(&str, Test)] = &[
    ("bytes", bytes),
    ("nothing", nothing),
    ("cudarc", with_cudarc),
    ("errors", errors),
    ("lookups", lookups),
    ("pinned", pinned),
    ("kernels", kernels::kernels),
    ("fault", kernels::fault),
    ("graph", kernels::graph),
    ("threads", threads),
    ("fork", fork),
    ("lost", lost),
    ("older", workers::older),
];

/// Not a test: the CUDA program's process.
#[test]
fn program() {
    let Some(name) = std::env::var_os("PROGRAM") else {
        return;
    };
    let (_, run) = PROGRAMS.iter().find(|(known, _)| name == *known).unwrap();
    run();
}

/// Runs a program with a daemon, or with none.
fn run(name: &str, served: bool) -> ExitStatus {
    run_with(name, served, &[])
}

/// The same, with arguments for its worker.
fn run_with(name: &str, served: bool, arguments: &[&str]) -> ExitStatus {
    let own = std::env::current_exe().unwrap();
    let worker = own.with_file_name("../examples/cuda-worker");
    let command = std::iter::once(worker.into()).chain(arguments.iter().map(Into::into));
    let mut daemon = Daemon::new(command.collect()).unwrap();
    let installed = Installed::new();
    let mut program = Command::new(own);
    program
        .args(["--exact", "program", "--nocapture", "--test-threads=1"])
        .env("PROGRAM", name)
        .env("LD_LIBRARY_PATH", &installed.0);
    if served {
        program.env(VARIABLE, daemon.name().to_string());
    }
    let mut program = program.spawn().unwrap();
    let status = loop {
        if let Some(status) = program.try_wait().unwrap() {
            break status;
        }
        daemon.turn();
    };
    // Nothing stays.
    let start = Instant::now();
    while daemon.workers().count() > 0 {
        assert!(start.elapsed() < Duration::from_secs(5), "a worker stays");
        daemon.turn();
    }
    status
}

macro_rules! programs {
    ($($test:ident: $name:literal),* $(,)?) => {
        $(#[test]
        fn $test() {
            assert!(run($name, true).success());
        })*
    };
}

programs! {
    bytes_go_to_the_device_and_back: "bytes",
    an_unmodified_cudarc_program_runs: "cudarc",
    errors_are_those_of_cuda: "errors",
    functions_are_found: "lookups",
    pinned_memory_is_shared: "pinned",
    kernels_run: "kernels",
    an_illegal_address_is_sticky: "fault",
    a_graph_is_launched_again: "graph",
    threads_share_a_session: "threads",
    a_forked_child_has_no_session: "fork",
    a_killed_worker_is_an_unavailable_device: "lost",
}

#[test]
fn an_older_worker_is_asked_for_nothing_that_it_does_not_know() {
    assert!(run_with("older", true, &["older"]).success());
}

#[test]
fn without_a_daemon_there_is_no_device() {
    assert!(run("nothing", false).success());
}

/// A function of libcuda, by its name and type.
macro_rules! cu {
    ($library:ident, $name:ident($($type:ty),* $(,)?)) => {{
        type Function = unsafe extern "C" fn($($type),*) -> u32;
        // SAFETY: the type is that of the driver API.
        let symbol = unsafe { $library.get::<Function>(stringify!($name).as_bytes()) };
        *symbol.unwrap()
    }};
}

/// Calls a function of libcuda with arguments that are right.
macro_rules! call {
    ($function:expr $(, $argument:expr)*) => {{
        let function = $function;
        // SAFETY: each pointer is valid for what the driver API says of it.
        unsafe { function($($argument),*) }
    }};
}

mod kernels;
mod workers;

fn open(name: &str) -> libloading::Library {
    // SAFETY: it is our own library, whose start runs nothing.
    let library = unsafe { libloading::Library::new(name) };
    library.unwrap()
}

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n * 31 + n / 251) as u8).collect()
}

/// What the thinnest C program does.
fn bytes() {
    let cuda = open("libcuda.so");
    assert_eq!(call!(cu!(cuda, cuInit(u32)), 0), 0);
    let mut context = std::ptr::null_mut();
    let create = cu!(cuda, cuCtxCreate_v2(*mut *mut c_void, u32, c_int));
    assert_eq!(call!(create, &mut context, 0, 0), 0);
    let upload = cu!(cuda, cuMemcpyHtoD_v2(u64, *const u8, usize));
    let download = cu!(cuda, cuMemcpyDtoH_v2(*mut u8, u64, usize));
    // In the record, in the arena, in more pieces than the arena has.
    for size in [1, 1000, 60 << 10, (60 << 10) + 1, 512 << 10, (5 << 20) + 3] {
        let mut pointer = 0;
        assert_eq!(
            call!(
                cu!(cuda, cuMemAlloc_v2(*mut u64, usize)),
                &mut pointer,
                size
            ),
            0
        );
        let sent = pattern(size);
        let mut received = vec![0; size];
        assert_eq!(call!(upload, pointer, sent.as_ptr(), size), 0);
        assert_eq!(call!(download, received.as_mut_ptr(), pointer, size), 0);
        assert!(sent == received, "{size} bytes");
        // The source may change as soon as the call returns.
        let mut changing = sent.clone();
        assert_eq!(call!(upload, pointer, changing.as_ptr(), size), 0);
        changing.fill(0);
        assert_eq!(call!(download, received.as_mut_ptr(), pointer, size), 0);
        assert!(sent == received, "{size} bytes after a change");
        assert_eq!(call!(cu!(cuda, cuMemFree_v2(u64)), pointer), 0);
    }
}

fn nothing() {
    let cuda = open("libcuda.so.1");
    for _ in 0..2 {
        assert_eq!(call!(cu!(cuda, cuInit(u32)), 0), 100, "no device");
    }
    let mut version = 0;
    let get = cu!(cuda, cuDriverGetVersion(*mut c_int));
    assert_eq!(call!(get, &mut version), 0);
    assert_eq!(version, 13_000);
}

fn with_cudarc() {
    let context = CudaContext::new(0).unwrap();
    assert_eq!(context.name().unwrap(), "vgpu CPU engine");
    assert_eq!(context.compute_capability().unwrap(), (7, 0));
    let stream = context.new_stream().unwrap();
    let sent: Vec<f32> = (0..300_000).map(|n| n as f32).collect();
    let device = stream.clone_htod(&sent).unwrap();
    let copy = stream.clone_dtod(&device).unwrap();
    assert_eq!(stream.clone_dtoh(&copy).unwrap(), sent);
    let zeros = stream.alloc_zeros::<u32>(1000).unwrap();
    assert_eq!(stream.clone_dtoh(&zeros).unwrap(), vec![0; 1000]);
    stream.synchronize().unwrap();
    let start = context.new_event(None).unwrap();
    let end = context.new_event(None).unwrap();
    start.record(&stream).unwrap();
    end.record(&stream).unwrap();
    end.synchronize().unwrap();
    assert!(end.is_complete());
    let free = cudarc::driver::result::mem_get_info().unwrap().0;
    drop((device, copy, zeros));
    stream.synchronize().unwrap();
    assert!(cudarc::driver::result::mem_get_info().unwrap().0 > free);
}

fn errors() {
    let cuda = open("libcuda.so.1");
    let alloc = cu!(cuda, cuMemAlloc_v2(*mut u64, usize));
    let mut pointer = 0;
    assert_eq!(call!(alloc, &mut pointer, 4), 3, "not initialized");
    assert_eq!(call!(cu!(cuda, cuInit(u32)), 1), 1);
    assert_eq!(call!(cu!(cuda, cuInit(u32)), 0), 0);
    assert_eq!(call!(alloc, &mut pointer, 4), 201, "no context");
    let mut context = std::ptr::null_mut();
    let retain = cu!(cuda, cuDevicePrimaryCtxRetain(*mut *mut c_void, c_int));
    assert_eq!(call!(retain, &mut context, 1), 101);
    assert_eq!(call!(retain, &mut context, 0), 0);
    assert_eq!(call!(cu!(cuda, cuCtxSetCurrent(*mut c_void)), context), 0);
    assert_eq!(call!(alloc, std::ptr::null_mut(), 4), 1);
    assert_eq!(call!(alloc, &mut pointer, 0), 1);
    assert_eq!(call!(alloc, &mut pointer, 1 << 50), 2);
    assert_eq!(call!(alloc, &mut pointer, 100), 0);
    let upload = cu!(cuda, cuMemcpyHtoD_v2(u64, *const u8, usize));
    let sent = pattern(101);
    assert_eq!(call!(upload, pointer, sent.as_ptr(), 101), 1);
    assert_eq!(call!(upload, pointer + 1, sent.as_ptr(), 100), 1);
    assert_eq!(call!(upload, pointer, std::ptr::null(), 4), 1);
    assert_eq!(call!(upload, pointer + 1, sent.as_ptr(), 99), 0);
    let free = cu!(cuda, cuMemFree_v2(u64));
    assert_eq!(call!(free, pointer + 1), 1);
    assert_eq!(call!(free, pointer), 0);
    assert_eq!(call!(free, pointer), 1);
    let stray: *mut c_void = std::ptr::without_provenance_mut(0x5555);
    assert_eq!(
        call!(cu!(cuda, cuStreamSynchronize(*mut c_void)), stray),
        400
    );
    assert_eq!(call!(cu!(cuda, cuCtxSynchronize())), 0);
    let mut text: *const c_char = std::ptr::null();
    let string = cu!(cuda, cuGetErrorString(u32, *mut *const c_char));
    assert_eq!(call!(string, 700, &mut text), 0);
    // SAFETY: what the library gave is text that ends with 0.
    let text = unsafe { std::ffi::CStr::from_ptr(text) };
    assert_eq!(text, c"illegal address");
}

fn lookups() {
    let cuda = open("libcuda.so.1");
    let find = cu!(
        cuda,
        cuGetProcAddress_v2(*const c_char, *mut *mut c_void, c_int, u64, *mut u32)
    );
    let look = |name: &str, version, flags| {
        let name = CString::new(name).unwrap();
        let (mut function, mut status) = (std::ptr::null_mut(), 9);
        assert_eq!(
            call!(
                find,
                name.as_ptr(),
                &mut function,
                version,
                flags,
                &mut status
            ),
            0
        );
        (function.addr(), status)
    };
    let symbol = |name: &str| {
        // SAFETY: only the address is looked at.
        let symbol = unsafe { cuda.get::<unsafe extern "C" fn()>(name.as_bytes()) };
        symbol.map_or(0, |symbol| *symbol as usize)
    };
    assert_eq!(look("cuMemAlloc", 12_000, 0), (symbol("cuMemAlloc_v2"), 0));
    assert_eq!(look("cuMemAlloc", 2_000, 0), (0, 2));
    assert_eq!(look("cuNothing", 12_000, 0), (0, 1));
    assert_eq!(
        look("cuCtxSynchronize", 12_000, 0).0,
        symbol("cuCtxSynchronize")
    );
    assert_eq!(
        look("cuCtxSynchronize", 13_000, 0).0,
        symbol("cuCtxSynchronize_v2")
    );
    assert_eq!(
        look("cuMemsetD8Async", 13_000, 0).0,
        symbol("cuMemsetD8Async")
    );
    assert_eq!(
        look("cuMemsetD8Async", 13_000, 2).0,
        symbol("cuMemsetD8Async_ptsz")
    );
    let refused = look("cuTexRefSetFlags", 13_000, 0);
    assert_eq!(refused, (symbol("cuTexRefSetFlags"), 0));
    assert_eq!(
        call!(
            cu!(cuda, cuTexRefSetFlags(*mut c_void, u32)),
            std::ptr::null_mut(),
            0
        ),
        801
    );
    // cudart's question whether the driver is NVIDIA's own has no answer.
    let table = cu!(cuda, cuGetExportTable(*mut *const c_void, *const [u8; 16]));
    let uuid = 0xd408_2055_bde6_704b_8d34_ba12_3c66_e1f2_u128.to_be_bytes();
    let mut found: *const c_void = std::ptr::dangling();
    assert_eq!(call!(table, &mut found, &uuid), 500);
    assert!(found.is_null());
}

fn pinned() {
    let cuda = open("libcuda.so.1");
    assert_eq!(call!(cu!(cuda, cuInit(u32)), 0), 0);
    let mut context = std::ptr::null_mut();
    assert_eq!(
        call!(
            cu!(cuda, cuCtxCreate_v2(*mut *mut c_void, u32, c_int)),
            &mut context,
            0,
            0
        ),
        0
    );
    let size = 3 << 20;
    let (mut host, mut device): (*mut u8, u64) = (std::ptr::null_mut(), 0);
    let (alloc, free) = (
        cu!(cuda, cuMemHostAlloc(*mut *mut u8, usize, u32)),
        cu!(cuda, cuMemFreeHost(*mut u8)),
    );
    assert_eq!(call!(alloc, &mut host, size, 0), 0);
    assert_eq!(
        call!(cu!(cuda, cuMemAlloc_v2(*mut u64, usize)), &mut device, size),
        0
    );
    // SAFETY: pinned memory of that size, until it is given back below.
    let memory = unsafe { std::slice::from_raw_parts_mut(host, size) };
    let sent = pattern(size);
    memory.copy_from_slice(&sent);
    let null = std::ptr::null_mut::<c_void>();
    let upload = cu!(
        cuda,
        cuMemcpyHtoDAsync_v2(u64, *const u8, usize, *mut c_void)
    );
    let download = cu!(cuda, cuMemcpyDtoHAsync_v2(*mut u8, u64, usize, *mut c_void));
    assert_eq!(call!(upload, device, host, size, null), 0);
    assert_eq!(call!(cu!(cuda, cuStreamSynchronize(*mut c_void)), null), 0);
    memory.fill(0);
    assert_eq!(call!(download, host, device, size, null), 0);
    assert_eq!(call!(cu!(cuda, cuStreamSynchronize(*mut c_void)), null), 0);
    assert!(memory == sent);
    let mut kind = 0_u32;
    let attribute = cu!(cuda, cuPointerGetAttribute(*mut u32, u32, u64));
    assert_eq!(call!(attribute, &mut kind, 2, host.addr() as u64), 0);
    assert_eq!(kind, 1);
    assert_eq!(call!(attribute, &mut kind, 2, device), 0);
    assert_eq!(kind, 2);
    assert_eq!(call!(free, host), 0);
    assert_eq!(call!(free, host), 1);
}

fn threads() {
    let cuda = open("libcuda.so.1");
    assert_eq!(call!(cu!(cuda, cuInit(u32)), 0), 0);
    let mut context = std::ptr::null_mut::<c_void>();
    let retain = cu!(cuda, cuDevicePrimaryCtxRetain(*mut *mut c_void, c_int));
    assert_eq!(call!(retain, &mut context, 0), 0);
    let context = context.addr();
    std::thread::scope(|scope| {
        for n in 0..6_usize {
            let cuda = &cuda;
            scope.spawn(move || {
                let context: *mut c_void = std::ptr::without_provenance_mut(context);
                assert_eq!(call!(cu!(cuda, cuCtxSetCurrent(*mut c_void)), context), 0);
                let size = 700_000 + n;
                let sent: Vec<u8> = pattern(size).iter().map(|byte| byte ^ n as u8).collect();
                let mut pointer = 0;
                assert_eq!(
                    call!(
                        cu!(cuda, cuMemAlloc_v2(*mut u64, usize)),
                        &mut pointer,
                        size
                    ),
                    0
                );
                for _ in 0..10 {
                    let mut received = vec![0; size];
                    assert_eq!(
                        call!(
                            cu!(cuda, cuMemcpyHtoD_v2(u64, *const u8, usize)),
                            pointer,
                            sent.as_ptr(),
                            size
                        ),
                        0
                    );
                    assert_eq!(
                        call!(
                            cu!(cuda, cuMemcpyDtoH_v2(*mut u8, u64, usize)),
                            received.as_mut_ptr(),
                            pointer,
                            size
                        ),
                        0
                    );
                    assert!(received == sent, "thread {n}");
                }
            });
        }
    });
}

fn fork() {
    let cuda = open("libcuda.so.1");
    assert_eq!(call!(cu!(cuda, cuInit(u32)), 0), 0);
    let count = cu!(cuda, cuDeviceGetCount(*mut c_int));
    let mut devices = 0;
    assert_eq!(call!(count, &mut devices), 0);
    // SAFETY: the child makes calls that take no lock, and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let refused = call!(count, &mut devices);
        std::process::exit(i32::from(refused != 3));
    }
    let mut status = 0;
    // SAFETY: the status is valid for a write.
    unsafe {
        libc::waitpid(child, &mut status, 0);
    }
    assert_eq!(status, 0, "the child is not refused");
    assert_eq!(call!(count, &mut devices), 0);
}

/// The other children of this process's parent: the daemon's workers.
fn workers() -> Vec<u32> {
    let parent = std::os::unix::process::parent_id();
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).unwrap();
    let lists = tasks
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).ok());
    let ids: String = lists.collect::<Vec<_>>().join(" ");
    let ids = ids.split_whitespace().filter_map(|id| id.parse().ok());
    ids.filter(|&id| id != std::process::id()).collect()
}

fn lost() {
    let cuda = open("libcuda.so.1");
    assert_eq!(call!(cu!(cuda, cuInit(u32)), 0), 0);
    let mut context = std::ptr::null_mut();
    assert_eq!(
        call!(
            cu!(cuda, cuCtxCreate_v2(*mut *mut c_void, u32, c_int)),
            &mut context,
            0,
            0
        ),
        0
    );
    assert_eq!(call!(cu!(cuda, cuCtxSynchronize())), 0);
    let [worker] = workers()[..] else {
        panic!("one worker")
    };
    let worker = rustix::process::Pid::from_raw(worker.cast_signed()).unwrap();
    rustix::process::kill_process(worker, rustix::process::Signal::KILL).unwrap();
    let mut pointer = 0;
    for _ in 0..3 {
        let refused = call!(
            cu!(cuda, cuMemAlloc_v2(*mut u64, usize)),
            &mut pointer,
            4096
        );
        assert_eq!(refused, 46, "unavailable");
    }
}
