//! Our library, as a program loads it.

use std::ffi::{c_int, c_void};

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

/// Calls a function of libcuda by cudarc's bindings, with arguments that are right; gives the number
/// of its result.
macro_rules! sys {
    ($name:ident($($argument:expr),* $(,)?)) => {{
        // SAFETY: each pointer is valid for what the driver API says of it.
        (unsafe { cudarc::driver::sys::$name($($argument),*) }) as u32
    }};
}

/// The same, for what has to succeed.
macro_rules! ok {
    ($name:ident($($argument:expr),* $(,)?)) => {
        assert_eq!(sys!($name($($argument),*)), 0, stringify!($name))
    };
}

/// Opens the library.
pub(crate) fn open(name: &str) -> libloading::Library {
    // SAFETY: it is our own library, whose start runs nothing.
    let library = unsafe { libloading::Library::new(name) };
    library.unwrap()
}

/// Opens the library, and makes a context, which is current.
pub(crate) fn in_context() -> libloading::Library {
    let cuda = open("libcuda.so.1");
    assert_eq!(call!(cu!(cuda, cuInit(u32)), 0), 0);
    let mut context = std::ptr::null_mut();
    let create = cu!(cuda, cuCtxCreate_v2(*mut *mut c_void, u32, c_int));
    assert_eq!(call!(create, &mut context, 0, 0), 0);
    cuda
}

/// Launches a kernel of blocks that are a row of threads, in the stream that there is anyway.
pub(crate) fn launch(
    cuda: &libloading::Library,
    function: *mut c_void,
    [x, y, z]: [u32; 3],
    block: u32,
    shared: u32,
    parameters: *mut *mut c_void,
    extra: *mut *mut c_void,
) -> u32 {
    let launch = cu!(
        cuda,
        cuLaunchKernel(
            *mut c_void,
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
            *mut c_void,
            *mut *mut c_void,
            *mut *mut c_void,
        )
    );
    let stream = std::ptr::null_mut();
    call!(
        launch, function, x, y, z, block, 1, 1, shared, stream, parameters, extra
    )
}

/// `CUDA_KERNEL_NODE_PARAMS` of its first version.
#[repr(C)]
pub(crate) struct Node {
    pub(crate) function: *mut c_void,
    pub(crate) sizes: [u32; 7],
    pub(crate) parameters: *mut *mut c_void,
    pub(crate) extra: *mut *mut c_void,
}

/// A node of a kernel with blocks of 128 threads.
pub(crate) fn node(function: *mut c_void, blocks: u32, parameters: *mut *mut c_void) -> Node {
    Node {
        function,
        sizes: [blocks, 1, 1, 128, 1, 1, 0],
        parameters,
        extra: std::ptr::null_mut(),
    }
}

/// An executable graph of kernels.
pub(crate) fn executable(cuda: &libloading::Library, nodes: &[Node]) -> *mut c_void {
    let (mut graph, mut executable) = (std::ptr::null_mut(), std::ptr::null_mut());
    assert_eq!(
        call!(
            cu!(cuda, cuGraphCreate(*mut *mut c_void, u32)),
            &mut graph,
            0
        ),
        0
    );
    let add = cu!(
        cuda,
        cuGraphAddKernelNode(*mut *mut c_void, *mut c_void, *const c_void, usize, *const Node)
    );
    for node in nodes {
        let mut added = std::ptr::null_mut();
        assert_eq!(call!(add, &mut added, graph, std::ptr::null(), 0, node), 0);
    }
    let make = cu!(
        cuda,
        cuGraphInstantiateWithFlags(*mut *mut c_void, *mut c_void, u64)
    );
    assert_eq!(call!(make, &mut executable, graph, 0), 0);
    executable
}

/// Bytes that differ from each other.
pub(crate) fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n * 31 + n / 251) as u8).collect()
}
