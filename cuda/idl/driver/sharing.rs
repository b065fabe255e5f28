/// Memory and events of other processes and devices: there are none, and each says so.
pub trait Sharing {
    #[local]
    #[since(4010)]
    fn cuIpcGetEventHandle(#[out] pHandle: *mut CUipcEventHandle, event: CUevent);
    #[local]
    #[since(4010)]
    fn cuIpcOpenEventHandle(#[out] phEvent: *mut CUevent, handle: CUipcEventHandle);
    #[local]
    #[since(4010)]
    fn cuIpcGetMemHandle(#[out] pHandle: *mut CUipcMemHandle, dptr: CUdeviceptr);
    #[local]
    #[since(11000)]
    #[first(4010)]
    fn cuIpcOpenMemHandle_v2(#[out] pdptr: *mut CUdeviceptr, handle: CUipcMemHandle, Flags: c_uint);
    #[local]
    #[since(4010)]
    fn cuIpcCloseMemHandle(dptr: CUdeviceptr);
    #[local]
    #[since(10020)]
    fn cuMemExportToShareableHandle(
        shareableHandle: *mut c_void,
        handle: CUmemGenericAllocationHandle,
        handleType: CUmemAllocationHandleType,
        flags: c_ulonglong,
    );
    #[local]
    #[since(10020)]
    fn cuMemImportFromShareableHandle(
        #[out] handle: *mut CUmemGenericAllocationHandle,
        osHandle: *mut c_void,
        shHandleType: CUmemAllocationHandleType,
    );
    #[local]
    #[since(11070)]
    fn cuMemGetHandleForAddressRange(
        handle: *mut c_void,
        dptr: CUdeviceptr,
        size: usize,
        handleType: CUmemRangeHandleType,
        flags: c_ulonglong,
    );
    #[local]
    #[since(11020)]
    fn cuMemPoolExportToShareableHandle(
        handle_out: *mut c_void,
        pool: CUmemoryPool,
        handleType: CUmemAllocationHandleType,
        flags: c_ulonglong,
    );
    #[local]
    #[since(11020)]
    fn cuMemPoolImportFromShareableHandle(
        #[out] pool_out: *mut CUmemoryPool,
        handle: *mut c_void,
        handleType: CUmemAllocationHandleType,
        flags: c_ulonglong,
    );
    #[local]
    #[since(8000)]
    fn cuDeviceGetP2PAttribute(
        #[out] value: *mut c_int,
        attrib: CUdevice_P2PAttribute,
        srcDevice: CUdevice,
        dstDevice: CUdevice,
    );
}
