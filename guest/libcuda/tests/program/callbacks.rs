//! Programs whose streams call them back.

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use cudarc::driver::sys::{CUresult, CUstream};

use super::kernels::Adder;
use super::library::in_context;
use super::rows::{read, zeros};

/// What callbacks did, in their order.
static SEEN: Mutex<Vec<u32>> = Mutex::new(Vec::new());
static MORE: Condvar = Condvar::new();

fn see(what: u32) {
    SEEN.lock().unwrap().push(what);
    MORE.notify_all();
}

/// What callbacks did, once there are so many.
fn seen(count: usize) -> Vec<u32> {
    let limit = Duration::from_secs(10);
    let guard = SEEN.lock().unwrap();
    let waited = MORE.wait_timeout_while(guard, limit, |seen| seen.len() < count);
    let (mut guard, timeout) = waited.unwrap();
    assert!(!timeout.timed_out(), "{guard:?}");
    std::mem::take(&mut *guard)
}

fn number(of: usize) -> *mut c_void {
    ptr::without_provenance_mut(of)
}

unsafe extern "C" fn note(data: *mut c_void) {
    see(data.addr() as u32);
}

unsafe extern "C" fn note_status(stream: CUstream, status: CUresult, data: *mut c_void) {
    see(stream.addr() as u32);
    see(status as u32);
    see(data.addr() as u32);
}

/// 0 until the test lets go.
static GATE: Mutex<bool> = Mutex::new(false);
static OPENED: Condvar = Condvar::new();

unsafe extern "C" fn wait(data: *mut c_void) {
    let closed = GATE.lock().unwrap();
    let waited = OPENED.wait_timeout_while(closed, Duration::from_secs(10), |open| !*open);
    assert!(!waited.unwrap().1.timed_out());
    see(data.addr() as u32);
}

fn open_gate(open: bool) {
    *GATE.lock().unwrap() = open;
    OPENED.notify_all();
}

/// A callback runs after what came before it and before what comes after it, and nobody waits.
pub(crate) fn order() {
    let _cuda = in_context();
    let mut stream = ptr::null_mut();
    ok!(cuStreamCreate(&raw mut stream, 1));
    let device = zeros(4);
    ok!(cuLaunchHostFunc(stream, Some(wait), number(1)));
    // Of nothing there is nothing to wait for.
    let mut nothing = 0_u8;
    let place = (&raw mut nothing).cast();
    ok!(cuMemcpyDtoHAsync_v2(place, device, 0, stream));
    // More than a ring holds can be sent only when the callback has returned.
    for n in 0..100 {
        ok!(cuMemsetD8Async(device, n, 4, stream));
    }
    ok!(cuLaunchHostFunc(stream, Some(note), number(2)));
    ok!(cuStreamAddCallback(stream, Some(note_status), number(3), 0));
    std::thread::sleep(Duration::from_millis(20));
    assert!(SEEN.lock().unwrap().is_empty(), "too early");
    open_gate(true);
    ok!(cuStreamSynchronize(stream));
    // All have returned when the stream is done.
    let all = std::mem::take(&mut *SEEN.lock().unwrap());
    assert_eq!(all, [1, 2, stream.addr() as u32, 0, 3]);
    assert_eq!(read(device, 4), [99; 4]);
    // Many, from several threads, each once.
    let mut context = ptr::null_mut();
    ok!(cuCtxGetCurrent(&raw mut context));
    let context = context.addr();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(move || {
                ok!(cuCtxSetCurrent(ptr::without_provenance_mut(context)));
                for n in 0..300 {
                    ok!(cuLaunchHostFunc(ptr::null_mut(), Some(note), number(n)));
                }
            });
        }
    });
    ok!(cuCtxSynchronize());
    let mut all = seen(900);
    all.sort_unstable();
    assert!(all.into_iter().eq((0..300).flat_map(|n| [n; 3])));
    // What is wrong.
    assert_eq!(sys!(cuLaunchHostFunc(stream, None, number(1))), 1);
    let stray = ptr::without_provenance_mut(0x5555);
    assert_eq!(sys!(cuLaunchHostFunc(stray, Some(note), number(1))), 400);
    let added = |flags| {
        sys!(cuStreamAddCallback(
            stream,
            Some(note_status),
            number(1),
            flags
        ))
    };
    assert_eq!(added(1), 1);
    assert_eq!(sys!(cuStreamAddCallback(stream, None, number(1), 0)), 1);
    ok!(cuStreamSynchronize(stream));
    assert!(SEEN.lock().unwrap().is_empty());
}

unsafe extern "C" fn call(_: *mut c_void) {
    let mut pointer = 0;
    see(sys!(cuMemAlloc_v2(&raw mut pointer, 4)));
    see(sys!(cuCtxSetCurrent(ptr::null_mut())));
    see(sys!(cuStreamSynchronize(ptr::null_mut())));
}

/// A callback may call nothing.
pub(crate) fn calls() {
    let _cuda = in_context();
    ok!(cuLaunchHostFunc(
        ptr::null_mut(),
        Some(call),
        ptr::null_mut()
    ));
    ok!(cuCtxSynchronize());
    assert_eq!(seen(3), [800; 3]);
}

/// After a fault a host function does not run, and a stream's callback gets it.
pub(crate) fn faults() {
    let adder = Adder::new();
    ok!(cuLaunchHostFunc(ptr::null_mut(), Some(wait), number(1)));
    let broken = Adder {
        from: 0x10,
        ..adder
    };
    assert_eq!(broken.add(), 0);
    let stream = ptr::null_mut();
    ok!(cuLaunchHostFunc(stream, Some(note), number(2)));
    ok!(cuStreamAddCallback(stream, Some(note_status), number(3), 0));
    open_gate(true);
    assert_eq!(sys!(cuCtxSynchronize()), 700);
    assert_eq!(seen(4), [1, 0, 700, 3]);
    assert_eq!(sys!(cuLaunchHostFunc(stream, Some(note), number(4))), 700);
}

static ENDED: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn end(data: *mut c_void) {
    ENDED.fetch_add(data.addr() as u32, Ordering::Relaxed);
    see(0);
}

/// Objects end with the last of those that keep them.
pub(crate) fn objects() {
    let _cuda = in_context();
    let make = |count, flags, function, of| {
        let mut object = ptr::null_mut();
        let made = sys!(cuUserObjectCreate(
            &raw mut object,
            number(of),
            function,
            count,
            flags
        ));
        (made, object)
    };
    assert_eq!(
        make(1, 0, Some(end as _), 1).0,
        1,
        "its flag has to be said"
    );
    assert_eq!(make(0, 1, Some(end as _), 1).0, 1);
    assert_eq!(make(1, 1, None, 1).0, 1);
    let (0, first) = make(2, 1, Some(end as _), 1) else {
        panic!("no object");
    };
    let (0, second) = make(1, 1, Some(end as _), 10) else {
        panic!("no object");
    };
    ok!(cuUserObjectRetain(first, 3));
    ok!(cuUserObjectRelease(first, 4));
    assert_eq!(sys!(cuUserObjectRelease(first, 2)), 1);
    assert_eq!(sys!(cuUserObjectRetain(first, 0)), 1);
    let (mut graph, mut executable) = (ptr::null_mut(), ptr::null_mut());
    ok!(cuGraphCreate(&raw mut graph, 0));
    // The one reference of the second becomes the graph's; the first has one more.
    ok!(cuGraphRetainUserObject(graph, second, 1, 1));
    ok!(cuGraphRetainUserObject(graph, first, 2, 0));
    assert_eq!(sys!(cuGraphRetainUserObject(graph, first, 2, 2)), 1);
    assert_eq!(sys!(cuGraphReleaseUserObject(graph, first, 3)), 1);
    ok!(cuGraphReleaseUserObject(graph, first, 1));
    ok!(cuUserObjectRelease(first, 1));
    assert_eq!(ENDED.load(Ordering::Relaxed), 0);
    ok!(cuGraphInstantiateWithFlags(&raw mut executable, graph, 0));
    ok!(cuGraphDestroy(graph));
    ok!(cuCtxSynchronize());
    assert_eq!(
        ENDED.load(Ordering::Relaxed),
        0,
        "what can be launched keeps them"
    );
    ok!(cuGraphExecDestroy(executable));
    seen(2);
    assert_eq!(ENDED.load(Ordering::Relaxed), 11);
    assert_eq!(sys!(cuUserObjectRelease(second, 1)), 1);
}
