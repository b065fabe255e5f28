/// Copies and fills.
pub trait Copies {
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptds)]
    fn cuMemcpyHtoD_v2(
        dstDevice: CUdeviceptr,
        #[by(host)] srcHost: *const c_void,
        ByteCount: usize,
    );
    #[sync]
    #[since(3020)]
    #[per_thread(ptds)]
    fn cuMemcpyDtoH_v2(#[by(host)] dstHost: *mut c_void, srcDevice: CUdeviceptr, ByteCount: usize);
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptds)]
    fn cuMemcpyDtoD_v2(dstDevice: CUdeviceptr, srcDevice: CUdeviceptr, ByteCount: usize);
    #[asynchronous]
    #[since(3020)]
    #[per_thread(ptsz)]
    fn cuMemcpyHtoDAsync_v2(
        dstDevice: CUdeviceptr,
        #[by(host)] srcHost: *const c_void,
        ByteCount: usize,
        hStream: CUstream,
    );
    #[sync]
    #[since(3020)]
    #[per_thread(ptsz)]
    fn cuMemcpyDtoHAsync_v2(
        #[by(host)] dstHost: *mut c_void,
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
    #[sync]
    #[since(4000)]
    #[per_thread(ptds)]
    fn cuMemcpy(dst: CUdeviceptr, src: CUdeviceptr, ByteCount: usize);
    #[sync]
    #[since(4000)]
    #[per_thread(ptsz)]
    fn cuMemcpyAsync(dst: CUdeviceptr, src: CUdeviceptr, ByteCount: usize, hStream: CUstream);
    #[asynchronous]
    #[since(4000)]
    #[per_thread(ptds)]
    fn cuMemcpyPeer(
        dstDevice: CUdeviceptr,
        dstContext: CUcontext,
        srcDevice: CUdeviceptr,
        srcContext: CUcontext,
        ByteCount: usize,
    );
    #[asynchronous]
    #[since(4000)]
    #[per_thread(ptsz)]
    fn cuMemcpyPeerAsync(
        dstDevice: CUdeviceptr,
        dstContext: CUcontext,
        srcDevice: CUdeviceptr,
        srcContext: CUcontext,
        ByteCount: usize,
        hStream: CUstream,
    );
    #[sync]
    #[since(12080)]
    #[per_thread(ptsz)]
    fn cuMemcpyBatchAsync(
        #[input]
        #[list(count)]
        dsts: *mut CUdeviceptr,
        #[input]
        #[list(count)]
        srcs: *mut CUdeviceptr,
        #[input]
        #[list(count)]
        sizes: *mut usize,
        count: usize,
        attrs: *mut CUmemcpyAttributes,
        attrsIdxs: *mut usize,
        numAttrs: usize,
        #[out]
        #[optional]
        failIdx: *mut usize,
        hStream: CUstream,
    );
    #[sync]
    #[since(13000)]
    #[per_thread(ptsz)]
    fn cuMemcpyBatchAsync_v2(
        #[input]
        #[list(count)]
        dsts: *mut CUdeviceptr,
        #[input]
        #[list(count)]
        srcs: *mut CUdeviceptr,
        #[input]
        #[list(count)]
        sizes: *mut usize,
        count: usize,
        attrs: *mut CUmemcpyAttributes,
        attrsIdxs: *mut usize,
        numAttrs: usize,
        hStream: CUstream,
    );
}
