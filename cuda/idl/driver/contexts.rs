/// Contexts.
pub trait Contexts {
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
    #[first(2000)]
    fn cuCtxDestroy_v2(ctx: CUcontext);
    #[local]
    #[since(4000)]
    fn cuCtxGetCurrent(#[out] pctx: *mut CUcontext);
    #[local]
    #[since(4000)]
    fn cuCtxSetCurrent(ctx: CUcontext);
    #[local]
    #[since(4000)]
    #[first(2000)]
    fn cuCtxPushCurrent_v2(ctx: CUcontext);
    #[local]
    #[since(4000)]
    #[first(2000)]
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
    #[local]
    #[since(3010)]
    fn cuCtxGetLimit(#[out] pvalue: *mut usize, limit: CUlimit);
    #[local]
    #[since(3010)]
    fn cuCtxSetLimit(limit: CUlimit, value: usize);
    #[local]
    #[since(4000)]
    fn cuCtxEnablePeerAccess(peerContext: CUcontext, Flags: c_uint);
    #[local]
    #[since(4000)]
    fn cuCtxDisablePeerAccess(peerContext: CUcontext);
}
