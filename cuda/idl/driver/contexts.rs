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
    #[sync]
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
    #[local]
    #[since(11040)]
    fn cuCtxCreate_v3(
        #[out] pctx: *mut CUcontext,
        #[input]
        #[list(numParams)]
        paramsArray: *mut CUexecAffinityParam,
        numParams: c_int,
        flags: c_uint,
        dev: CUdevice,
    );
    #[local]
    #[since(12000)]
    fn cuCtxGetId(ctx: CUcontext, #[out] ctxId: *mut c_ulonglong);
    #[local]
    #[since(12010)]
    fn cuCtxSetFlags(flags: c_uint);
    #[local]
    #[since(3020)]
    fn cuCtxGetCacheConfig(#[out] pconfig: *mut CUfunc_cache);
    #[local]
    #[since(3020)]
    fn cuCtxSetCacheConfig(config: CUfunc_cache);
    #[local]
    #[since(4020)]
    fn cuCtxGetSharedMemConfig(#[out] pConfig: *mut CUsharedconfig);
    #[local]
    #[since(4020)]
    fn cuCtxSetSharedMemConfig(config: CUsharedconfig);
    #[local]
    #[since(11000)]
    fn cuCtxResetPersistingL2Cache();
    #[local]
    #[since(11040)]
    fn cuCtxGetExecAffinity(
        #[out] pExecAffinity: *mut CUexecAffinityParam,
        type_: CUexecAffinityType,
    );
    #[local]
    #[since(2000)]
    fn cuCtxAttach(#[out] pctx: *mut CUcontext, flags: c_uint);
    #[sync]
    #[since(2000)]
    fn cuCtxDetach(ctx: CUcontext);
    #[asynchronous]
    #[since(12050)]
    fn cuCtxRecordEvent(hCtx: CUcontext, hEvent: CUevent);
    #[asynchronous]
    #[since(12050)]
    fn cuCtxWaitEvent(hCtx: CUcontext, hEvent: CUevent);
}
