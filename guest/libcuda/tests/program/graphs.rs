//! Programs that launch graphs.

use std::ffi::{c_char, c_void};

use super::kernels::{Adder, COUNT, Pointers};
use super::library::{Node, in_context, node, pattern};

pub(crate) fn graph() {
    let adder = Adder::new();
    let cuda = &adder.cuda;
    let mut graph = std::ptr::null_mut();
    assert_eq!(
        call!(cu!(cuda, cuGraphCreate(Pointers, u32)), &mut graph, 0),
        0
    );
    let (mut into, mut from, mut count) = (adder.into, adder.from, COUNT);
    let mut parameters: [*mut c_void; 3] = [
        (&raw mut into).cast(),
        (&raw mut from).cast(),
        (&raw mut count).cast(),
    ];
    let null: Pointers = std::ptr::null_mut();
    let node_of = |parameters| node(adder.function, COUNT.div_ceil(128), parameters);
    let node = node_of(parameters.as_mut_ptr());
    let add = cu!(
        cuda,
        cuGraphAddKernelNode(Pointers, *mut c_void, *const c_void, usize, *const Node)
    );
    let (mut first, mut second) = (null.cast(), null.cast());
    assert_eq!(call!(add, &mut first, graph, std::ptr::null(), 0, &node), 0);
    assert_eq!(
        call!(add, &mut second, graph, std::ptr::null(), 0, &node),
        0
    );
    let mut executable = std::ptr::null_mut();
    let make = cu!(
        cuda,
        cuGraphInstantiate_v2(Pointers, *mut c_void, Pointers, *mut c_char, usize)
    );
    assert_eq!(call!(make, &mut executable, graph, null, null.cast(), 0), 0);
    let launch = cu!(cuda, cuGraphLaunch(*mut c_void, *mut c_void));
    assert_eq!(call!(launch, executable, null.cast()), 0);
    adder.check(2);
    // One of the nodes does nothing from now on.
    count = 0;
    parameters[2] = (&raw mut count).cast();
    let node = node_of(parameters.as_mut_ptr());
    let set = cu!(
        cuda,
        cuGraphExecKernelNodeSetParams(*mut c_void, *mut c_void, *const Node)
    );
    assert_eq!(call!(set, executable, second, &node), 0);
    assert_eq!(call!(launch, executable, null.cast()), 0);
    adder.check(3);
    assert_eq!(
        call!(cu!(cuda, cuGraphExecDestroy(*mut c_void)), executable),
        0
    );
    assert_eq!(call!(launch, executable, null.cast()), 400);
    assert_eq!(call!(cu!(cuda, cuGraphDestroy(*mut c_void)), graph), 0);
}

/// `CUDA_MEMCPY3D`'s sides.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Side {
    place: [usize; 4],
    kind: u32,
    host: usize,
    device: u64,
    array: [usize; 2],
    pitch: usize,
    height: usize,
}

/// `CUDA_MEMCPY3D`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Rows {
    from: Side,
    to: Side,
    sizes: [usize; 3],
}

/// Bytes of device memory.
fn read(cuda: &libloading::Library, from: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    let download = cu!(cuda, cuMemcpyDtoH_v2(*mut u8, u64, usize));
    assert_eq!(call!(download, bytes.as_mut_ptr(), from, size), 0);
    bytes
}

pub(crate) fn copies() {
    let cuda = in_context();
    let alloc = cu!(cuda, cuMemAlloc_v2(*mut u64, usize));
    let upload = cu!(cuda, cuMemcpyHtoD_v2(u64, *const u8, usize));
    let clear = cu!(cuda, cuMemsetD8_v2(u64, u8, usize));
    let (mut from, mut to) = (0, 0);
    let sent = pattern(1000);
    for pointer in [&mut from, &mut to] {
        assert_eq!(call!(alloc, pointer, 1000), 0);
    }
    assert_eq!(call!(upload, from, sent.as_ptr(), 1000), 0);
    let (mut context, mut graph) = (std::ptr::null_mut(), std::ptr::null_mut());
    assert_eq!(call!(cu!(cuda, cuCtxGetCurrent(Pointers)), &mut context), 0);
    let create = cu!(cuda, cuGraphCreate(Pointers, u32));
    assert_eq!(call!(create, &mut graph, 0), 0);
    let add = cu!(
        cuda,
        cuGraphAddMemcpyNode(
            Pointers,
            *mut c_void,
            *const *mut c_void,
            usize,
            *const Rows,
            *mut c_void,
        )
    );
    // As tinygrad copies: one row.
    let side = |device, pitch| Side {
        kind: 2,
        device,
        pitch,
        height: 1,
        ..Side::default()
    };
    let row = Rows {
        from: side(from, 1000),
        to: side(to, 1000),
        sizes: [1000, 1, 1],
    };
    let null = std::ptr::null_mut::<c_void>();
    let (mut node, mut other) = (null, null);
    let none = std::ptr::null();
    let stray = [std::ptr::without_provenance_mut(0x5555)];
    assert_eq!(call!(add, &mut node, graph, none, 0, &row, context), 0);
    let depends = [node];
    let depends = depends.as_ptr();
    assert_eq!(
        call!(add, &mut other, graph, stray.as_ptr(), 1, &row, context),
        1
    );
    assert_eq!(call!(add, &mut other, graph, none, 1, &row, context), 1);
    assert_eq!(call!(add, &mut other, graph, depends, 1, &row, null), 201);
    assert_eq!(
        call!(
            add,
            &mut other,
            graph,
            depends,
            1,
            std::ptr::null(),
            context
        ),
        1
    );
    let longer = Rows {
        sizes: [1001, 1, 1],
        ..row
    };
    let array = Rows {
        from: Side {
            kind: 3,
            ..row.from
        },
        ..row
    };
    let host = Rows {
        to: Side { kind: 1, ..row.to },
        ..row
    };
    let unknown = Rows {
        to: Side { kind: 5, ..row.to },
        ..row
    };
    let freed = Rows {
        to: side(0x40, 1000),
        ..row
    };
    let empty = Rows {
        sizes: [1000, 0, 1],
        ..row
    };
    let endless = Rows {
        sizes: [8, usize::MAX, usize::MAX],
        ..row
    };
    for (wrong, result) in [
        (longer, 1),
        (array, 801),
        (host, 1),
        (unknown, 1),
        (freed, 1),
        (empty, 1),
        (endless, 1),
    ] {
        assert_eq!(
            call!(add, &mut other, graph, depends, 1, &wrong, context),
            result
        );
    }
    let make = cu!(
        cuda,
        cuGraphInstantiate_v2(Pointers, *mut c_void, Pointers, *mut c_char, usize)
    );
    let mut executable = null;
    let lost = std::ptr::null_mut();
    assert_eq!(call!(make, &mut executable, graph, lost, lost.cast(), 0), 0);
    let launch = cu!(cuda, cuGraphLaunch(*mut c_void, *mut c_void));
    assert_eq!(call!(launch, executable, null), 0);
    assert!(read(&cuda, to, 1000) == sent);
    // Rows and slices of another pitch: 2 slices of 3 rows of 5 bytes.
    assert_eq!(call!(clear, to, 0, 1000), 0);
    let rows = Rows {
        from: Side {
            pitch: 20,
            height: 4,
            place: [2, 1, 0, 0],
            ..row.from
        },
        to: Side {
            pitch: 5,
            height: 3,
            ..row.to
        },
        sizes: [5, 3, 2],
    };
    let set = cu!(
        cuda,
        cuGraphExecMemcpyNodeSetParams(*mut c_void, *mut c_void, *const Rows, *mut c_void)
    );
    assert_eq!(call!(set, executable, stray[0], &rows, context), 1);
    assert_eq!(call!(set, graph, node, &rows, null), 201);
    assert_eq!(call!(set, executable, node, &rows, context), 0);
    assert_eq!(call!(launch, executable, null), 0);
    let expected: Vec<u8> = (0..6)
        .flat_map(|row| {
            let start = 2 + (1 + row % 3) * 20 + row / 3 * 80;
            sent[start..start + 5].to_vec()
        })
        .chain([0; 970])
        .collect();
    assert!(read(&cuda, to, 1000) == expected);
    // A node stays of its kind, and its graph as it was.
    let kernel = cu!(
        cuda,
        cuGraphExecKernelNodeSetParams(*mut c_void, *mut c_void, *const Node)
    );
    let nothing = Node {
        function: null,
        sizes: [1; 7],
        parameters: lost,
        extra: lost,
    };
    assert_eq!(call!(kernel, executable, node, &nothing), 400);
    assert_eq!(call!(make, &mut executable, graph, lost, lost.cast(), 0), 0);
    assert_eq!(call!(launch, executable, null), 0);
    assert!(read(&cuda, to, 1000) == sent);
}
