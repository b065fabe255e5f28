/// Memory and addresses apart (virtual memory management).
pub trait Mappings {
    #[local]
    #[since(10020)]
    fn cuMemGetAllocationGranularity(
        #[out] granularity: *mut usize,
        #[input] prop: *const CUmemAllocationProp,
        option: CUmemAllocationGranularity_flags,
    );
    #[local]
    #[since(10020)]
    fn cuMemAddressReserve(
        #[out] ptr: *mut CUdeviceptr,
        size: usize,
        alignment: usize,
        addr: CUdeviceptr,
        flags: c_ulonglong,
    );
    #[local]
    #[since(10020)]
    fn cuMemAddressFree(ptr: CUdeviceptr, size: usize);
    #[sync]
    #[since(10020)]
    fn cuMemCreate(
        #[out] handle: *mut CUmemGenericAllocationHandle,
        size: usize,
        #[input] prop: *const CUmemAllocationProp,
        flags: c_ulonglong,
    );
    #[sync]
    #[since(10020)]
    fn cuMemRelease(handle: CUmemGenericAllocationHandle);
    #[local]
    #[since(10020)]
    fn cuMemMap(
        ptr: CUdeviceptr,
        size: usize,
        offset: usize,
        handle: CUmemGenericAllocationHandle,
        flags: c_ulonglong,
    );
    #[sync]
    #[since(10020)]
    fn cuMemUnmap(ptr: CUdeviceptr, size: usize);
    #[sync]
    #[since(10020)]
    fn cuMemSetAccess(
        ptr: CUdeviceptr,
        size: usize,
        #[input]
        #[list(count)]
        desc: *const CUmemAccessDesc,
        count: usize,
    );
    #[local]
    #[since(10020)]
    fn cuMemGetAccess(
        #[out] flags: *mut c_ulonglong,
        #[input] location: *const CUmemLocation,
        ptr: CUdeviceptr,
    );
    #[local]
    #[since(11000)]
    fn cuMemRetainAllocationHandle(
        #[out] handle: *mut CUmemGenericAllocationHandle,
        addr: *mut c_void,
    );
    #[local]
    #[since(10020)]
    fn cuMemGetAllocationPropertiesFromHandle(
        #[out] prop: *mut CUmemAllocationProp,
        handle: CUmemGenericAllocationHandle,
    );
}
