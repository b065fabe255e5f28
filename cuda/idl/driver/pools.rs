/// Memory pools, and what is allocated from them.
pub trait Pools {
    #[local]
    #[since(11020)]
    fn cuDeviceGetDefaultMemPool(#[out] pool_out: *mut CUmemoryPool, dev: CUdevice);
    #[local]
    #[since(11020)]
    fn cuDeviceGetMemPool(#[out] pool: *mut CUmemoryPool, dev: CUdevice);
    #[local]
    #[since(11020)]
    fn cuDeviceSetMemPool(dev: CUdevice, pool: CUmemoryPool);
    #[local]
    #[since(11020)]
    fn cuMemPoolCreate(#[out] pool: *mut CUmemoryPool, #[input] poolProps: *const CUmemPoolProps);
    #[local]
    #[since(11020)]
    fn cuMemPoolDestroy(pool: CUmemoryPool);
    #[local]
    #[since(11020)]
    fn cuMemPoolTrimTo(pool: CUmemoryPool, minBytesToKeep: usize);
    #[local]
    #[since(11020)]
    fn cuMemPoolGetAttribute(
        pool: CUmemoryPool,
        attr: CUmemPool_attribute,
        #[by(untyped)] value: *mut c_void,
    );
    #[local]
    #[since(11020)]
    fn cuMemPoolSetAttribute(
        pool: CUmemoryPool,
        attr: CUmemPool_attribute,
        #[by(untyped)] value: *mut c_void,
    );
    #[sync]
    #[since(11020)]
    #[per_thread(ptsz)]
    fn cuMemAllocAsync(#[out] dptr: *mut CUdeviceptr, bytesize: usize, hStream: CUstream);
    #[sync]
    #[since(11020)]
    #[per_thread(ptsz)]
    fn cuMemAllocFromPoolAsync(
        #[out] dptr: *mut CUdeviceptr,
        bytesize: usize,
        pool: CUmemoryPool,
        hStream: CUstream,
    );
    #[asynchronous]
    #[since(11020)]
    #[per_thread(ptsz)]
    fn cuMemFreeAsync(dptr: CUdeviceptr, hStream: CUstream);
    #[local]
    #[since(11020)]
    fn cuMemPoolGetAccess(
        #[out] flags: *mut CUmemAccess_flags,
        memPool: CUmemoryPool,
        #[input] location: *mut CUmemLocation,
    );
    #[local]
    #[since(11020)]
    fn cuMemPoolSetAccess(
        pool: CUmemoryPool,
        #[input]
        #[list(count)]
        map: *const CUmemAccessDesc,
        count: usize,
    );
    #[local]
    #[since(13000)]
    fn cuMemGetDefaultMemPool(
        #[out] pool_out: *mut CUmemoryPool,
        #[input] location: *mut CUmemLocation,
        type_: CUmemAllocationType,
    );
    #[local]
    #[since(13000)]
    fn cuMemGetMemPool(
        #[out] pool: *mut CUmemoryPool,
        #[input] location: *mut CUmemLocation,
        type_: CUmemAllocationType,
    );
    #[local]
    #[since(13000)]
    fn cuMemSetMemPool(
        #[input] location: *mut CUmemLocation,
        type_: CUmemAllocationType,
        pool: CUmemoryPool,
    );
}
