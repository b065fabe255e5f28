//! Programs whose kernels print.

use std::ffi::{c_char, c_void};
use std::fs::File;
use std::io::{Read, Seek};
use std::ops::Range;
use std::ptr;
use std::time::Duration;

use super::kernels::Pointers;
use super::library::{in_context, launch};

/// Each thread prints its number and `first` in a line of 32 bytes, one of which is not of a
/// text; one of [`LAST`] ends the kernel then.
const SAY: &std::ffi::CStr = c"
.version 7.0
.target sm_70
.address_size 64
.extern .func (.param .b32 count) vprintf(.param .b64 format, .param .b64 arguments);
.global .align 1 .b8 format[11] = {108, 255, 110, 101, 32, 37, 50, 54, 117, 10, 0};
.visible .entry say(.param .u32 first)
{
    .local .align 8 .b8 arguments[8];
    .reg .pred %p<2>;
    .reg .b32 %r<4>;
    .reg .b64 %rd<4>;
    ld.param.u32 %r1, [first];
    mov.u32 %r2, %tid.x;
    add.u32 %r1, %r1, %r2;
    mov.u64 %rd1, arguments;
    st.local.u32 [%rd1], %r1;
    cvta.local.u64 %rd1, %rd1;
    mov.u64 %rd2, format;
    cvta.global.u64 %rd2, %rd2;
    {
    .param .b64 a;
    st.param.b64 [a], %rd2;
    .param .b64 b;
    st.param.b64 [b], %rd1;
    .param .b32 c;
    call.uni (c), vprintf, (a, b);
    }
    setp.eq.u32 %p1, %r1, 999999999;
    @%p1 trap;
    ret;
}
";

const LAST: u32 = 999_999_999;

fn lines(numbers: Range<u32>) -> Vec<u8> {
    let line = |n| [&b"l\xffne "[..], format!("{n:26}\n").as_bytes()].concat();
    numbers.flat_map(line).collect()
}

/// The process's standard output, until it is dropped.
struct Output {
    file: File,
    before: std::os::fd::OwnedFd,
    read: u64,
}

impl Output {
    fn new() -> Self {
        let before = rustix::io::dup(rustix::stdio::stdout()).unwrap();
        let file = tempfile::tempfile().unwrap();
        rustix::stdio::dup2_stdout(&file).unwrap();
        let read = 0;
        Self { file, before, read }
    }

    /// What was written since it was last asked for. Reading moves the place where others write,
    /// which is the same one.
    fn take(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        self.file.seek(std::io::SeekFrom::Start(self.read)).unwrap();
        self.file.read_to_end(&mut all).unwrap();
        self.read += all.len() as u64;
        all
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        rustix::stdio::dup2_stdout(&self.before).unwrap();
    }
}

struct Sayer {
    cuda: libloading::Library,
    function: *mut c_void,
}

impl Sayer {
    fn new() -> Self {
        let cuda = in_context();
        let (mut module, mut function) = (ptr::null_mut(), ptr::null_mut());
        let load = cu!(cuda, cuModuleLoadData(Pointers, *const c_char));
        assert_eq!(call!(load, &mut module, SAY.as_ptr()), 0);
        let find = cu!(
            cuda,
            cuModuleGetFunction(Pointers, *mut c_void, *const c_char)
        );
        assert_eq!(call!(find, &mut function, module, c"say".as_ptr()), 0);
        Self { cuda, function }
    }

    /// Has one block of threads print.
    fn say(&self, mut first: u32, threads: u32) {
        let mut parameters: [*mut c_void; 1] = [(&raw mut first).cast()];
        let parameters = parameters.as_mut_ptr();
        let null = ptr::null_mut();
        let said = launch(
            &self.cuda,
            self.function,
            [1; 3],
            threads,
            0,
            parameters,
            null,
        );
        assert_eq!(said, 0);
    }
}

/// What was printed is there when a call returns that waits, and not before.
pub(crate) fn prints() {
    let sayer = Sayer::new();
    let (mut event, mut pointer, mut word) = (ptr::null_mut(), 0, 0_u32);
    ok!(cuEventCreate(&raw mut event, 0));
    ok!(cuMemAlloc_v2(&raw mut pointer, 4));
    let mut output = Output::new();
    sayer.say(0, 3);
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(output.take(), b"");
    ok!(cuStreamSynchronize(ptr::null_mut()));
    assert_eq!(output.take(), lines(0..3));
    sayer.say(5, 40);
    sayer.say(45, 2);
    ok!(cuCtxSynchronize());
    assert_eq!(output.take(), lines(5..47));
    sayer.say(1, 1);
    ok!(cuEventRecord(event, ptr::null_mut()));
    ok!(cuEventSynchronize(event));
    assert_eq!(output.take(), lines(1..2));
    sayer.say(2, 1);
    ok!(cuMemcpyDtoH_v2((&raw mut word).cast(), pointer, 4));
    assert_eq!(output.take(), lines(2..3));
    ok!(cuCtxSynchronize());
    assert_eq!(output.take(), b"");
    // A context's end; what is left is another's.
    let mut context = ptr::null_mut();
    ok!(cuCtxGetCurrent(&raw mut context));
    sayer.say(3, 1);
    ok!(cuCtxDestroy_v2(context));
    assert_eq!(output.take(), lines(3..4));
}

/// More than travels at a time comes all the same; of more than a megabyte the oldest lines that
/// were not on their way are lost.
pub(crate) fn prints_much() {
    const BLOCK: u32 = 1024;
    let sayer = Sayer::new();
    let mut output = Output::new();
    (0..12).for_each(|n| sayer.say(n * BLOCK, BLOCK));
    ok!(cuCtxSynchronize());
    assert!(output.take() == lines(0..12 * BLOCK));
    (0..40).for_each(|n| sayer.say(n * BLOCK, BLOCK));
    ok!(cuCtxSynchronize());
    let all = output.take();
    // A megabyte, less what its records need, and what had room in the ring.
    assert!(
        (1 << 20..(1 << 20) + (64 << 10)).contains(&all.len()),
        "{}",
        all.len()
    );
    let kept = (1 << 20) / 32;
    assert!(all.ends_with(&lines(40 * BLOCK - kept..40 * BLOCK)));
    // By a thread that waits for another stream than the one that prints.
    let mut context = ptr::null_mut();
    ok!(cuCtxGetCurrent(&raw mut context));
    let context = context.addr();
    std::thread::scope(|scope| {
        for n in 0..3_u32 {
            let sayer = &sayer;
            let function = sayer.function.addr();
            scope.spawn(move || {
                ok!(cuCtxSetCurrent(ptr::without_provenance_mut(context)));
                for _ in 0..20 {
                    let mut first = n;
                    let mut parameters: [*mut c_void; 1] = [(&raw mut first).cast()];
                    ok!(cuLaunchKernel(
                        ptr::without_provenance_mut(function),
                        1,
                        1,
                        1,
                        BLOCK,
                        1,
                        1,
                        0,
                        ptr::null_mut(),
                        parameters.as_mut_ptr(),
                        ptr::null_mut()
                    ));
                    ok!(cuCtxSynchronize());
                }
            });
        }
    });
    assert_eq!(output.take().len(), 3 * 20 * BLOCK as usize * 32);
}

/// What a kernel printed before it failed is there when the error is.
pub(crate) fn prints_and_fails() {
    let sayer = Sayer::new();
    let mut output = Output::new();
    sayer.say(LAST - 1, 2);
    assert_eq!(sys!(cuCtxSynchronize()), 719);
    assert_eq!(output.take(), lines(LAST - 1..LAST + 1));
}

/// A worker that sends what is no notice.
pub(super) fn garbled() {
    let _cuda = in_context();
    let mut output = Output::new();
    assert_eq!(sys!(cuCtxSynchronize()), 999);
    assert_eq!(sys!(cuCtxSynchronize()), 999);
    assert_eq!(output.take(), b"");
}

/// A worker that sends notices without an end: calls return, and the ring is what they may show
/// each time that they ask.
pub(super) fn flooding() {
    let _cuda = in_context();
    let mut output = Output::new();
    for _ in 0..2 {
        ok!(cuCtxSynchronize());
        let shown = output.take().len();
        assert!((1 << 20..4 << 20).contains(&shown), "{shown}");
    }
}
