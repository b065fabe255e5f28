//! Programs of several threads and processes.

use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::kernels::Adder;
use super::library::{in_context, open, pattern};

pub(crate) fn threads() {
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

pub(crate) fn fork() {
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

/// What a program does in a destructor of its own, at a thread's end.
struct Late(Option<Adder>);

static LATE: AtomicBool = AtomicBool::new(false);

impl Drop for Late {
    fn drop(&mut self) {
        if let Some(adder) = &self.0 {
            assert_eq!(adder.add(), 0);
            adder.check(2);
            LATE.store(true, Ordering::Relaxed);
        }
    }
}

/// The last destructor to run is that of what was used first: not one of the
/// library's.
pub(crate) fn late() {
    thread_local! {
        static FIRST: RefCell<Late> = const { RefCell::new(Late(None)) };
    }
    let thread = std::thread::spawn(|| {
        FIRST.with_borrow_mut(|_| ());
        let adder = Adder::new();
        assert_eq!(adder.add(), 0);
        FIRST.with_borrow_mut(|late| late.0 = Some(adder));
    });
    thread.join().unwrap();
    assert!(LATE.load(Ordering::Relaxed));
}

/// The other children of this process's parent: the daemon's workers.
pub(super) fn workers() -> Vec<u32> {
    let parent = std::os::unix::process::parent_id();
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).unwrap();
    let lists = tasks
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).ok());
    let ids: String = lists.collect::<Vec<_>>().join(" ");
    let ids = ids.split_whitespace().filter_map(|id| id.parse().ok());
    ids.filter(|&id| id != std::process::id()).collect()
}

pub(crate) fn lost() {
    let cuda = in_context();
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

/// A program that ends while threads of its work, and a callback waits.
pub(crate) fn exit() {
    use cudarc::driver::sys;
    unsafe extern "C" fn wait(_: *mut c_void) {
        std::thread::sleep(std::time::Duration::from_secs(3600));
    }
    let adder = Adder::new();
    let mut context = std::ptr::null_mut();
    ok!(cuCtxGetCurrent(&raw mut context));
    let (context, into) = (context.addr(), adder.into);
    for _ in 0..3 {
        std::thread::spawn(move || {
            ok!(cuCtxSetCurrent(std::ptr::without_provenance_mut(context)));
            loop {
                // What it gets at the end is no matter.
                let _ = sys!(cuMemsetD8_v2(into, 1, 4));
                let _ = sys!(cuMemcpyDtoH_v2([0_u8; 4].as_mut_ptr().cast(), into, 4));
            }
        });
    }
    std::thread::sleep(std::time::Duration::from_millis(30));
    let null: sys::CUstream = std::ptr::null_mut();
    ok!(cuLaunchHostFunc(null, Some(wait), std::ptr::null_mut()));
    for _ in 0..100 {
        assert_eq!(adder.add(), 0);
    }
    std::process::exit(0);
}

/// Whoever closes the library and opens it again finds what was there.
pub(crate) fn close() {
    let cuda = in_context();
    let mut pointer = 0;
    let alloc = cu!(cuda, cuMemAlloc_v2(*mut u64, usize));
    assert_eq!(call!(alloc, &mut pointer, 4), 0);
    // A thread of the library's own runs from then on.
    unsafe extern "C" fn nothing(_: *mut c_void) {}
    let launch = cu!(
        cuda,
        cuLaunchHostFunc(*mut c_void, unsafe extern "C" fn(*mut c_void), *mut c_void)
    );
    let null = std::ptr::null_mut();
    assert_eq!(call!(launch, null, nothing, null), 0);
    cuda.close().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    let again = open("libcuda.so.1");
    let fill = cu!(again, cuMemsetD8_v2(u64, u8, usize));
    assert_eq!(call!(fill, pointer, 1, 4), 0);
    assert_eq!(call!(cu!(again, cuCtxSynchronize())), 0);
}

/// A program that gets signals all the time, in the middle of waits.
pub(crate) fn signals() {
    static GOT: AtomicU32 = AtomicU32::new(0);
    static DONE: AtomicBool = AtomicBool::new(false);
    extern "C" fn count(_: c_int) {
        GOT.fetch_add(1, Ordering::Relaxed);
    }
    let adder = Adder::new();
    // SAFETY: 0 is a value of every field.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    let handler: extern "C" fn(c_int) = count;
    action.sa_sigaction = handler as usize;
    let none = std::ptr::null_mut();
    // SAFETY: the handler does what a handler may; calls of the system are not begun again.
    let set = unsafe { libc::sigaction(libc::SIGALRM, &raw const action, none) };
    assert_eq!(set, 0);
    // SAFETY: it has no arguments.
    let own = unsafe { libc::pthread_self() };
    let sender = std::thread::spawn(move || {
        while !DONE.load(Ordering::Relaxed) {
            // SAFETY: the thread ends after this one.
            assert_eq!(unsafe { libc::pthread_kill(own, libc::SIGALRM) }, 0);
            std::thread::sleep(std::time::Duration::from_micros(50));
        }
    });
    let mut rounds = 0;
    while GOT.load(Ordering::Relaxed) < 2000 {
        let mut pinned = std::ptr::null_mut();
        ok!(cuMemAllocHost_v2(&raw mut pinned, 4096));
        assert_eq!(adder.add(), 0);
        ok!(cuCtxSynchronize());
        ok!(cuMemFreeHost(pinned));
        rounds += 1;
    }
    DONE.store(true, Ordering::Relaxed);
    sender.join().unwrap();
    adder.check(rounds);
}
