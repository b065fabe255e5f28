//! Programs that call earlier versions of functions, as such of an older CUDA do.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use cudarc::driver::sys::{self, CUgraph, CUgraphNode, CUstream};

use super::capture::kinds;
use super::kernels::{Adder, COUNT, Pointers};
use super::library::{Node, in_context, node};
use super::rows::{none_3d, read, zeros};

fn graph() -> CUgraph {
    let mut graph = ptr::null_mut();
    ok!(cuGraphCreate(&raw mut graph, 0));
    graph
}

fn empty(graph: CUgraph) -> CUgraphNode {
    let mut node = ptr::null_mut();
    ok!(cuGraphAddEmptyNode(&raw mut node, graph, ptr::null(), 0));
    node
}

/// Nodes of kernels and copies, whose parameters are told and changed, and what takes those of another graph.
pub(crate) fn graphs() {
    let adder = Adder::new();
    let cuda = &adder.cuda;
    let (mut into, mut from, mut count) = (adder.into, adder.from, COUNT);
    let mut list: [*mut c_void; 3] = [
        (&raw mut into).cast(),
        (&raw mut from).cast(),
        (&raw mut count).cast(),
    ];
    let graph: *mut c_void = graph().cast();
    let add = cu!(
        cuda,
        cuGraphAddKernelNode(Pointers, *mut c_void, *const c_void, usize, *const Node)
    );
    let kernel = node(adder.function, 8, list.as_mut_ptr());
    let mut added = ptr::null_mut();
    assert_eq!(call!(add, &mut added, graph, ptr::null(), 0, &kernel), 0);
    let get = cu!(cuda, cuGraphKernelNodeGetParams(*mut c_void, *mut Node));
    let set = cu!(cuda, cuGraphKernelNodeSetParams(*mut c_void, *const Node));
    let mut told = node(ptr::null_mut(), 0, ptr::null_mut());
    assert_eq!(call!(get, added, &mut told), 0);
    assert_eq!(told.function, adder.function);
    assert_eq!(told.sizes, kernel.sizes);
    // SAFETY: the list has a pointer for each parameter.
    let first = unsafe { *told.parameters };
    // SAFETY: the first has 64 bits.
    let first = unsafe { first.cast::<u64>().read_unaligned() };
    assert_eq!(first, adder.into);
    // Of no elements, it adds nothing.
    count = 0;
    assert_eq!(call!(set, added, &kernel), 0);
    let _ = count;
    let wrong = node(adder.function, 0, list.as_mut_ptr());
    assert_eq!(call!(set, added, &wrong), 1, "of no blocks");
    // A copy of device memory, as a node of three dimensions.
    let (source, target) = (zeros(16), zeros(16));
    ok!(cuMemsetD8_v2(source, 7, 16));
    let mut copy = none_3d();
    (copy.srcDevice, copy.dstDevice) = (source, target);
    (copy.WidthInBytes, copy.Height, copy.Depth) = (16, 1, 1);
    let (mut copies, mut context) = (ptr::null_mut(), ptr::null_mut());
    ok!(cuCtxGetCurrent(&raw mut context));
    let to: CUgraph = graph.cast();
    ok!(cuGraphAddMemcpyNode(
        &raw mut copies,
        to,
        ptr::null(),
        0,
        &raw const copy,
        context
    ));
    let mut told = none_3d();
    ok!(cuGraphMemcpyNodeGetParams(copies, &raw mut told));
    assert_eq!(
        (told.srcDevice, told.dstDevice, told.WidthInBytes),
        (source, target, 16)
    );
    let kernel_node: CUgraphNode = added.cast();
    assert_eq!(
        sys!(cuGraphMemcpyNodeGetParams(kernel_node, &raw mut told)),
        1
    );
    copy.WidthInBytes = 4;
    ok!(cuGraphMemcpyNodeSetParams(copies, &raw const copy));
    copy.WidthInBytes = 17;
    assert_eq!(sys!(cuGraphMemcpyNodeSetParams(copies, &raw const copy)), 1);
    let mut executable = ptr::null_mut();
    ok!(cuGraphInstantiateWithFlags(&raw mut executable, to, 0));
    let run = || {
        ok!(cuGraphLaunch(executable, ptr::null_mut()));
        ok!(cuCtxSynchronize());
    };
    run();
    adder.check(0);
    assert_eq!(read(target, 6), [7, 7, 7, 7, 0, 0]);
    // It takes the parameters of a graph with the same nodes, and says where one differs.
    copy.WidthInBytes = 8;
    ok!(cuGraphMemcpyNodeSetParams(copies, &raw const copy));
    let update = cu!(
        cuda,
        cuGraphExecUpdate(*mut c_void, *mut c_void, Pointers, *mut u32)
    );
    let (mut at, mut result) = (ptr::null_mut(), 9);
    assert_eq!(
        call!(update, executable.cast(), graph, &mut at, &mut result),
        0
    );
    assert_eq!(result, 0);
    run();
    assert_eq!(read(target, 9), [7, 7, 7, 7, 7, 7, 7, 7, 0]);
    empty(to);
    assert_eq!(
        call!(
            update,
            executable.cast(),
            graph,
            ptr::null_mut(),
            &mut result
        ),
        910
    );
    assert_ne!(result, 0);
    // A node of any kind.
    // SAFETY: 0 is a value of every field.
    let mut any: sys::CUgraphNodeParams = unsafe { std::mem::zeroed() };
    any.type_ = sys::CUgraphNodeType::CU_GRAPH_NODE_TYPE_EMPTY;
    let (other, mut made) = (self::graph(), ptr::null_mut());
    let any_node = cu!(
        cuda,
        cuGraphAddNode(Pointers, *mut c_void, *const c_void, usize, *mut sys::CUgraphNodeParams)
    );
    assert_eq!(
        call!(any_node, &mut made, other.cast(), ptr::null(), 0, &mut any),
        0
    );
    assert_eq!(kinds(other).0, [5]);
}

/// Edges without data.
pub(crate) fn edges() {
    let library = in_context();
    let cuda = &library;
    let graph = graph();
    let (first, second) = (empty(graph), empty(graph));
    type List = *const CUgraphNode;
    let add = cu!(cuda, cuGraphAddDependencies(CUgraph, List, List, usize));
    let remove = cu!(cuda, cuGraphRemoveDependencies(CUgraph, List, List, usize));
    let edges = cu!(
        cuda,
        cuGraphGetEdges(CUgraph, *mut CUgraphNode, *mut CUgraphNode, *mut usize)
    );
    let before = cu!(
        cuda,
        cuGraphNodeGetDependencies(CUgraphNode, *mut CUgraphNode, *mut usize)
    );
    let behind = cu!(
        cuda,
        cuGraphNodeGetDependentNodes(CUgraphNode, *mut CUgraphNode, *mut usize)
    );
    assert_eq!(call!(add, graph, &raw const first, &raw const second, 1), 0);
    assert_eq!(
        call!(add, graph, &raw const first, &raw const second, 1),
        1,
        "twice"
    );
    let null = ptr::null_mut();
    let (mut from, mut to, mut count) = (null, null, 1);
    assert_eq!(call!(edges, graph, &mut from, &mut to, &mut count), 0);
    assert_eq!((from, to, count), (first, second, 1));
    let none = ptr::null_mut();
    assert_eq!(call!(edges, graph, none, none, &mut count), 0);
    assert_eq!(call!(edges, graph, &mut from, none, &mut count), 1);
    for (list, of, expected) in [(before, second, first), (behind, first, second)] {
        let (mut found, mut count) = (null, 1);
        assert_eq!(call!(list, of, &mut found, &mut count), 0);
        assert_eq!((found, count), (expected, 1));
    }
    let mut count = 9;
    assert_eq!(call!(before, first, none, &mut count), 0);
    assert_eq!(count, 0);
    assert_eq!(
        call!(remove, graph, &raw const first, &raw const second, 1),
        0
    );
    assert_eq!(
        call!(remove, graph, &raw const first, &raw const second, 1),
        1,
        "it is gone"
    );
}

/// Words that streams write and wait for.
pub(crate) fn words() {
    let library = in_context();
    let cuda = &library;
    let device = zeros(32);
    let stream = ptr::null_mut::<c_void>();
    let write = cu!(cuda, cuStreamWriteValue32(*mut c_void, u64, u32, u32));
    let write_long = cu!(cuda, cuStreamWriteValue64(*mut c_void, u64, u64, u32));
    let wait = cu!(cuda, cuStreamWaitValue32(*mut c_void, u64, u32, u32));
    let wait_long = cu!(cuda, cuStreamWaitValue64(*mut c_void, u64, u64, u32));
    assert_eq!(call!(write, stream, device, 5, 0), 0);
    assert_eq!(call!(write, stream, device + 2, 5, 0), 1, "not aligned");
    assert_eq!(call!(write_long, stream, device + 8, 1 << 40, 0), 0);
    assert_eq!(call!(write_long, stream, device + 4, 1, 0), 1);
    assert_eq!(
        read(device, 16)[..14],
        [5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    );
    assert_eq!(call!(wait, stream, device, 5, 1), 0);
    assert_eq!(call!(wait, stream, device, 6, 1), 801, "nobody writes it");
    assert_eq!(call!(wait_long, stream, device + 8, 1 << 40, 1), 0);
    assert_eq!(call!(wait_long, stream, device + 8, 1, 1), 801);
    // SAFETY: 0 is a value of every field.
    let mut one: sys::CUstreamBatchMemOpParams = unsafe { std::mem::zeroed() };
    one.writeValue.operation = sys::CUstreamBatchMemOpType::CU_STREAM_MEM_OP_WRITE_VALUE_32;
    one.writeValue.address = device + 16;
    one.writeValue.__bindgen_anon_1.value = 9;
    let batch = cu!(
        cuda,
        cuStreamBatchMemOp(*mut c_void, u32, *mut sys::CUstreamBatchMemOpParams, u32)
    );
    assert_eq!(call!(batch, stream, 1, &mut one, 0), 0);
    assert_eq!(call!(batch, stream, 1, &mut one, 1), 1);
    assert_eq!(read(device + 16, 4), [9, 0, 0, 0]);
}

/// What is known of a capture, and what the next work waits for.
pub(crate) fn captures() {
    let library = in_context();
    let cuda = &library;
    let mut stream: CUstream = ptr::null_mut();
    ok!(cuStreamCreate(&raw mut stream, 1));
    let device = zeros(8);
    let first = cu!(cuda, cuStreamGetCaptureInfo(CUstream, *mut u32, *mut u64));
    let (mut status, mut id) = (9, 0);
    assert_eq!(call!(first, stream, &mut status, &mut id), 0);
    assert_eq!((status, id), (0, 0));
    ok!(cuStreamBeginCapture_v2(
        stream,
        sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
    ));
    ok!(cuMemsetD8Async(device, 1, 4, stream));
    assert_eq!(call!(first, stream, &mut status, &mut id), 0);
    assert_eq!(status, 1);
    assert_ne!(id, 0);
    let second = cu!(
        cuda,
        cuStreamGetCaptureInfo_v2(
            CUstream,
            *mut u32,
            *mut u64,
            *mut CUgraph,
            *mut *const CUgraphNode,
            *mut usize,
        )
    );
    let (mut same, mut graph, mut list, mut count) = (0, ptr::null_mut(), ptr::null(), 0);
    assert_eq!(
        call!(
            second,
            stream,
            &mut status,
            &mut same,
            &mut graph,
            &mut list,
            &mut count
        ),
        0
    );
    assert_eq!((status, same, count), (1, id, 1));
    assert_eq!(kinds(graph).0, [2]);
    let update = cu!(
        cuda,
        cuStreamUpdateCaptureDependencies(CUstream, *mut CUgraphNode, usize, u32)
    );
    let mut own = empty(graph);
    assert_eq!(call!(update, stream, &mut own, 1, 0), 0);
    assert_eq!(call!(update, stream, &mut own, 1, 2), 1, "no such flag");
    ok!(cuMemsetD8Async(device + 4, 2, 4, stream));
    let mut ended = ptr::null_mut();
    ok!(cuStreamEndCapture(stream, &raw mut ended));
    assert_eq!(ended, graph);
    // The last waits for both.
    assert_eq!(kinds(graph), (vec![2, 5, 2], 2));
    assert_eq!(call!(update, stream, &mut own, 1, 0), 401, "it is over");
}

/// Copies in a batch, fills, names of errors, and functions by their names.
pub(crate) fn others() {
    let library = in_context();
    let cuda = &library;
    let mut stream: CUstream = ptr::null_mut();
    ok!(cuStreamCreate(&raw mut stream, 1));
    let (from, to) = (zeros(16), zeros(16));
    ok!(cuMemsetD16Async(from, 0x0102, 8, stream));
    assert_eq!(
        sys!(cuMemsetD16Async(from + 1, 1, 4, stream)),
        1,
        "not aligned"
    );
    assert_eq!(
        sys!(cuMemsetD16Async(from, 1, 9, stream)),
        1,
        "past its end"
    );
    let batch = cu!(
        cuda,
        cuMemcpyBatchAsync(
            *mut u64,
            *mut u64,
            *mut usize,
            usize,
            *mut sys::CUmemcpyAttributes,
            *mut usize,
            usize,
            *mut usize,
            CUstream,
        )
    );
    // SAFETY: 0 is a value of every field.
    let mut attributes: sys::CUmemcpyAttributes = unsafe { std::mem::zeroed() };
    let mut copy = |sizes: [usize; 2], attributed| {
        let (mut targets, mut sources, mut sizes) = ([to, to + 8], [from, from + 8], sizes);
        let (mut index, mut failed) = (0, 9);
        let done = call!(
            batch,
            targets.as_mut_ptr(),
            sources.as_mut_ptr(),
            sizes.as_mut_ptr(),
            2,
            &mut attributes,
            &mut index,
            attributed,
            &mut failed,
            stream
        );
        (done, failed)
    };
    assert_eq!(copy([4, 2], 1).0, 0);
    assert_eq!(read(to, 12), [2, 1, 2, 1, 0, 0, 0, 0, 2, 1, 0, 0]);
    assert_eq!(copy([4, 9], 1), (1, 1), "the second is too long");
    assert_eq!(copy([4, 2], 0), (1, usize::MAX), "of none alone");
    let name = cu!(cuda, cuGetErrorName(u32, *mut *const c_char));
    let mut text = ptr::null();
    assert_eq!(call!(name, 700, &mut text), 0);
    // SAFETY: what the library gave is text that ends with 0.
    let text_of = unsafe { CStr::from_ptr(text) };
    assert_eq!(text_of, c"CUDA_ERROR_ILLEGAL_ADDRESS");
    assert_eq!(call!(name, 12_345, &mut text), 1);
    assert!(text.is_null());
    let find = cu!(cuda, cuGetProcAddress(*const c_char, Pointers, c_int, u64));
    let look = |name: &CStr, version| {
        let mut function = ptr::null_mut();
        let done = call!(find, name.as_ptr(), &mut function, version, 0);
        (done, function.is_null())
    };
    assert_eq!(look(c"cuMemAlloc", 12_000), (0, false));
    assert_eq!(look(c"cuMemAlloc", 2_000), (500, true), "none so old");
    assert_eq!(look(c"cuNothing", 12_000), (500, true));
}
