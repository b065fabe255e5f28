//! The driver API that programs see, and the messages that carry it.
//!
//! This file is read by the generator beside it, and is no module of any crate.
//! Names and types are those of the crate cudarc, which a test compares.
//!
//! A function's class says what it costs: `local` sends nothing, `asynchronous`
//! sends and does not wait, `shadow` makes a handle here and does not wait,
//! `sync` waits for its answer. `since` is the CUDA version that brought the
//! name; `per_thread` is the suffix of the variant that takes the stream 0 for
//! the thread's own.
//!
//! Of parameters, `out` is written, `optional` may be null, `input` is read,
//! `bytes(n)` points to as many bytes as the parameter n says, `text` ends with
//! 0, and `by(f)` is what `guest/libcuda/src/pointers.rs` makes of it in `f`.

/// What `libcuda.so.1` exports.
pub trait Driver {
    // Start and errors.

    #[local]
    #[since(2000)]
    fn cuInit(Flags: c_uint);
    #[local]
    #[since(2020)]
    fn cuDriverGetVersion(#[out] driverVersion: *mut c_int);
    #[local]
    #[since(6000)]
    fn cuGetErrorName(error: CUresult, #[out] pStr: *mut *const c_char);
    #[local]
    #[since(6000)]
    fn cuGetErrorString(error: CUresult, #[out] pStr: *mut *const c_char);
    #[local]
    #[since(12000)]
    fn cuGetProcAddress_v2(
        #[text] symbol: *const c_char,
        #[out] pfn: *mut *mut c_void,
        cudaVersion: c_int,
        flags: cuuint64_t,
        #[out]
        #[optional]
        symbolStatus: *mut CUdriverProcAddressQueryResult,
    );
    #[local]
    #[since(11030)]
    fn cuGetProcAddress(
        #[text] symbol: *const c_char,
        #[out] pfn: *mut *mut c_void,
        cudaVersion: c_int,
        flags: cuuint64_t,
    );
    #[local]
    #[since(3000)]
    fn cuGetExportTable(
        #[out] ppExportTable: *mut *const c_void,
        #[input] pExportTableId: *const CUuuid,
    );

    // Devices.

    #[local]
    #[since(2000)]
    fn cuDeviceGet(#[out] device: *mut CUdevice, ordinal: c_int);
    #[local]
    #[since(2000)]
    fn cuDeviceGetCount(#[out] count: *mut c_int);
    #[local]
    #[since(2000)]
    fn cuDeviceGetName(#[bytes(len)] name: *mut c_char, len: c_int, dev: CUdevice);
    #[local]
    #[since(9020)]
    fn cuDeviceGetUuid(#[out] uuid: *mut CUuuid, dev: CUdevice);
    #[local]
    #[since(11040)]
    fn cuDeviceGetUuid_v2(#[out] uuid: *mut CUuuid, dev: CUdevice);
    #[local]
    #[since(3020)]
    fn cuDeviceTotalMem_v2(#[out] bytes: *mut usize, dev: CUdevice);
    #[local]
    #[since(2000)]
    fn cuDeviceGetAttribute(#[out] pi: *mut c_int, attrib: CUdevice_attribute, dev: CUdevice);
    #[local]
    #[since(2000)]
    fn cuDeviceComputeCapability(#[out] major: *mut c_int, #[out] minor: *mut c_int, dev: CUdevice);
    #[local]
    #[since(7000)]
    fn cuDevicePrimaryCtxRetain(#[out] pctx: *mut CUcontext, dev: CUdevice);
    #[local]
    #[since(11000)]
    fn cuDevicePrimaryCtxRelease_v2(dev: CUdevice);
    #[local]
    #[since(7000)]
    fn cuDevicePrimaryCtxGetState(
        dev: CUdevice,
        #[out] flags: *mut c_uint,
        #[out] active: *mut c_int,
    );
    #[local]
    #[since(11000)]
    fn cuDevicePrimaryCtxSetFlags_v2(dev: CUdevice, flags: c_uint);
    #[local]
    #[since(11000)]
    fn cuDevicePrimaryCtxReset_v2(dev: CUdevice);

    // Contexts.

    #[local]
    #[since(3020)]
    fn cuCtxCreate_v2(#[out] pctx: *mut CUcontext, flags: c_uint, dev: CUdevice);
    #[local]
    #[since(12050)]
    fn cuCtxCreate_v4(
        #[out] pctx: *mut CUcontext,
        ctxCreateParams: *mut CUctxCreateParams,
        flags: c_uint,
        dev: CUdevice,
    );
    #[local]
    #[since(4000)]
    fn cuCtxDestroy_v2(ctx: CUcontext);
    #[local]
    #[since(4000)]
    fn cuCtxGetCurrent(#[out] pctx: *mut CUcontext);
    #[local]
    #[since(4000)]
    fn cuCtxSetCurrent(ctx: CUcontext);
    #[local]
    #[since(4000)]
    fn cuCtxPushCurrent_v2(ctx: CUcontext);
    #[local]
    #[since(4000)]
    fn cuCtxPopCurrent_v2(
        #[out]
        #[optional]
        pctx: *mut CUcontext,
    );
    #[local]
    #[since(2000)]
    fn cuCtxGetDevice(#[out] device: *mut CUdevice);
    #[local]
    #[since(13000)]
    fn cuCtxGetDevice_v2(#[out] device: *mut CUdevice, ctx: CUcontext);
    #[sync]
    #[since(2000)]
    fn cuCtxSynchronize();
    #[sync]
    #[since(13000)]
    fn cuCtxSynchronize_v2(ctx: CUcontext);
    #[local]
    #[since(5050)]
    fn cuCtxGetStreamPriorityRange(
        #[out]
        #[optional]
        leastPriority: *mut c_int,
        #[out]
        #[optional]
        greatestPriority: *mut c_int,
    );
    #[local]
    #[since(3020)]
    fn cuCtxGetApiVersion(ctx: CUcontext, #[out] version: *mut c_uint);
    #[local]
    #[since(7000)]
    fn cuCtxGetFlags(#[out] flags: *mut c_uint);

    // Memory.

    #[sync]
    #[since(3020)]
    fn cuMemAlloc_v2(#[out] dptr: *mut CUdeviceptr, bytesize: usize);
    #[asynchronous]
    #[since(3020)]
    fn cuMemFree_v2(dptr: CUdeviceptr);
    #[sync]
    #[since(3020)]
    fn cuMemGetInfo_v2(
        #[out]
        #[optional]
        free: *mut usize,
        #[out]
        #[optional]
        total: *mut usize,
    );
    #[sync]
    #[since(11020)]
    #[per_thread(ptsz)]
    fn cuMemAllocAsync(#[out] dptr: *mut CUdeviceptr, bytesize: usize, hStream: CUstream);
    #[asynchronous]
    #[since(11020)]
    #[per_thread(ptsz)]
    fn cuMemFreeAsync(dptr: CUdeviceptr, hStream: CUstream);
    #[sync]
    #[since(2020)]
    fn cuMemHostAlloc(#[out] pp: *mut *mut c_void, bytesize: usize, Flags: c_uint);
    #[sync]
    #[since(3020)]
    fn cuMemAllocHost_v2(#[out] pp: *mut *mut c_void, bytesize: usize);
    #[sync]
    #[since(2000)]
    fn cuMemFreeHost(p: *mut c_void);
    #[local]
    #[since(4000)]
    fn cuPointerGetAttribute(
        #[by(untyped)] data: *mut c_void,
        attribute: CUpointer_attribute,
        ptr: CUdeviceptr,
    );

    // Copies.

    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptds)]
    fn cuMemcpyHtoD_v2(
        dstDevice: CUdeviceptr,
        #[bytes(ByteCount)] srcHost: *const c_void,
        ByteCount: usize,
    );
    #[sync]
    #[since(3020)]
    #[per_thread(ptds)]
    fn cuMemcpyDtoH_v2(
        #[bytes(ByteCount)] dstHost: *mut c_void,
        srcDevice: CUdeviceptr,
        ByteCount: usize,
    );
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptds)]
    fn cuMemcpyDtoD_v2(dstDevice: CUdeviceptr, srcDevice: CUdeviceptr, ByteCount: usize);
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptsz)]
    fn cuMemcpyHtoDAsync_v2(
        dstDevice: CUdeviceptr,
        #[bytes(ByteCount)] srcHost: *const c_void,
        ByteCount: usize,
        hStream: CUstream,
    );
    #[sync]
    #[since(3020)]
    #[per_thread(ptsz)]
    fn cuMemcpyDtoHAsync_v2(
        #[bytes(ByteCount)] dstHost: *mut c_void,
        srcDevice: CUdeviceptr,
        ByteCount: usize,
        hStream: CUstream,
    );
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptsz)]
    fn cuMemcpyDtoDAsync_v2(
        dstDevice: CUdeviceptr,
        srcDevice: CUdeviceptr,
        ByteCount: usize,
        hStream: CUstream,
    );
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptds)]
    fn cuMemsetD8_v2(dstDevice: CUdeviceptr, uc: c_uchar, N: usize);
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptds)]
    fn cuMemsetD16_v2(dstDevice: CUdeviceptr, us: c_ushort, N: usize);
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptds)]
    fn cuMemsetD32_v2(dstDevice: CUdeviceptr, ui: c_uint, N: usize);
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptsz)]
    fn cuMemsetD8Async(dstDevice: CUdeviceptr, uc: c_uchar, N: usize, hStream: CUstream);
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptsz)]
    fn cuMemsetD16Async(dstDevice: CUdeviceptr, us: c_ushort, N: usize, hStream: CUstream);
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptsz)]
    fn cuMemsetD32Async(dstDevice: CUdeviceptr, ui: c_uint, N: usize, hStream: CUstream);

    // Streams.

    #[shadow]
    #[since(2000)]
    fn cuStreamCreate(#[out] phStream: *mut CUstream, Flags: c_uint);
    #[shadow]
    #[since(5050)]
    fn cuStreamCreateWithPriority(#[out] phStream: *mut CUstream, flags: c_uint, priority: c_int);
    #[asynchronous]
    #[since(4000)]
    fn cuStreamDestroy_v2(hStream: CUstream);
    #[sync]
    #[since(2000)]
    #[per_thread(ptsz)]
    fn cuStreamSynchronize(hStream: CUstream);
    #[sync]
    #[since(2000)]
    #[per_thread(ptsz)]
    fn cuStreamQuery(hStream: CUstream);
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptsz)]
    fn cuStreamWaitEvent(hStream: CUstream, hEvent: CUevent, Flags: c_uint);
    #[local]
    #[since(10000)]
    #[per_thread(ptsz)]
    fn cuStreamIsCapturing(hStream: CUstream, #[out] captureStatus: *mut CUstreamCaptureStatus);

    // Events.

    #[shadow]
    #[since(2000)]
    fn cuEventCreate(#[out] phEvent: *mut CUevent, Flags: c_uint);
    #[asynchronous]
    #[since(4000)]
    fn cuEventDestroy_v2(hEvent: CUevent);
    #[asynchronous]
    #[since(2000)]
    #[per_thread(ptsz)]
    fn cuEventRecord(hEvent: CUevent, hStream: CUstream);
    #[sync]
    #[since(2000)]
    fn cuEventQuery(hEvent: CUevent);
    #[sync]
    #[since(2000)]
    fn cuEventSynchronize(hEvent: CUevent);
    #[sync]
    #[since(2000)]
    fn cuEventElapsedTime(#[out] pMilliseconds: *mut f32, hStart: CUevent, hEnd: CUevent);
    #[sync]
    #[since(12080)]
    fn cuEventElapsedTime_v2(#[out] pMilliseconds: *mut f32, hStart: CUevent, hEnd: CUevent);

    // Modules, libraries and functions.

    #[sync]
    #[since(2000)]
    fn cuModuleLoadData(#[out] module: *mut CUmodule, #[by(image)] image: *const c_void);
    #[sync]
    #[since(2010)]
    fn cuModuleLoadDataEx(
        #[out] module: *mut CUmodule,
        #[by(image)] image: *const c_void,
        numOptions: c_uint,
        options: *mut CUjit_option,
        optionValues: *mut *mut c_void,
    );
    #[asynchronous]
    #[since(2000)]
    fn cuModuleUnload(hmod: CUmodule);
    #[local]
    #[since(2000)]
    fn cuModuleGetFunction(
        #[out] hfunc: *mut CUfunction,
        hmod: CUmodule,
        #[text] name: *const c_char,
    );
    #[local]
    #[since(3020)]
    fn cuModuleGetGlobal_v2(
        #[out]
        #[optional]
        dptr: *mut CUdeviceptr,
        #[out]
        #[optional]
        bytes: *mut usize,
        hmod: CUmodule,
        #[text] name: *const c_char,
    );
    #[sync]
    #[since(12000)]
    fn cuLibraryLoadData(
        #[out] library: *mut CUlibrary,
        #[by(image)] code: *const c_void,
        jitOptions: *mut CUjit_option,
        jitOptionsValues: *mut *mut c_void,
        numJitOptions: c_uint,
        libraryOptions: *mut CUlibraryOption,
        libraryOptionValues: *mut *mut c_void,
        numLibraryOptions: c_uint,
    );
    #[asynchronous]
    #[since(12000)]
    fn cuLibraryUnload(library: CUlibrary);
    #[local]
    #[since(12000)]
    fn cuLibraryGetKernel(
        #[out] pKernel: *mut CUkernel,
        library: CUlibrary,
        #[text] name: *const c_char,
    );
    #[local]
    #[since(12000)]
    fn cuKernelGetFunction(#[out] pFunc: *mut CUfunction, kernel: CUkernel);
    #[local]
    #[since(12000)]
    fn cuKernelGetAttribute(
        #[out] pi: *mut c_int,
        attrib: CUfunction_attribute,
        kernel: CUkernel,
        dev: CUdevice,
    );
    #[local]
    #[since(2020)]
    fn cuFuncGetAttribute(#[out] pi: *mut c_int, attrib: CUfunction_attribute, hfunc: CUfunction);
    #[local]
    #[since(9000)]
    fn cuFuncSetAttribute(hfunc: CUfunction, attrib: CUfunction_attribute, value: c_int);
    #[local]
    #[since(12040)]
    fn cuFuncGetParamInfo(
        func: CUfunction,
        paramIndex: usize,
        #[out] paramOffset: *mut usize,
        #[out]
        #[optional]
        paramSize: *mut usize,
    );
    #[asynchronous]
    #[since(4000)]
    #[per_thread(ptsz)]
    fn cuLaunchKernel(
        f: CUfunction,
        gridDimX: c_uint,
        gridDimY: c_uint,
        gridDimZ: c_uint,
        blockDimX: c_uint,
        blockDimY: c_uint,
        blockDimZ: c_uint,
        sharedMemBytes: c_uint,
        hStream: CUstream,
        #[by(arguments)] kernelParams: *mut *mut c_void,
        #[by(arguments)] extra: *mut *mut c_void,
    );
    #[asynchronous]
    #[since(11060)]
    fn cuLaunchKernelEx(
        #[input] config: *const CUlaunchConfig,
        f: CUfunction,
        #[by(arguments)] kernelParams: *mut *mut c_void,
        #[by(arguments)] extra: *mut *mut c_void,
    );

    // Graphs.

    #[local]
    #[since(10000)]
    fn cuGraphCreate(#[out] phGraph: *mut CUgraph, flags: c_uint);
    #[local]
    #[since(10000)]
    fn cuGraphDestroy(hGraph: CUgraph);
    #[local]
    #[since(10000)]
    fn cuGraphAddKernelNode(
        #[out] phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        dependencies: *const CUgraphNode,
        numDependencies: usize,
        #[by(kernel_node)] nodeParams: *const CUDA_KERNEL_NODE_PARAMS,
    );
    #[local]
    #[since(12000)]
    fn cuGraphAddKernelNode_v2(
        #[out] phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        dependencies: *const CUgraphNode,
        numDependencies: usize,
        #[by(kernel_node)] nodeParams: *const CUDA_KERNEL_NODE_PARAMS,
    );
    #[local]
    #[since(11000)]
    fn cuGraphInstantiate_v2(
        #[out] phGraphExec: *mut CUgraphExec,
        hGraph: CUgraph,
        #[out]
        #[optional]
        phErrorNode: *mut CUgraphNode,
        #[bytes(bufferSize)] logBuffer: *mut c_char,
        bufferSize: usize,
    );
    #[local]
    #[since(12000)]
    fn cuGraphInstantiateWithFlags(
        #[out] phGraphExec: *mut CUgraphExec,
        hGraph: CUgraph,
        flags: c_ulonglong,
    );
    #[local]
    #[since(10000)]
    fn cuGraphExecDestroy(hGraphExec: CUgraphExec);
    #[local]
    #[since(10010)]
    fn cuGraphExecKernelNodeSetParams(
        hGraphExec: CUgraphExec,
        hNode: CUgraphNode,
        #[by(kernel_node)] nodeParams: *const CUDA_KERNEL_NODE_PARAMS,
    );
    #[local]
    #[since(12000)]
    fn cuGraphExecKernelNodeSetParams_v2(
        hGraphExec: CUgraphExec,
        hNode: CUgraphNode,
        #[by(kernel_node)] nodeParams: *const CUDA_KERNEL_NODE_PARAMS,
    );
    #[asynchronous]
    #[since(10000)]
    #[per_thread(ptsz)]
    fn cuGraphLaunch(hGraphExec: CUgraphExec, hStream: CUstream);
}

/// What travels in records. A number is never used again for another message:
/// `operations.txt` remembers all that ever were.
///
/// A message with a result is waited for, even if the result is `()`; one
/// without is not, and its failure is the session's sticky fault. `data` is
/// what follows the other fields, of any length.
pub trait Message {
    /// Begins a session: the host writes what it is to the arena. `base` and
    /// `size` are the addresses that the program keeps free for device memory.
    #[op(0x0001)]
    fn hello(arena: u64, capacity: u64, base: u64, size: u64) -> u64;
    /// All that was sent before is done.
    #[op(0x0002)]
    fn synchronize() -> ();

    /// Device memory of so many bytes; gives its address.
    #[op(0x0010)]
    fn memory_allocate(size: u64) -> u64;
    /// The end of an allocation.
    #[op(0x0011)]
    fn memory_free(pointer: u64);
    /// Free and total bytes.
    #[op(0x0012)]
    fn memory_info() -> (u64, u64);

    /// Bytes for device memory, in the record.
    #[op(0x0020)]
    fn write(destination: u64, stream: u64, data: &[u8]);
    /// Bytes for device memory, from the slice's arena (region 0) or a region.
    #[op(0x0021)]
    fn write_from(destination: u64, stream: u64, region: u32, offset: u64, size: u64);
    /// Bytes of device memory, to the slice's arena (region 0) or a region.
    #[op(0x0022)]
    fn read_into(source: u64, stream: u64, region: u32, offset: u64, size: u64) -> ();
    /// From device memory to device memory.
    #[op(0x0023)]
    fn copy(destination: u64, source: u64, size: u64, stream: u64);
    /// `count` times the lowest `width` bytes (1, 2 or 4) of `value`.
    #[op(0x0024)]
    fn fill(destination: u64, value: u32, width: u8, count: u64, stream: u64);

    /// A stream, by a number that the program chose.
    #[op(0x0030)]
    fn stream_create(stream: u64, flags: u32, priority: i32);
    /// The end of a stream.
    #[op(0x0031)]
    fn stream_destroy(stream: u64);
    /// All that was sent to a stream is done.
    #[op(0x0032)]
    fn stream_synchronize(stream: u64) -> ();
    /// Whether all that was sent to a stream is done: 0 or 1.
    #[op(0x0033)]
    fn stream_query(stream: u64) -> u64;
    /// A stream waits for what an event recorded.
    #[op(0x0034)]
    fn stream_wait(stream: u64, event: u64);

    /// An event, by a number that the program chose.
    #[op(0x0038)]
    fn event_create(event: u64, flags: u32);
    /// The end of an event.
    #[op(0x0039)]
    fn event_destroy(event: u64);
    /// The event stands for what was sent to a stream until now.
    #[op(0x003a)]
    fn event_record(event: u64, stream: u64);
    /// What the event stands for is done.
    #[op(0x003b)]
    fn event_synchronize(event: u64) -> ();
    /// Whether what the event stands for is done: 0 or 1.
    #[op(0x003c)]
    fn event_query(event: u64) -> u64;
    /// Nanoseconds from one event to another.
    #[op(0x003d)]
    fn event_elapsed(start: u64, end: u64) -> u64;

    /// Loads an image that lies in the arena or a region, under a number that
    /// the program chose; gives the length of its description.
    #[op(0x0040)]
    fn module_load(module: u64, region: u32, offset: u64, size: u64) -> u64;
    /// Writes a module's description to the arena or a region.
    #[op(0x0041)]
    fn module_describe(module: u64, region: u32, offset: u64, capacity: u64) -> ();
    /// The end of a module.
    #[op(0x0042)]
    fn module_unload(module: u64);
    /// Runs a module's kernel, by its place in the description; `data` is its
    /// block of parameters.
    #[op(0x0043)]
    fn launch(
        module: u64,
        function: u32,
        grid_x: u32,
        grid_y: u32,
        grid_z: u32,
        block_x: u32,
        block_y: u32,
        block_z: u32,
        shared: u32,
        stream: u64,
        data: &[u8],
    );
}

/// What calls give.
pub enum CUresult {
    CUDA_SUCCESS = 0,
    CUDA_ERROR_INVALID_VALUE = 1,
    CUDA_ERROR_OUT_OF_MEMORY = 2,
    CUDA_ERROR_NOT_INITIALIZED = 3,
    CUDA_ERROR_DEINITIALIZED = 4,
    CUDA_ERROR_PROFILER_DISABLED = 5,
    CUDA_ERROR_PROFILER_NOT_INITIALIZED = 6,
    CUDA_ERROR_PROFILER_ALREADY_STARTED = 7,
    CUDA_ERROR_PROFILER_ALREADY_STOPPED = 8,
    CUDA_ERROR_STUB_LIBRARY = 34,
    CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER = 36,
    CUDA_ERROR_DEVICE_UNAVAILABLE = 46,
    CUDA_ERROR_MULTICAST_RESOURCE_FULL = 47,
    CUDA_ERROR_NO_DEVICE = 100,
    CUDA_ERROR_INVALID_DEVICE = 101,
    CUDA_ERROR_DEVICE_NOT_LICENSED = 102,
    CUDA_ERROR_INVALID_IMAGE = 200,
    CUDA_ERROR_INVALID_CONTEXT = 201,
    CUDA_ERROR_CONTEXT_ALREADY_CURRENT = 202,
    CUDA_ERROR_MAP_FAILED = 205,
    CUDA_ERROR_UNMAP_FAILED = 206,
    CUDA_ERROR_ARRAY_IS_MAPPED = 207,
    CUDA_ERROR_ALREADY_MAPPED = 208,
    CUDA_ERROR_NO_BINARY_FOR_GPU = 209,
    CUDA_ERROR_ALREADY_ACQUIRED = 210,
    CUDA_ERROR_NOT_MAPPED = 211,
    CUDA_ERROR_NOT_MAPPED_AS_ARRAY = 212,
    CUDA_ERROR_NOT_MAPPED_AS_POINTER = 213,
    CUDA_ERROR_ECC_UNCORRECTABLE = 214,
    CUDA_ERROR_UNSUPPORTED_LIMIT = 215,
    CUDA_ERROR_CONTEXT_ALREADY_IN_USE = 216,
    CUDA_ERROR_PEER_ACCESS_UNSUPPORTED = 217,
    CUDA_ERROR_INVALID_PTX = 218,
    CUDA_ERROR_INVALID_GRAPHICS_CONTEXT = 219,
    CUDA_ERROR_NVLINK_UNCORRECTABLE = 220,
    CUDA_ERROR_JIT_COMPILER_NOT_FOUND = 221,
    CUDA_ERROR_UNSUPPORTED_PTX_VERSION = 222,
    CUDA_ERROR_JIT_COMPILATION_DISABLED = 223,
    CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY = 224,
    CUDA_ERROR_UNSUPPORTED_DEVSIDE_SYNC = 225,
    CUDA_ERROR_CONTAINED = 226,
    CUDA_ERROR_INSUFFICIENT_LOADER_VERSION = 227,
    CUDA_ERROR_INVALID_SOURCE = 300,
    CUDA_ERROR_FILE_NOT_FOUND = 301,
    CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND = 302,
    CUDA_ERROR_SHARED_OBJECT_INIT_FAILED = 303,
    CUDA_ERROR_OPERATING_SYSTEM = 304,
    CUDA_ERROR_INVALID_HANDLE = 400,
    CUDA_ERROR_ILLEGAL_STATE = 401,
    CUDA_ERROR_LOSSY_QUERY = 402,
    CUDA_ERROR_NOT_FOUND = 500,
    CUDA_ERROR_NOT_READY = 600,
    CUDA_ERROR_ILLEGAL_ADDRESS = 700,
    CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES = 701,
    CUDA_ERROR_LAUNCH_TIMEOUT = 702,
    CUDA_ERROR_LAUNCH_INCOMPATIBLE_TEXTURING = 703,
    CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED = 704,
    CUDA_ERROR_PEER_ACCESS_NOT_ENABLED = 705,
    CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE = 708,
    CUDA_ERROR_CONTEXT_IS_DESTROYED = 709,
    CUDA_ERROR_ASSERT = 710,
    CUDA_ERROR_TOO_MANY_PEERS = 711,
    CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED = 712,
    CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED = 713,
    CUDA_ERROR_HARDWARE_STACK_ERROR = 714,
    CUDA_ERROR_ILLEGAL_INSTRUCTION = 715,
    CUDA_ERROR_MISALIGNED_ADDRESS = 716,
    CUDA_ERROR_INVALID_ADDRESS_SPACE = 717,
    CUDA_ERROR_INVALID_PC = 718,
    CUDA_ERROR_LAUNCH_FAILED = 719,
    CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE = 720,
    CUDA_ERROR_TENSOR_MEMORY_LEAK = 721,
    CUDA_ERROR_NOT_PERMITTED = 800,
    CUDA_ERROR_NOT_SUPPORTED = 801,
    CUDA_ERROR_SYSTEM_NOT_READY = 802,
    CUDA_ERROR_SYSTEM_DRIVER_MISMATCH = 803,
    CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE = 804,
    CUDA_ERROR_MPS_CONNECTION_FAILED = 805,
    CUDA_ERROR_MPS_RPC_FAILURE = 806,
    CUDA_ERROR_MPS_SERVER_NOT_READY = 807,
    CUDA_ERROR_MPS_MAX_CLIENTS_REACHED = 808,
    CUDA_ERROR_MPS_MAX_CONNECTIONS_REACHED = 809,
    CUDA_ERROR_MPS_CLIENT_TERMINATED = 810,
    CUDA_ERROR_CDP_NOT_SUPPORTED = 811,
    CUDA_ERROR_CDP_VERSION_MISMATCH = 812,
    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900,
    CUDA_ERROR_STREAM_CAPTURE_INVALIDATED = 901,
    CUDA_ERROR_STREAM_CAPTURE_MERGE = 902,
    CUDA_ERROR_STREAM_CAPTURE_UNMATCHED = 903,
    CUDA_ERROR_STREAM_CAPTURE_UNJOINED = 904,
    CUDA_ERROR_STREAM_CAPTURE_ISOLATION = 905,
    CUDA_ERROR_STREAM_CAPTURE_IMPLICIT = 906,
    CUDA_ERROR_CAPTURED_EVENT = 907,
    CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD = 908,
    CUDA_ERROR_TIMEOUT = 909,
    CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE = 910,
    CUDA_ERROR_EXTERNAL_DEVICE = 911,
    CUDA_ERROR_INVALID_CLUSTER_SIZE = 912,
    CUDA_ERROR_FUNCTION_NOT_LOADED = 913,
    CUDA_ERROR_INVALID_RESOURCE_TYPE = 914,
    CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION = 915,
    CUDA_ERROR_KEY_ROTATION = 916,
    CUDA_ERROR_STREAM_DETACHED = 917,
    CUDA_ERROR_GRAPH_RECAPTURE_FAILURE = 918,
    CUDA_ERROR_FABRIC_NOT_READY = 919,
    CUDA_ERROR_UNKNOWN = 999,
}
