//! Programs that make graphs node by node.

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use cudarc::driver::sys::{
    self, CUDA_HOST_NODE_PARAMS, CUDA_KERNEL_NODE_PARAMS, CUDA_MEMSET_NODE_PARAMS, CUcontext,
    CUgraph, CUgraphExec, CUgraphNode,
};

use super::capture::kinds;
use super::kernels::{Adder, COUNT, Pointers};
use super::library::in_context;
use super::rows::{read, zeros};

fn graph() -> CUgraph {
    let mut graph = ptr::null_mut();
    ok!(cuGraphCreate(&raw mut graph, 0));
    graph
}

fn context() -> CUcontext {
    let mut context = ptr::null_mut();
    ok!(cuCtxGetCurrent(&raw mut context));
    context
}

fn executable(graph: CUgraph) -> CUgraphExec {
    let mut executable = ptr::null_mut();
    ok!(cuGraphInstantiateWithFlags(&raw mut executable, graph, 0));
    executable
}

fn launch(executable: CUgraphExec) {
    ok!(cuGraphLaunch(executable, ptr::null_mut()));
    ok!(cuCtxSynchronize());
}

/// A node that fills 4 bytes with a value.
fn fill(graph: CUgraph, after: &[CUgraphNode], to: u64, value: u32) -> CUgraphNode {
    let mut node = ptr::null_mut();
    let parameters = four(to, value);
    let (first, count) = (after.as_ptr(), after.len());
    let context = context();
    ok!(cuGraphAddMemsetNode(
        &raw mut node,
        graph,
        first,
        count,
        &raw const parameters,
        context
    ));
    node
}

fn four(dst: u64, value: u32) -> CUDA_MEMSET_NODE_PARAMS {
    CUDA_MEMSET_NODE_PARAMS {
        dst,
        pitch: 0,
        value,
        elementSize: 1,
        width: 4,
        height: 1,
    }
}

/// Nodes, of those that a call lists.
fn listed(list: impl Fn(*mut CUgraphNode, *mut usize) -> u32) -> Vec<CUgraphNode> {
    let mut count = 0;
    assert_eq!(list(ptr::null_mut(), &raw mut count), 0);
    // There is room for one more, which becomes null.
    let mut nodes = vec![ptr::dangling_mut(); count + 1];
    let mut room = count + 1;
    assert_eq!(list(nodes.as_mut_ptr(), &raw mut room), 0);
    assert_eq!(room, count);
    assert!(nodes.pop().unwrap().is_null());
    nodes
}

fn before(node: CUgraphNode) -> Vec<CUgraphNode> {
    let null = ptr::null_mut();
    listed(|nodes, count| sys!(cuGraphNodeGetDependencies_v2(node, nodes, null, count)))
}

fn behind(node: CUgraphNode) -> Vec<CUgraphNode> {
    let null = ptr::null_mut();
    listed(|nodes, count| sys!(cuGraphNodeGetDependentNodes_v2(node, nodes, null, count)))
}

/// Edges say what comes first, whatever was added first.
pub(crate) fn edges() {
    let _cuda = in_context();
    let (graph, to) = (graph(), zeros(4));
    let last = fill(graph, &[], to, 2);
    let first = fill(graph, &[], to, 1);
    let add = |graph, from: &[CUgraphNode], to: &[CUgraphNode]| {
        let (from, to, count) = (from.as_ptr(), to.as_ptr(), from.len());
        sys!(cuGraphAddDependencies_v2(
            graph,
            from,
            to,
            ptr::null(),
            count
        ))
    };
    let remove = |from: &[CUgraphNode], to: &[CUgraphNode]| {
        let (from, to, count) = (from.as_ptr(), to.as_ptr(), from.len());
        sys!(cuGraphRemoveDependencies_v2(
            graph,
            from,
            to,
            ptr::null(),
            count
        ))
    };
    launch(executable(graph));
    assert_eq!(read(to, 4), [1; 4]);
    assert_eq!(add(graph, &[first], &[last]), 0);
    launch(executable(graph));
    assert_eq!(read(to, 4), [2; 4]);
    assert_eq!(add(graph, &[first], &[last]), 1, "twice");
    assert_eq!(add(graph, &[first], &[first]), 1, "of itself");
    let other = self::graph();
    assert_eq!(add(other, &[first], &[last]), 1, "of another graph");
    // A circle is noticed when the graph is to be launched.
    let middle = fill(graph, &[first], to, 3);
    assert_eq!(add(graph, &[middle, last], &[last, first]), 0);
    let mut none = ptr::null_mut();
    assert_eq!(
        sys!(cuGraphInstantiateWithFlags(&raw mut none, graph, 0)),
        1
    );
    // All or nothing.
    assert_eq!(remove(&[last, last], &[first, middle]), 1);
    assert_eq!(before(first), [last]);
    assert_eq!(remove(&[last], &[first]), 0);
    assert_eq!(before(last), [first, middle]);
    assert_eq!(behind(first), [last, middle]);
    let all = listed(|nodes, count| sys!(cuGraphGetNodes(graph, nodes, count)));
    assert_eq!(all, [last, first, middle]);
    let roots = listed(|nodes, count| sys!(cuGraphGetRootNodes(graph, nodes, count)));
    assert_eq!(roots, [first]);
    let (mut from, mut to, mut count) = ([ptr::null_mut(); 3], [ptr::null_mut(); 3], 3);
    ok!(cuGraphGetEdges_v2(
        graph,
        from.as_mut_ptr(),
        to.as_mut_ptr(),
        ptr::null_mut(),
        &raw mut count
    ));
    assert_eq!(count, 3);
    assert_eq!((from, to), ([first, middle, first], [last, last, middle]));
    // A node goes with its edges.
    ok!(cuGraphDestroyNode(middle));
    assert_eq!(before(last), [first]);
    assert_eq!(sys!(cuGraphDestroyNode(middle)), 1);
    let lost = listed_of(middle);
    assert_eq!(lost, 1);
}

fn listed_of(node: CUgraphNode) -> u32 {
    sys!(cuGraphNodeGetDependencies_v2(
        node,
        ptr::null_mut(),
        ptr::null_mut(),
        &mut 0
    ))
}

static CALLED: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn count(data: *mut c_void) {
    CALLED.fetch_add(data.addr() as u32, Ordering::Relaxed);
}

fn host(by: usize) -> CUDA_HOST_NODE_PARAMS {
    CUDA_HOST_NODE_PARAMS {
        fn_: Some(count),
        userData: ptr::without_provenance_mut(by),
    }
}

/// Each kind of node has parameters, which are told and changed: in a graph for what is launched
/// later, and in what can be launched.
pub(crate) fn parameters() {
    let adder = Adder::new();
    let (graph, to, context) = (graph(), zeros(8), context());
    let none = ptr::null();
    let filled = fill(graph, &[], to, 1);
    let mut called = ptr::null_mut();
    let by_one = host(1);
    ok!(cuGraphAddHostNode(
        &raw mut called,
        graph,
        none,
        0,
        &raw const by_one
    ));
    let (mut into, mut from, mut elements) = (adder.into, adder.from, COUNT);
    let mut list: [*mut c_void; 3] = [
        (&raw mut into).cast(),
        (&raw mut from).cast(),
        (&raw mut elements).cast(),
    ];
    let of = |list: Pointers, extra| CUDA_KERNEL_NODE_PARAMS {
        func: adder.function.cast(),
        gridDimX: 8,
        gridDimY: 1,
        gridDimZ: 1,
        blockDimX: 128,
        blockDimY: 1,
        blockDimZ: 1,
        sharedMemBytes: 16,
        kernelParams: list,
        extra,
        kern: ptr::null_mut(),
        ctx: ptr::null_mut(),
    };
    let kernel = of(list.as_mut_ptr(), ptr::null_mut());
    let mut added = ptr::null_mut();
    ok!(cuGraphAddKernelNode_v2(
        &raw mut added,
        graph,
        none,
        0,
        &raw const kernel
    ));
    let mut events = [ptr::null_mut(); 2];
    for event in &mut events {
        ok!(cuEventCreate(event, 0));
    }
    let (mut recorded, mut waited) = (ptr::null_mut(), ptr::null_mut());
    ok!(cuGraphAddEventRecordNode(
        &raw mut recorded,
        graph,
        none,
        0,
        events[0]
    ));
    ok!(cuGraphAddEventWaitNode(
        &raw mut waited,
        graph,
        none,
        0,
        events[0]
    ));
    let stray = ptr::without_provenance_mut(0x5555);
    assert_eq!(
        sys!(cuGraphAddEventWaitNode(
            &raw mut waited,
            graph,
            none,
            0,
            stray
        )),
        400
    );
    assert_eq!(kinds(graph).0, [2, 3, 0, 7, 6]);
    // What they are.
    let mut told = four(0, 0);
    ok!(cuGraphMemsetNodeGetParams(filled, &raw mut told));
    assert_eq!((told.dst, told.value, told.width), (to, 1, 4));
    let mut told = host(0);
    ok!(cuGraphHostNodeGetParams(called, &raw mut told));
    assert_eq!(told.userData.addr(), 1);
    let mut told = of(ptr::null_mut(), ptr::null_mut());
    ok!(cuGraphKernelNodeGetParams_v2(added, &raw mut told));
    assert_eq!(
        (told.func.cast(), told.gridDimX, told.sharedMemBytes),
        (adder.function, 8, 16)
    );
    assert_eq!((told.blockDimX, told.ctx), (128, context));
    // SAFETY: the list has a pointer for each parameter.
    let told = unsafe { std::slice::from_raw_parts(told.kernelParams, 3) };
    // SAFETY: the second has 64 bits.
    let second = unsafe { told[1].cast::<u64>().read_unaligned() };
    // SAFETY: the third has 32 bits.
    let third = unsafe { told[2].cast::<u32>().read_unaligned() };
    let values = (second, third);
    assert_eq!(values, (adder.from, COUNT));
    let mut event = ptr::null_mut();
    ok!(cuGraphEventRecordNodeGetEvent(recorded, &raw mut event));
    assert_eq!(event, events[0]);
    ok!(cuGraphEventWaitNodeGetEvent(waited, &raw mut event));
    assert_eq!(event, events[0]);
    // Of another kind there is nothing to tell or change.
    assert_eq!(sys!(cuGraphMemsetNodeGetParams(called, &mut four(0, 0))), 1);
    assert_eq!(sys!(cuGraphHostNodeGetParams(filled, &mut host(0))), 1);
    assert_eq!(
        sys!(cuGraphEventWaitNodeGetEvent(recorded, &raw mut event)),
        1
    );
    assert_eq!(sys!(cuGraphHostNodeSetParams(filled, &raw const by_one)), 1);
    let all = executable(graph);
    launch(all);
    adder.check(1);
    assert_eq!(
        (read(to, 8), CALLED.swap(0, Ordering::Relaxed)),
        (vec![1, 1, 1, 1, 0, 0, 0, 0], 1)
    );
    // The graph's nodes change, and not what was made of them.
    let (other, by_ten) = (four(to + 4, 2), host(10));
    ok!(cuGraphMemsetNodeSetParams(filled, &raw const other));
    ok!(cuGraphHostNodeSetParams(called, &raw const by_ten));
    elements = 0;
    list[2] = (&raw mut elements).cast();
    let kernel = of(list.as_mut_ptr(), ptr::null_mut());
    ok!(cuGraphKernelNodeSetParams_v2(added, &raw const kernel));
    ok!(cuGraphEventRecordNodeSetEvent(recorded, events[1]));
    ok!(cuGraphEventWaitNodeSetEvent(waited, events[1]));
    launch(all);
    adder.check(2);
    assert_eq!(CALLED.swap(0, Ordering::Relaxed), 1);
    assert_eq!(read(to + 4, 4), [0; 4]);
    let changed = executable(graph);
    launch(changed);
    adder.check(2);
    assert_eq!(
        (read(to + 4, 4), CALLED.swap(0, Ordering::Relaxed)),
        (vec![2; 4], 10)
    );
    // And the other way round; a node may be left out.
    let third = four(to, 3);
    ok!(cuGraphExecMemsetNodeSetParams(
        all,
        filled,
        &raw const third,
        context
    ));
    ok!(cuGraphExecHostNodeSetParams(all, called, &raw const by_ten));
    ok!(cuGraphExecEventRecordNodeSetEvent(all, recorded, events[1]));
    ok!(cuGraphExecEventWaitNodeSetEvent(all, waited, events[1]));
    ok!(cuGraphNodeSetEnabled(all, added, 0));
    let mut enabled = 9;
    ok!(cuGraphNodeGetEnabled(all, added, &raw mut enabled));
    assert_eq!(enabled, 0);
    assert_eq!(
        sys!(cuGraphNodeSetEnabled(all, called, 0)),
        1,
        "a host's node may not"
    );
    launch(all);
    adder.check(2);
    assert_eq!(
        (read(to, 4), CALLED.swap(0, Ordering::Relaxed)),
        (vec![3; 4], 10)
    );
    ok!(cuGraphNodeSetEnabled(all, added, 1));
    launch(all);
    adder.check(3);
    // Of no elements from now on, here.
    ok!(cuGraphExecKernelNodeSetParams_v2(
        all,
        added,
        &raw const kernel
    ));
    launch(all);
    adder.check(3);
    assert_eq!(
        sys!(cuGraphExecKernelNodeSetParams_v2(
            all,
            called,
            &raw const kernel
        )),
        1
    );
    assert_eq!(
        sys!(cuGraphExecMemsetNodeSetParams(
            all,
            called,
            &raw const third,
            context
        )),
        1
    );
    for wrong in [
        CUDA_MEMSET_NODE_PARAMS { width: 9, ..third },
        CUDA_MEMSET_NODE_PARAMS { width: 0, ..third },
        CUDA_MEMSET_NODE_PARAMS {
            elementSize: 3,
            ..third
        },
        CUDA_MEMSET_NODE_PARAMS {
            elementSize: 4,
            dst: to + 2,
            width: 1,
            ..third
        },
    ] {
        assert_eq!(
            sys!(cuGraphMemsetNodeSetParams(filled, &raw const wrong)),
            1
        );
    }
    // The parameters of nodes of any kind.
    // SAFETY: 0 is a value of every field.
    let mut any: sys::CUgraphNodeParams = unsafe { std::mem::zeroed() };
    any.type_ = sys::CUgraphNodeType::CU_GRAPH_NODE_TYPE_MEMSET;
    any.__bindgen_anon_1.memset = sys::CUDA_MEMSET_NODE_PARAMS_v2 {
        dst: to,
        pitch: 0,
        value: 5,
        elementSize: 4,
        width: 2,
        height: 1,
        ctx: context,
    };
    let mut node = ptr::null_mut();
    let graph = self::graph();
    ok!(cuGraphAddNode_v2(
        &raw mut node,
        graph,
        none,
        ptr::null(),
        0,
        &raw mut any
    ));
    any.type_ = sys::CUgraphNodeType::CU_GRAPH_NODE_TYPE_HOST;
    any.__bindgen_anon_1.host.fn_ = Some(count);
    any.__bindgen_anon_1.host.userData = ptr::without_provenance_mut(7);
    ok!(cuGraphAddNode_v2(
        &raw mut node,
        graph,
        &raw const node,
        ptr::null(),
        1,
        &raw mut any
    ));
    any.__bindgen_anon_1.host.userData = ptr::without_provenance_mut(8);
    ok!(cuGraphNodeSetParams(node, &raw mut any));
    let mixed = executable(graph);
    any.__bindgen_anon_1.host.userData = ptr::without_provenance_mut(9);
    ok!(cuGraphExecNodeSetParams(mixed, node, &raw mut any));
    CALLED.store(0, Ordering::Relaxed);
    launch(mixed);
    assert_eq!(
        (read(to, 8), CALLED.load(Ordering::Relaxed)),
        (vec![5, 0, 0, 0, 5, 0, 0, 0], 9)
    );
    any.type_ = sys::CUgraphNodeType::CU_GRAPH_NODE_TYPE_CONDITIONAL;
    let added = sys!(cuGraphAddNode_v2(
        &raw mut node,
        graph,
        none,
        ptr::null(),
        0,
        &raw mut any
    ));
    assert_eq!(added, 801);
}

/// Graphs in graphs, copies of graphs, and what can be launched taking another's parameters.
pub(crate) fn copies() {
    let _cuda = in_context();
    let (child, to, context) = (graph(), zeros(8), context());
    let inner = fill(child, &[], to, 1);
    let outer = graph();
    let first = fill(outer, &[], to, 9);
    let mut node = ptr::null_mut();
    let after = [first];
    ok!(cuGraphAddChildGraphNode(
        &raw mut node,
        outer,
        after.as_ptr(),
        1,
        child
    ));
    let last = fill(outer, &[node], to + 2, 2);
    assert_eq!(
        sys!(cuGraphAddChildGraphNode(
            &raw mut node,
            outer,
            after.as_ptr(),
            1,
            outer
        )),
        1
    );
    // The node has a copy: what becomes of the child is nothing to it.
    ok!(cuGraphDestroyNode(inner));
    let all = executable(outer);
    launch(all);
    assert_eq!(read(to, 8), [1, 1, 2, 2, 2, 2, 0, 0]);
    let mut embedded = ptr::null_mut();
    ok!(cuGraphChildGraphNodeGetGraph(node, &raw mut embedded));
    assert_eq!(kinds(embedded).0, [2]);
    assert_eq!(sys!(cuGraphDestroy(embedded)), 1, "it is its node's");
    assert_eq!(
        sys!(cuGraphChildGraphNodeGetGraph(first, &raw mut embedded)),
        1
    );
    let other = graph();
    fill(other, &[], to, 4);
    ok!(cuGraphExecChildGraphNodeSetParams(all, node, other));
    launch(all);
    assert_eq!(read(to, 8), [4, 4, 2, 2, 2, 2, 0, 0]);
    let two = graph();
    fill(two, &[], to, 4);
    fill(two, &[], to, 4);
    assert_eq!(sys!(cuGraphExecChildGraphNodeSetParams(all, node, two)), 1);
    assert_eq!(
        sys!(cuGraphExecChildGraphNodeSetParams(all, last, other)),
        1
    );
    // A clone has nodes of its own.
    let mut clone = ptr::null_mut();
    ok!(cuGraphClone(&raw mut clone, outer));
    let mut twin = ptr::null_mut();
    ok!(cuGraphNodeFindInClone(&raw mut twin, last, clone));
    assert!(twin != last && kinds(clone) == kinds(outer));
    let eight = four(to, 8);
    ok!(cuGraphMemsetNodeSetParams(twin, &raw const eight));
    launch(executable(outer));
    assert_eq!(read(to, 8), [1, 1, 2, 2, 2, 2, 0, 0]);
    launch(executable(clone));
    assert_eq!(read(to, 8), [8, 8, 8, 8, 2, 2, 0, 0]);
    assert_eq!(sys!(cuGraphNodeFindInClone(&raw mut twin, last, outer)), 1);
    // What can be launched takes the parameters of a graph of the same shape.
    // SAFETY: 0 is a value of every field.
    let mut result: sys::CUgraphExecUpdateResultInfo = unsafe { std::mem::zeroed() };
    let mut update = |graph| {
        let done = sys!(cuGraphExecUpdate_v2(all, graph, &raw mut result));
        (done, result.result as u32)
    };
    assert_eq!(update(clone), (0, 0));
    launch(all);
    assert_eq!(read(to, 8), [8, 8, 8, 8, 2, 2, 0, 0]);
    assert_eq!(update(two), (910, 3), "other kinds");
    ok!(cuGraphRemoveDependencies_v2(
        clone,
        ptr::null(),
        ptr::null(),
        ptr::null(),
        0
    ));
    let unlike = graph();
    let start = fill(unlike, &[], to, 1);
    ok!(cuGraphAddChildGraphNode(
        &raw mut node,
        unlike,
        ptr::null(),
        0,
        other
    ));
    fill(unlike, &[start], to, 1);
    assert_eq!(update(unlike), (910, 2), "other edges");
    fill(outer, &[last], to, 5);
    assert_eq!(update(outer), (910, 2), "a node more");
    // The ways to make it.
    let mut made = ptr::null_mut();
    for flags in [16, 32] {
        assert_eq!(
            sys!(cuGraphInstantiateWithFlags(&raw mut made, outer, flags)),
            1
        );
    }
    assert_eq!(
        sys!(cuGraphInstantiateWithFlags(&raw mut made, outer, 4)),
        801
    );
    ok!(cuGraphInstantiateWithFlags(&raw mut made, outer, 1));
    let mut flags = 0;
    ok!(cuGraphExecGetFlags(made, &raw mut flags));
    assert_eq!(flags, 1);
    // SAFETY: as above.
    let mut how: sys::CUDA_GRAPH_INSTANTIATE_PARAMS = unsafe { std::mem::zeroed() };
    ok!(cuGraphInstantiateWithParams(
        &raw mut made,
        outer,
        &raw mut how
    ));
    assert_eq!(how.result_out as u32, 0);
    ok!(cuGraphUpload(made, ptr::null_mut()));
    // A graph without nodes does nothing.
    launch(executable(graph()));
    let mut empty = ptr::null_mut();
    ok!(cuGraphAddMemsetNode(
        &raw mut empty,
        other,
        ptr::null(),
        0,
        &raw const eight,
        context
    ));
}
