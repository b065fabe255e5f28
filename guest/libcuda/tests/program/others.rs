//! Programs that ask what things are, and for what there is not.

use std::ffi::{CStr, c_void};
use std::ptr;

use cudarc::driver::sys::{
    self, CUdevice_attribute, CUmemLocation, CUmemLocationType, CUpointer_attribute, CUstreamAttrID,
};

use super::kernels::Adder;
use super::library::{in_context, pattern};
use super::rows::{read, zeros};

fn attribute(attribute: CUdevice_attribute) -> i32 {
    let mut value = 0;
    ok!(cuDeviceGetAttribute(&raw mut value, attribute, 0));
    value
}

/// Memory of the program, and what pointers are.
pub(crate) fn memory() {
    let _cuda = in_context();
    let mut own = pattern(10_000);
    let place: *mut c_void = own.as_mut_ptr().cast();
    let register = |place, size, flags| sys!(cuMemHostRegister_v2(place, size, flags));
    assert_eq!(register(place, 10_000, 3), 0);
    assert_eq!(register(place.wrapping_byte_add(9_999), 1, 0), 712);
    assert_eq!(register(place.wrapping_byte_sub(1), 2, 0), 712);
    assert_eq!(register(ptr::null_mut(), 4, 0), 1);
    assert_eq!(register(place, 0, 0), 1);
    assert_eq!(register(place, 10_000, 16), 1);
    assert_eq!(register(place.wrapping_byte_add(20_000), 4, 4), 800);
    let mut flags = 9;
    ok!(cuMemHostGetFlags(
        &raw mut flags,
        place.wrapping_byte_add(77)
    ));
    assert_eq!(flags, 3);
    let mut address = 0;
    assert_eq!(
        sys!(cuMemHostGetDevicePointer_v2(&raw mut address, place, 0)),
        801
    );
    let stray = ptr::without_provenance_mut(0x5555);
    assert_eq!(
        sys!(cuMemHostGetDevicePointer_v2(&raw mut address, stray, 0)),
        1
    );
    assert_eq!(sys!(cuMemHostGetFlags(&raw mut flags, stray)), 1);
    let device = zeros(10_000);
    ok!(cuMemcpyHtoDAsync_v2(device, place, 10_000, ptr::null_mut()));
    assert_eq!(read(device, 10_000), own);
    // Many attributes at a time: what is not known is 0.
    let mut wanted = [
        CUpointer_attribute::CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
        CUpointer_attribute::CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL,
        CUpointer_attribute::CU_POINTER_ATTRIBUTE_RANGE_START_ADDR,
        CUpointer_attribute::CU_POINTER_ATTRIBUTE_RANGE_SIZE,
        CUpointer_attribute::CU_POINTER_ATTRIBUTE_IS_MANAGED,
        CUpointer_attribute::CU_POINTER_ATTRIBUTE_HOST_POINTER,
    ];
    let mut ask = |pointer| {
        let (mut kind, mut ordinal) = (9_u32, 9_i32);
        let (mut start, mut size, mut managed, mut host) = (9_u64, 9_usize, 9_u8, 9_u64);
        let mut data: [*mut c_void; 6] = [
            (&raw mut kind).cast(),
            (&raw mut ordinal).cast(),
            (&raw mut start).cast(),
            (&raw mut size).cast(),
            (&raw mut managed).cast(),
            (&raw mut host).cast(),
        ];
        let (wanted, data) = (wanted.as_mut_ptr(), data.as_mut_ptr());
        ok!(cuPointerGetAttributes(6, wanted, data, pointer));
        (kind, ordinal, start, size, managed, host)
    };
    let at = place.addr() as u64;
    assert_eq!(ask(device + 5), (2, 0, device, 10_000, 0, 0));
    assert_eq!(ask(at + 5), (1, 0, at, 10_000, 0, at + 5));
    assert_eq!(ask(0x5555), (0, -2, 0, 0, 0, 0));
    let null = ptr::null_mut();
    assert_eq!(
        sys!(cuPointerGetAttributes(1, null, null.cast(), device)),
        1
    );
    let mut on = 1_u32;
    let sync = CUpointer_attribute::CU_POINTER_ATTRIBUTE_SYNC_MEMOPS;
    let value: *const c_void = (&raw mut on).cast();
    ok!(cuPointerSetAttribute(value, sync, device));
    assert_eq!(sys!(cuPointerSetAttribute(value, sync, 0x5555)), 1);
    let kind = CUpointer_attribute::CU_POINTER_ATTRIBUTE_MEMORY_TYPE;
    assert_eq!(sys!(cuPointerSetAttribute(value, kind, device)), 1);
    ok!(cuMemHostUnregister(place));
    assert_eq!(sys!(cuMemHostUnregister(place)), 713);
    assert_eq!(sys!(cuMemHostGetFlags(&raw mut flags, place)), 1);
}

/// Managed memory, other devices and other processes: refused as by a device that has none.
pub(crate) fn refusals() {
    let cuda = in_context();
    let managed = CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY;
    assert_eq!(attribute(managed), 0);
    let mut pointer = 0;
    assert_eq!(sys!(cuMemAllocManaged(&raw mut pointer, 4096, 1)), 801);
    assert_eq!(sys!(cuMemAllocManaged(&raw mut pointer, 0, 1)), 1);
    assert_eq!(sys!(cuMemAllocManaged(&raw mut pointer, 4096, 4)), 1);
    let device = zeros(4096);
    let prefetch = cu!(cuda, cuMemPrefetchAsync(u64, usize, i32, *mut c_void));
    assert_eq!(call!(prefetch, device, 4096, 0, ptr::null_mut()), 1);
    let advise = cu!(cuda, cuMemAdvise(u64, usize, u32, i32));
    assert_eq!(call!(advise, device, 4096, 1, 0), 1);
    let stray = ptr::without_provenance_mut(0x5555);
    assert_eq!(call!(prefetch, device, 4096, 0, stray), 400);
    assert_eq!(
        sys!(cuStreamAttachMemAsync(ptr::null_mut(), device, 0, 1)),
        1
    );
    let mut value = 0;
    let performance = sys::CUdevice_P2PAttribute::CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK;
    assert_eq!(
        sys!(cuDeviceGetP2PAttribute(&raw mut value, performance, 0, 0)),
        101
    );
    assert_eq!(
        sys!(cuDeviceGetP2PAttribute(&raw mut value, performance, 0, 1)),
        101
    );
    // SAFETY: 0 is a value of every field.
    let (mut memory, mut of_event): (sys::CUipcMemHandle, sys::CUipcEventHandle) =
        unsafe { std::mem::zeroed() };
    let mut event = ptr::null_mut();
    ok!(cuEventCreate(&raw mut event, 2));
    assert_eq!(sys!(cuIpcGetMemHandle(&raw mut memory, device)), 801);
    assert_eq!(sys!(cuIpcGetMemHandle(&raw mut memory, 0x5555)), 1);
    assert_eq!(
        sys!(cuIpcOpenMemHandle_v2(&raw mut pointer, memory, 1)),
        801
    );
    assert_eq!(sys!(cuIpcOpenMemHandle_v2(&raw mut pointer, memory, 2)), 1);
    assert_eq!(sys!(cuIpcCloseMemHandle(device)), 1);
    assert_eq!(sys!(cuIpcGetEventHandle(&raw mut of_event, event)), 400);
    assert_eq!(sys!(cuIpcOpenEventHandle(&raw mut event, of_event)), 801);
    let mut pool = ptr::null_mut();
    ok!(cuDeviceGetDefaultMemPool(&raw mut pool, 0));
    let kind = sys::CUmemAllocationHandleType::CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    let mut shared = 0_i32;
    let into = (&raw mut shared).cast();
    assert_eq!(
        sys!(cuMemPoolExportToShareableHandle(into, pool, kind, 0)),
        1
    );
    assert_eq!(
        sys!(cuMemPoolImportFromShareableHandle(
            &raw mut pool,
            into,
            kind,
            0
        )),
        801
    );
}

/// Pools are reached by their device.
pub(crate) fn pools() {
    let _cuda = in_context();
    assert_eq!(
        attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED),
        1
    );
    let mut pool = ptr::null_mut();
    ok!(cuDeviceGetDefaultMemPool(&raw mut pool, 0));
    let mut here = CUmemLocation {
        type_: CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE,
        id: 0,
    };
    let mut flags = sys::CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_NONE;
    ok!(cuMemPoolGetAccess(&raw mut flags, pool, &raw mut here));
    assert_eq!(flags as u32, 3);
    let mut set = |id, flags| {
        here.id = id;
        let access = sys::CUmemAccessDesc {
            location: here,
            flags,
        };
        sys!(cuMemPoolSetAccess(pool, &raw const access, 1))
    };
    assert_eq!(set(0, flags), 0);
    assert_eq!(set(1, flags), 101);
    assert_eq!(
        set(0, sys::CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_NONE),
        1
    );
    here.id = 0;
    let kind = sys::CUmemAllocationType::CU_MEM_ALLOCATION_TYPE_PINNED;
    let (mut default, mut current) = (ptr::null_mut(), ptr::null_mut());
    ok!(cuMemGetDefaultMemPool(
        &raw mut default,
        &raw mut here,
        kind
    ));
    ok!(cuMemSetMemPool(&raw mut here, kind, pool));
    ok!(cuMemGetMemPool(&raw mut current, &raw mut here, kind));
    assert_eq!([default, current], [pool; 2]);
    here.id = 1;
    assert_eq!(
        sys!(cuMemGetMemPool(&raw mut current, &raw mut here, kind)),
        101
    );
}

/// Functions, their modules, and how many blocks fit.
pub(crate) fn functions() {
    let adder = Adder::new();
    let cuda = &adder.cuda;
    let function: sys::CUfunction = adder.function.cast();
    let mut name = ptr::null();
    ok!(cuFuncGetName(&raw mut name, function));
    // SAFETY: the library gave text that ends with 0.
    assert_eq!(unsafe { CStr::from_ptr(name) }, c"add");
    let mut module = ptr::null_mut();
    ok!(cuFuncGetModule(&raw mut module, function));
    let (mut count, mut found) = (0, [ptr::null_mut(); 2]);
    ok!(cuModuleGetFunctionCount(&raw mut count, module));
    ok!(cuModuleEnumerateFunctions(found.as_mut_ptr(), 2, module));
    assert_eq!((count, found[0]), (1, function));
    let (mut offset, mut size) = (9, 9);
    let kernel: sys::CUkernel = function.cast();
    ok!(cuKernelGetParamInfo(
        kernel,
        2,
        &raw mut offset,
        &raw mut size
    ));
    assert_eq!((offset, size), (16, 4));
    assert_eq!(
        sys!(cuKernelGetParamInfo(
            kernel,
            3,
            &raw mut offset,
            &raw mut size
        )),
        1
    );
    let mut parameters = 0_usize;
    let get = cu!(cuda, cuFuncGetParamCount(*mut c_void, *mut usize));
    assert_eq!(call!(get, adder.function, &mut parameters), 0);
    assert_eq!(parameters, 3);
    let mut library = ptr::null_mut();
    ok!(cuKernelGetLibrary(&raw mut library, kernel));
    ok!(cuKernelGetName(&raw mut name, kernel));
    ok!(cuLibraryGetKernelCount(&raw mut count, library));
    let mut kernels = [ptr::null_mut(); 1];
    ok!(cuLibraryEnumerateKernels(kernels.as_mut_ptr(), 1, library));
    assert_eq!((count, kernels), (1, [kernel]));
    let (mut pointer, mut bytes) = (0, 0);
    let name = c"add".as_ptr();
    assert_eq!(
        sys!(cuLibraryGetManaged(
            &raw mut pointer,
            &raw mut bytes,
            library,
            name
        )),
        500
    );
    let mut state = sys::CUfunctionLoadingState::CU_FUNCTION_LOADING_STATE_UNLOADED;
    ok!(cuFuncIsLoaded(&raw mut state, function));
    ok!(cuFuncLoad(function));
    let mut mode = sys::CUmoduleLoadingMode::CU_MODULE_LAZY_LOADING;
    ok!(cuModuleGetLoadingMode(&raw mut mode));
    assert_eq!((state as u32, mode as u32), (1, 1));
    ok!(cuFuncSetCacheConfig(
        function,
        sys::CUfunc_cache::CU_FUNC_CACHE_PREFER_L1
    ));
    let stray: sys::CUfunction = ptr::without_provenance_mut(0x5555);
    assert_eq!(sys!(cuFuncGetName(&mut ptr::null(), stray)), 400);
    assert_eq!(sys!(cuFuncLoad(stray)), 400);
    let null = ptr::null_mut();
    assert_eq!(
        sys!(cuLaunchCooperativeKernel(
            function,
            1,
            1,
            1,
            1,
            1,
            1,
            0,
            null,
            null.cast()
        )),
        801
    );
    // The limits are threads and blocks of a multiprocessor, its memory, and the function's block.
    let blocks = |block, shared| {
        let mut blocks = -1;
        let asked = sys!(cuOccupancyMaxActiveBlocksPerMultiprocessor(
            &raw mut blocks,
            function,
            block,
            shared
        ));
        assert_eq!(asked, 0);
        blocks
    };
    let memory =
        attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR)
            as usize;
    assert_eq!(blocks(1024, 0), 2);
    assert_eq!(blocks(65, 0), 21, "whole warps");
    assert_eq!(blocks(96, 0), 21);
    assert_eq!(blocks(32, 0), 32);
    assert_eq!(blocks(32, memory / 5), 5);
    assert_eq!(blocks(32, memory + 1), 0);
    assert_eq!(blocks(1025, 0), 0);
    let wrong = |block, flags| {
        sys!(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
            &mut 0, function, block, 0, flags
        ))
    };
    assert_eq!(
        [wrong(0, 0), wrong(-1, 0), wrong(32, 2), wrong(32, 1)],
        [1, 1, 1, 0]
    );
    let best = |of: sys::CUoccupancyB2DSize, shared, limit| {
        let (mut grid, mut block) = (0, 0);
        ok!(cuOccupancyMaxPotentialBlockSize(
            &raw mut grid,
            &raw mut block,
            function,
            of,
            shared,
            limit
        ));
        (grid, block)
    };
    let processors = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
    assert_eq!(best(None, 0, 0), (2 * processors, 1024));
    assert_eq!(best(None, 0, 256), (8 * processors, 256));
    assert_eq!(best(None, memory, 0), (processors, 1024));
    unsafe extern "C" fn much(block: i32) -> usize {
        if block > 512 { 1 << 30 } else { 0 }
    }
    assert_eq!(best(Some(much), 0, 0), (4 * processors, 512));
    let mut free = 0;
    ok!(cuOccupancyAvailableDynamicSMemPerBlock(
        &raw mut free,
        function,
        2,
        128
    ));
    assert_eq!(free, memory / 2);
    assert_eq!(
        sys!(cuOccupancyAvailableDynamicSMemPerBlock(
            &raw mut free,
            function,
            3,
            1024
        )),
        1
    );
}

/// Words that streams write and wait for, and streams' attributes.
pub(crate) fn streams() {
    let _cuda = in_context();
    let (device, mut stream) = (zeros(32), ptr::null_mut());
    ok!(cuStreamCreate(&raw mut stream, 1));
    ok!(cuStreamWriteValue32_v2(stream, device + 4, 0x0102_0304, 0));
    ok!(cuStreamWriteValue64_v2(
        stream,
        device + 8,
        0x1112_1314_1516_1718,
        1
    ));
    assert_eq!(
        read(device, 20),
        [
            0, 0, 0, 0, 4, 3, 2, 1, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, 0, 0, 0, 0
        ]
    );
    assert_eq!(sys!(cuStreamWriteValue32_v2(stream, device + 2, 1, 0)), 1);
    assert_eq!(sys!(cuStreamWriteValue64_v2(stream, device + 4, 1, 0)), 1);
    assert_eq!(sys!(cuStreamWriteValue32_v2(stream, device + 32, 1, 0)), 1);
    assert_eq!(sys!(cuStreamWriteValue32_v2(stream, device, 1, 2)), 1);
    // At least (cyclically), equal, a bit in common, not all bits in either.
    let wait = |value, flags| sys!(cuStreamWaitValue32_v2(stream, device + 4, value, flags));
    for (value, flags, result) in [
        (0x0102_0304, 0, 0),
        (0x0102_0303, 0, 0),
        (0x0102_0305, 0, 801),
        (0x8102_0305, 0, 0),
        (0x0102_0304, 1, 0),
        (0x0102_0303, 1, 801),
        (0x0100_0000, 2, 0),
        (0x0200_0000, 2, 801),
        (0, 3, 0),
        (!0x0102_0304, 3, 801),
        (0, 4, 1),
    ] {
        assert_eq!(wait(value, flags), result, "{value:#x} {flags}");
    }
    let long = |value, flags| sys!(cuStreamWaitValue64_v2(stream, device + 8, value, flags));
    assert_eq!(long(0x1112_1314_1516_1718, 1), 0);
    assert_eq!(long(0x1112_1314_1516_1719, 0), 801);
    // SAFETY: 0 is a value of every field.
    let mut batch: [sys::CUstreamBatchMemOpParams; 2] = unsafe { std::mem::zeroed() };
    for (operation, value) in batch.iter_mut().zip([5, 6]) {
        operation.writeValue.operation =
            sys::CUstreamBatchMemOpType::CU_STREAM_MEM_OP_WRITE_VALUE_32;
        operation.writeValue.address = device + 16;
        operation.writeValue.__bindgen_anon_1.value = value;
    }
    batch[1].writeValue.address = device + 20;
    ok!(cuStreamBatchMemOp_v2(stream, 2, batch.as_mut_ptr(), 0));
    assert_eq!(read(device + 16, 8), [5, 0, 0, 0, 6, 0, 0, 0]);
    assert_eq!(
        sys!(cuStreamBatchMemOp_v2(stream, 2, batch.as_mut_ptr(), 1)),
        1
    );
    let (mut ids, mut on) = ([0, 0], 9);
    ok!(cuStreamGetId(stream, &raw mut ids[0]));
    ok!(cuStreamGetId(ptr::null_mut(), &raw mut ids[1]));
    assert_ne!(ids[0], ids[1]);
    ok!(cuStreamGetDevice(stream, &raw mut on));
    assert_eq!(on, 0);
    // SAFETY: as above.
    let mut value: sys::CUstreamAttrValue = unsafe { std::mem::zeroed() };
    let waits = CUstreamAttrID::CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY;
    value.syncPolicy = sys::CUsynchronizationPolicy::CU_SYNC_POLICY_YIELD;
    ok!(cuStreamSetAttribute(stream, waits, &raw const value));
    let mut other = ptr::null_mut();
    ok!(cuStreamCreate(&raw mut other, 1));
    let policy = |of| {
        // SAFETY: as above.
        let mut value: sys::CUstreamAttrValue = unsafe { std::mem::zeroed() };
        ok!(cuStreamGetAttribute(of, waits, &raw mut value));
        // SAFETY: it is that attribute's.
        unsafe { value.syncPolicy as u32 }
    };
    // SAFETY: every number that the library gives for it is one of the enumeration's.
    assert_eq!(policy(stream), 3);
    ok!(cuStreamCopyAttributes(other, stream));
    assert_eq!(policy(other), 3);
    let cooperative = CUstreamAttrID::CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
    assert_eq!(
        sys!(cuStreamSetAttribute(stream, cooperative, &raw const value)),
        1
    );
}

/// The device's place, and contexts' hints.
pub(crate) fn devices() {
    let cuda = in_context();
    let mut id = [1; 13];
    ok!(cuDeviceGetPCIBusId(id.as_mut_ptr(), 13, 0));
    // SAFETY: the library wrote text that ends with 0.
    let text = unsafe { CStr::from_ptr(id.as_ptr()) };
    assert_eq!(text, c"0000:00:00.0");
    assert_eq!(sys!(cuDeviceGetPCIBusId(id.as_mut_ptr(), 12, 0)), 1);
    let mut device = 9;
    for (name, result) in [
        (text, 0),
        (c"00:00.0", 0),
        (c"0000:00:00", 0),
        (c"0000:01:00.0", 101),
        (c"none", 1),
    ] {
        assert_eq!(
            sys!(cuDeviceGetByPCIBusId(&raw mut device, name.as_ptr())),
            result
        );
    }
    assert_eq!(device, 0);
    let mut properties = [0_i32; 14];
    let get = cu!(cuda, cuDeviceGetProperties(*mut i32, i32));
    assert_eq!(call!(get, properties.as_mut_ptr(), 0), 0);
    assert_eq!(properties[..3], [1024, 1024, 1024]);
    assert_eq!(properties[9], 32);
    let mut context = ptr::null_mut();
    ok!(cuCtxGetCurrent(&raw mut context));
    let (mut first, mut second) = (0, 0);
    ok!(cuCtxGetId(context, &raw mut first));
    ok!(cuCtxGetId(ptr::null_mut(), &raw mut second));
    assert_eq!(first, second);
    let mut flags = 0;
    ok!(cuCtxSetFlags(4));
    ok!(cuCtxGetFlags(&raw mut flags));
    assert_eq!(flags, 4);
    assert_eq!(sys!(cuCtxSetFlags(3)), 1);
    ok!(cuCtxSetCacheConfig(
        sys::CUfunc_cache::CU_FUNC_CACHE_PREFER_SHARED
    ));
    let mut config = sys::CUfunc_cache::CU_FUNC_CACHE_PREFER_NONE;
    ok!(cuCtxGetCacheConfig(&raw mut config));
    assert_eq!(config as u32, 1);
    let set = cu!(cuda, cuCtxSetCacheConfig(u32));
    assert_eq!(call!(set, 4), 1);
    ok!(cuCtxResetPersistingL2Cache());
    ok!(cuProfilerStart());
    ok!(cuProfilerStop());
    let (mut event, mut time) = (ptr::null_mut(), 0.0);
    ok!(cuEventCreate(&raw mut event, 0));
    ok!(cuCtxRecordEvent(context, event));
    ok!(cuCtxWaitEvent(context, event));
    ok!(cuEventElapsedTime_v2(&raw mut time, event, event));
    let stray = ptr::without_provenance_mut(0x5555);
    assert_eq!(sys!(cuCtxRecordEvent(stray, event)), 201);
    let mut used = 9_u64;
    let current = sys::CUgraphMem_attribute::CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT;
    ok!(cuDeviceGetGraphMemAttribute(
        0,
        current,
        (&raw mut used).cast()
    ));
    assert_eq!(used, 0);
    ok!(cuDeviceGraphMemTrim(0));
}
