//! What is counted is what is read, also by hand of another process, and nothing
//! in the memory harms who reads.

use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use vgpu_cuda_wire::{Class, SYMBOLS};
use vgpu_ring::Memory;
use vgpu_trace::{CALLS, Call, Error, Reason, Trace, Waits};
use vgpu_window::Window;

fn number(name: &str) -> u16 {
    let found = SYMBOLS.iter().position(|(known, _)| *known == name);
    u16::try_from(found.unwrap()).unwrap()
}

fn path(memory: &impl AsRawFd) -> PathBuf {
    format!("/proc/{}/fd/{}", std::process::id(), memory.as_raw_fd()).into()
}

#[test]
fn what_was_counted_is_read() {
    let (memory, reader) = Trace::create().unwrap();
    let writer = Trace::open(&path(&memory)).unwrap();
    writer.name_device(b"a device");
    let waits = Waits {
        count: 1,
        nanoseconds: 50,
        sleeps: 1,
    };
    let launch = Call {
        start: 10,
        nanoseconds: 70,
        thread: 5,
        messages: 1,
        ..Call::default()
    };
    let copy = Call {
        start: 90,
        status: 700,
        waits,
        ..launch
    };
    writer.count_call(number("cuLaunchKernel"), &launch);
    writer.count_call(number("cuLaunchKernel"), &launch);
    writer.count_call(number("cuMemcpyDtoH_v2"), &copy);
    writer.count_call(number("cuTexRefSetFlags"), &Call::default());
    writer.count_call(u16::MAX, &copy);
    writer.count_message(0x43, 128);
    writer.count_message(0xffff, 128);
    writer.count_wait(Reason::Room, waits);

    assert_eq!(reader.device().as_deref(), Some("a device"));
    assert_eq!(reader.processes(), 1);
    let functions: Vec<_> = reader.functions().collect();
    let [copied, launched, refused] = &functions[..] else {
        panic!("{functions:?}");
    };
    assert_eq!(
        (launched.name, launched.class),
        ("cuLaunchKernel", Some(Class::Asynchronous))
    );
    assert_eq!(
        (launched.calls, launched.errors, launched.nanoseconds),
        (2, 0, 140)
    );
    assert_eq!(
        (copied.name, copied.errors, copied.last_error),
        ("cuMemcpyDtoH_v2", 1, 700)
    );
    assert_eq!((copied.messages, copied.waits), (1, waits));
    assert_eq!((refused.name, refused.class), ("cuTexRefSetFlags", None));
    let messages: Vec<_> = reader.messages().collect();
    assert_eq!(messages.len(), 1);
    assert_eq!(
        (messages[0].name, messages[0].count, messages[0].bytes),
        ("launch", 1, 128)
    );
    assert_eq!(reader.waits(Reason::Room), waits);
    assert_eq!(reader.waits(Reason::Answer), Waits::default());
    let calls: Vec<_> = reader.calls().collect();
    assert_eq!(calls.len(), 4);
    assert_eq!(calls[2], ("cuMemcpyDtoH_v2", copy));
}

#[test]
fn the_last_calls_are_kept() {
    let (_memory, trace) = Trace::create().unwrap();
    for start in 0..CALLS as u64 + 3 {
        let call = Call {
            start,
            ..Call::default()
        };
        trace.count_call(number("cuCtxGetCurrent"), &call);
    }
    let starts: Vec<_> = trace.calls().map(|(_, call)| call.start).collect();
    assert_eq!((starts.len(), starts[0]), (CALLS, 3));
    assert!(starts.is_sorted());
}

#[test]
fn another_builds_memory_is_refused() {
    let (memory, _trace) = Trace::create().unwrap();
    let head = Window::map(std::os::fd::AsFd::as_fd(&memory), 4096).unwrap();
    head.words()[1].fetch_add(1, Ordering::Relaxed);
    assert!(matches!(Trace::open(&path(&memory)), Err(Error::Version)));
    let (short, _window) = Window::create(4096).unwrap();
    assert!(matches!(Trace::open(&path(&short)), Err(Error::Version)));
    let nowhere = Trace::open(std::path::Path::new("/nowhere"));
    assert!(matches!(nowhere, Err(Error::File(_))));
}

#[test]
fn any_bits_are_read() {
    let (memory, trace) = Trace::create().unwrap();
    let size = rustix::fs::fstat(&memory).unwrap().st_size;
    let all = Window::map(
        std::os::fd::AsFd::as_fd(&memory),
        usize::try_from(size).unwrap(),
    );
    for fill in [u64::MAX, 0x8080_8080_8080_8080, 3] {
        for word in all.as_ref().unwrap().words() {
            word.store(fill, Ordering::Relaxed);
        }
        assert_eq!(trace.functions().count(), SYMBOLS.len());
        let calls = trace.calls().count();
        assert!(calls <= CALLS);
        let _ = (trace.device(), trace.processes(), trace.now());
    }
}
