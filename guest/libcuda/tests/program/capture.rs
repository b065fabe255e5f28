//! Programs that capture what their streams do.

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use cudarc::driver::sys::{
    self, CUevent, CUgraph, CUgraphNode, CUstream, CUstreamCaptureMode, CUstreamCaptureStatus,
};

use super::kernels::Adder;
use super::library::in_context;
use super::rows::{read, zeros};

const GLOBAL: CUstreamCaptureMode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_GLOBAL;
const LOCAL: CUstreamCaptureMode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
const RELAXED: CUstreamCaptureMode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;

fn stream(flags: u32) -> CUstream {
    let mut stream = ptr::null_mut();
    ok!(cuStreamCreate(&raw mut stream, flags));
    stream
}

fn event() -> CUevent {
    let mut event = ptr::null_mut();
    ok!(cuEventCreate(&raw mut event, 0));
    event
}

fn begin(stream: CUstream, mode: CUstreamCaptureMode) {
    ok!(cuStreamBeginCapture_v2(stream, mode));
}

/// Ends a capture: its result, and the graph.
fn end(stream: CUstream) -> (u32, CUgraph) {
    let mut graph = ptr::dangling_mut();
    let ended = sys!(cuStreamEndCapture(stream, &raw mut graph));
    assert_eq!(graph.is_null(), ended != 0);
    (ended, graph)
}

fn status(of: CUstream) -> u32 {
    let mut status = CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE;
    ok!(cuStreamIsCapturing(of, &raw mut status));
    status as u32
}

fn launch(graph: CUgraph, stream: CUstream, times: u32) {
    let mut executable = ptr::null_mut();
    ok!(cuGraphInstantiateWithFlags(&raw mut executable, graph, 0));
    for _ in 0..times {
        ok!(cuGraphLaunch(executable, stream));
    }
    ok!(cuStreamSynchronize(stream));
    ok!(cuGraphExecDestroy(executable));
}

/// The kinds of a graph's nodes, in their order, and how many edges there are.
pub(super) fn kinds(graph: CUgraph) -> (Vec<u32>, usize) {
    let (mut count, mut edges) = (0, 0);
    let none = ptr::null_mut();
    ok!(cuGraphGetNodes(graph, none, &raw mut count));
    let mut nodes = vec![ptr::null_mut(); count];
    ok!(cuGraphGetNodes(graph, nodes.as_mut_ptr(), &raw mut count));
    ok!(cuGraphGetEdges_v2(
        graph,
        none,
        none,
        ptr::null_mut(),
        &raw mut edges
    ));
    let kind = |node: &CUgraphNode| {
        let mut kind = sys::CUgraphNodeType::CU_GRAPH_NODE_TYPE_EMPTY;
        ok!(cuGraphNodeGetType(*node, &raw mut kind));
        kind as u32
    };
    (nodes.iter().map(kind).collect(), edges)
}

static CALLED: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn count(_: *mut c_void) {
    CALLED.fetch_add(1, Ordering::Relaxed);
}

/// All kinds of work of one stream, done when the graph is launched, and not before.
pub(crate) fn one_stream() {
    let adder = Adder::new();
    let cuda = &adder.cuda;
    let (stream, outside) = (stream(1), event());
    let (device, copy) = (zeros(64), zeros(64));
    let mut host = [0_u8; 64];
    begin(stream, GLOBAL);
    assert_eq!(status(stream), 1);
    assert_eq!(status(ptr::null_mut()), 0);
    ok!(cuMemsetD32Async(device, 0x0303_0303, 16, stream));
    ok!(cuMemcpyDtoDAsync_v2(copy, device, 64, stream));
    ok!(cuMemcpyDtoHAsync_v2(
        host.as_mut_ptr().cast(),
        copy,
        64,
        stream
    ));
    ok!(cuLaunchHostFunc(stream, Some(count), ptr::null_mut()));
    ok!(cuEventRecordWithFlags(outside, stream, 1));
    ok!(cuStreamWaitEvent(stream, outside, 1));
    ok!(cuStreamWriteValue32_v2(stream, device + 60, 7, 0));
    let (mut into, mut from, mut elements) = (adder.into, adder.from, super::kernels::COUNT);
    let mut parameters: [*mut c_void; 3] = [
        (&raw mut into).cast(),
        (&raw mut from).cast(),
        (&raw mut elements).cast(),
    ];
    let extra = ptr::null_mut();
    ok!(cuLaunchKernel(
        adder.function.cast(),
        8,
        1,
        1,
        128,
        1,
        1,
        0,
        stream,
        parameters.as_mut_ptr(),
        extra
    ));
    // What a launch is given may change as soon as it returns.
    (into, elements) = (0, 9);
    let _ = (into, elements);
    let (ended, graph) = end(stream);
    assert_eq!((ended, status(stream)), (0, 0));
    assert_eq!(kinds(graph), (vec![2, 1, 1, 3, 7, 6, 2, 0], 7));
    assert_eq!(read(copy, 64), [0; 64]);
    adder.check(0);
    launch(graph, stream, 3);
    adder.check(3);
    assert_eq!(CALLED.load(Ordering::Relaxed), 3);
    assert_eq!(host, [3; 64]);
    assert_eq!(read(device, 64)[59..62], [3, 7, 0]);
    assert_eq!(sys!(cuEventQuery(outside)), 0);
    ok!(cuGraphDestroy(graph));
    assert_eq!(sys!(cuGraphDestroy(graph)), 1);
    let _ = cuda;
}

/// Other streams become part of a capture by events, and have to join it.
pub(crate) fn streams() {
    let _cuda = in_context();
    let (first, second) = (stream(1), stream(1));
    let (fork, join) = (event(), event());
    let device = zeros(12);
    let branches = |joined: bool| {
        begin(first, LOCAL);
        ok!(cuMemsetD8Async(device, 1, 4, first));
        ok!(cuEventRecord(fork, first));
        ok!(cuStreamWaitEvent(second, fork, 0));
        assert_eq!(status(second), 1);
        ok!(cuMemsetD8Async(device + 4, 2, 4, second));
        ok!(cuMemsetD8Async(device + 8, 3, 4, first));
        if joined {
            ok!(cuEventRecord(join, second));
            ok!(cuStreamWaitEvent(first, join, 0));
            ok!(cuMemsetD8Async(device + 3, 9, 2, first));
        }
    };
    branches(true);
    assert_eq!(end(second).0, 903, "it began with another stream");
    let (ended, graph) = end(first);
    assert_eq!((ended, status(second)), (0, 0));
    // A diamond: one before two, and they before the last.
    assert_eq!(kinds(graph), (vec![2; 4], 4));
    launch(graph, first, 1);
    assert_eq!(read(device, 12), [1, 1, 1, 9, 9, 2, 2, 2, 3, 3, 3, 3]);
    branches(false);
    assert_eq!(end(first).0, 904);
    assert_eq!((status(first), status(second)), (0, 0));
    // An event of a capture is nothing outside of it.
    assert_eq!(sys!(cuEventQuery(fork)), 907);
    assert_eq!(sys!(cuEventSynchronize(fork)), 907);
    assert_eq!(sys!(cuStreamWaitEvent(second, fork, 0)), 907);
    ok!(cuEventRecord(fork, first));
    ok!(cuEventSynchronize(fork));
    // Two captures do not meet, nor does one with what was before it.
    begin(first, LOCAL);
    begin(second, LOCAL);
    ok!(cuEventRecord(join, second));
    assert_eq!(sys!(cuStreamWaitEvent(first, join, 0)), 902);
    assert_eq!([status(first), status(second)], [2, 2]);
    assert_eq!(sys!(cuMemsetD8Async(device, 1, 4, first)), 901);
    assert_eq!([end(first).0, end(second).0], [901, 901]);
    begin(first, LOCAL);
    assert_eq!(sys!(cuStreamWaitEvent(first, fork, 0)), 905);
    assert_eq!(end(first).0, 901);
}

/// What a stream that captures, and those beside it, must not do.
pub(crate) fn refusals() {
    let _cuda = in_context();
    let null = ptr::null_mut();
    let begin_of = |stream, mode| sys!(cuStreamBeginCapture_v2(stream, mode));
    assert_eq!(begin_of(null, GLOBAL), 900, "the legacy stream");
    assert_eq!(begin_of(ptr::without_provenance_mut(0x5555), GLOBAL), 400);
    assert_eq!(end(null).0, 401);
    let (free, waits) = (stream(1), stream(0));
    assert_eq!(end(free).0, 401);
    begin(free, GLOBAL);
    assert_eq!(begin_of(free, GLOBAL), 401);
    // Work that could depend on what is captured breaks it off, by the thread's mode.
    let mut pointer = 0;
    let alloc = |pointer: &mut u64| sys!(cuMemAlloc_v2(pointer, 4));
    assert_eq!(alloc(&mut pointer), 900);
    assert_eq!(status(free), 2);
    assert_eq!(end(free).0, 901);
    assert_eq!(status(free), 0);
    begin(free, GLOBAL);
    let mut mode = RELAXED;
    ok!(cuThreadExchangeStreamCaptureMode(&raw mut mode));
    assert_eq!(mode, GLOBAL);
    assert_eq!(alloc(&mut pointer), 0);
    ok!(cuThreadExchangeStreamCaptureMode(&raw mut mode));
    assert_eq!(mode, RELAXED);
    // Another thread is bound by captures that are global, or its own.
    let mut context = ptr::null_mut();
    ok!(cuCtxGetCurrent(&raw mut context));
    let context = context.addr();
    let elsewhere = |work: fn() -> u32| {
        let thread = std::thread::spawn(move || {
            ok!(cuCtxSetCurrent(ptr::without_provenance_mut(context)));
            work()
        });
        thread.join().unwrap()
    };
    let allocate = || sys!(cuMemAlloc_v2(&mut 0, 4));
    assert_eq!(elsewhere(allocate), 900);
    assert_eq!(end(free).0, 901);
    begin(free, LOCAL);
    assert_eq!(elsewhere(allocate), 0);
    assert_eq!(alloc(&mut pointer), 900);
    assert_eq!(end(free).0, 901);
    begin(free, RELAXED);
    assert_eq!(alloc(&mut pointer), 0);
    assert_eq!(end(free).0, 0);
    // A capture ends in the thread where it began, but for relaxed ones.
    static STREAM: AtomicU32 = AtomicU32::new(0);
    STREAM.store(free.addr() as u32, Ordering::Relaxed);
    let end_there = || {
        end(ptr::without_provenance_mut(
            STREAM.load(Ordering::Relaxed) as usize
        ))
        .0
    };
    begin(free, LOCAL);
    assert_eq!(elsewhere(end_there), 908);
    assert_eq!(end(free).0, 0);
    begin(free, RELAXED);
    assert_eq!(elsewhere(end_there), 0);
    // Nobody may wait for what is not done.
    for wait in [
        || {
            sys!(cuStreamSynchronize(ptr::without_provenance_mut(
                STREAM.load(Ordering::Relaxed) as usize
            )))
        },
        || {
            sys!(cuStreamQuery(ptr::without_provenance_mut(
                STREAM.load(Ordering::Relaxed) as usize
            )))
        },
        || sys!(cuCtxSynchronize()),
    ] {
        begin(free, GLOBAL);
        assert_eq!(wait(), 900);
        assert_eq!(end(free).0, 901);
    }
    unsafe extern "C" fn nothing(_: CUstream, _: sys::CUresult, _: *mut c_void) {}
    begin(free, RELAXED);
    assert_eq!(
        sys!(cuStreamAddCallback(free, Some(nothing), null.cast(), 0)),
        900
    );
    assert_eq!(end(free).0, 901);
    begin(free, RELAXED);
    assert_eq!(sys!(cuMemAllocAsync(&raw mut pointer, 4, free)), 801);
    assert_eq!(end(free).0, 901);
    // The legacy stream waits for streams that are not made otherwise.
    let device = zeros(4);
    begin(free, RELAXED);
    ok!(cuMemsetD8_v2(device, 1, 4));
    assert_eq!(end(free).0, 0);
    begin(waits, RELAXED);
    assert_eq!(sys!(cuMemsetD8_v2(device, 1, 4)), 906);
    assert_eq!(end(waits).0, 901);
    // Nothing that is wrong becomes a node.
    begin(free, RELAXED);
    assert_eq!(sys!(cuMemsetD8Async(device, 1, 5, free)), 1);
    assert_eq!(end(free).0, 901);
    // A stream's end is its capture's.
    begin(free, RELAXED);
    ok!(cuStreamDestroy_v2(free));
    ok!(cuCtxSynchronize());
}

/// What is captured may be asked for, and put elsewhere.
pub(crate) fn into_graphs() {
    let _cuda = in_context();
    let (stream, device) = (stream(1), zeros(8));
    let mut graph = ptr::null_mut();
    ok!(cuGraphCreate(&raw mut graph, 0));
    let mut root = ptr::null_mut();
    ok!(cuGraphAddEmptyNode(&raw mut root, graph, ptr::null(), 0));
    let none = ptr::null();
    ok!(cuStreamBeginCaptureToGraph(
        stream,
        graph,
        &raw const root,
        none,
        1,
        LOCAL
    ));
    ok!(cuMemsetD8Async(device, 1, 4, stream));
    let about = || {
        let mut status = CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE;
        let (mut id, mut of, mut list, mut count) = (0, ptr::null_mut(), ptr::null(), 0);
        let mut edges = ptr::dangling();
        ok!(cuStreamGetCaptureInfo_v3(
            stream,
            &raw mut status,
            &raw mut id,
            &raw mut of,
            &raw mut list,
            &raw mut edges,
            &raw mut count
        ));
        assert_eq!((status as u32, of, edges.is_null()), (1, graph, true));
        assert_ne!(id, 0);
        // SAFETY: the list is as long as the count, until the next call.
        unsafe { std::slice::from_raw_parts(list, count) }.to_vec()
    };
    let [fill] = about()[..] else {
        panic!("one node");
    };
    // A node of the program's own, and the next work behind both, or behind the root alone.
    let mut own = ptr::null_mut();
    ok!(cuGraphAddEmptyNode(&raw mut own, graph, ptr::null(), 0));
    let update = |node: CUgraphNode, flags| {
        let mut nodes = [node];
        sys!(cuStreamUpdateCaptureDependencies_v2(
            stream,
            nodes.as_mut_ptr(),
            none,
            1,
            flags
        ))
    };
    assert_eq!(update(own, 0), 0);
    assert_eq!(about(), [fill, own]);
    assert_eq!(update(root, 1), 0);
    assert_eq!(about(), [root]);
    assert_eq!(update(root, 2), 1);
    assert_eq!(update(ptr::without_provenance_mut(0x5555), 0), 1);
    ok!(cuMemsetD8Async(device + 4, 2, 4, stream));
    assert_eq!(end(stream), (0, graph));
    assert_eq!(kinds(graph), (vec![5, 2, 5, 2], 2));
    launch(graph, stream, 1);
    assert_eq!(read(device, 8), [1, 1, 1, 1, 2, 2, 2, 2]);
    assert_eq!(update(root, 0), 401);
}
