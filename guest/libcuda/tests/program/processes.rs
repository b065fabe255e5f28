//! Programs of several threads and processes.

use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

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
