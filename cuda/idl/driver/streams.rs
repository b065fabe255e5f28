/// Streams.
pub trait Streams {
    #[shadow]
    #[since(2000)]
    fn cuStreamCreate(#[out] phStream: *mut CUstream, Flags: c_uint);
    #[shadow]
    #[since(5050)]
    fn cuStreamCreateWithPriority(#[out] phStream: *mut CUstream, flags: c_uint, priority: c_int);
    #[asynchronous]
    #[since(4000)]
    #[first(2000)]
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
    #[local]
    #[since(5050)]
    #[per_thread(ptsz)]
    fn cuStreamGetFlags(hStream: CUstream, #[out] flags: *mut c_uint);
    #[local]
    #[since(5050)]
    #[per_thread(ptsz)]
    fn cuStreamGetPriority(hStream: CUstream, #[out] priority: *mut c_int);
    #[local]
    #[since(9020)]
    #[per_thread(ptsz)]
    fn cuStreamGetCtx(hStream: CUstream, #[out] pctx: *mut CUcontext);
    #[local]
    #[since(10010)]
    #[per_thread(ptsz)]
    fn cuStreamBeginCapture_v2(hStream: CUstream, mode: CUstreamCaptureMode);
    #[local]
    #[since(10000)]
    #[per_thread(ptsz)]
    fn cuStreamEndCapture(hStream: CUstream, #[out] phGraph: *mut CUgraph);
    #[local]
    #[since(11030)]
    #[per_thread(ptsz)]
    fn cuStreamGetCaptureInfo_v2(
        hStream: CUstream,
        #[out] captureStatus_out: *mut CUstreamCaptureStatus,
        #[out]
        #[optional]
        id_out: *mut cuuint64_t,
        #[out]
        #[optional]
        graph_out: *mut CUgraph,
        #[out]
        #[optional]
        dependencies_out: *mut *const CUgraphNode,
        #[out]
        #[optional]
        numDependencies_out: *mut usize,
    );
    #[local]
    #[since(12030)]
    #[per_thread(ptsz)]
    fn cuStreamGetCaptureInfo_v3(
        hStream: CUstream,
        #[out] captureStatus_out: *mut CUstreamCaptureStatus,
        #[out]
        #[optional]
        id_out: *mut cuuint64_t,
        #[out]
        #[optional]
        graph_out: *mut CUgraph,
        #[out]
        #[optional]
        dependencies_out: *mut *const CUgraphNode,
        #[out]
        #[optional]
        edgeData_out: *mut *const CUgraphEdgeData,
        #[out]
        #[optional]
        numDependencies_out: *mut usize,
    );
    #[local]
    #[since(10010)]
    fn cuThreadExchangeStreamCaptureMode(#[out] mode: *mut CUstreamCaptureMode);
    #[local]
    #[since(12000)]
    #[per_thread(ptsz)]
    fn cuStreamGetId(hStream: CUstream, #[out] streamId: *mut c_ulonglong);
    #[local]
    #[since(12080)]
    #[per_thread(ptsz)]
    fn cuStreamGetDevice(hStream: CUstream, #[out] device: *mut CUdevice);
    #[local]
    #[since(12050)]
    #[per_thread(ptsz)]
    fn cuStreamGetCtx_v2(
        hStream: CUstream,
        #[out] pCtx: *mut CUcontext,
        #[out] pGreenCtx: *mut CUgreenCtx,
    );
    #[local]
    #[since(11000)]
    #[per_thread(ptsz)]
    fn cuStreamGetAttribute(
        hStream: CUstream,
        attr: CUstreamAttrID,
        #[out] value_out: *mut CUstreamAttrValue,
    );
    #[local]
    #[since(11000)]
    #[per_thread(ptsz)]
    fn cuStreamSetAttribute(
        hStream: CUstream,
        attr: CUstreamAttrID,
        #[input] value: *const CUstreamAttrValue,
    );
    #[local]
    #[since(11000)]
    #[per_thread(ptsz)]
    fn cuStreamCopyAttributes(dst: CUstream, src: CUstream);
    #[local]
    #[since(10010)]
    #[per_thread(ptsz)]
    fn cuStreamGetCaptureInfo(
        hStream: CUstream,
        #[out] captureStatus_out: *mut CUstreamCaptureStatus,
        #[out]
        #[optional]
        id_out: *mut cuuint64_t,
    );
    #[local]
    #[since(12030)]
    #[per_thread(ptsz)]
    fn cuStreamBeginCaptureToGraph(
        hStream: CUstream,
        hGraph: CUgraph,
        #[list(numDependencies)] dependencies: *const CUgraphNode,
        dependencyData: *const CUgraphEdgeData,
        numDependencies: usize,
        mode: CUstreamCaptureMode,
    );
    #[local]
    #[since(11030)]
    #[per_thread(ptsz)]
    fn cuStreamUpdateCaptureDependencies(
        hStream: CUstream,
        #[input]
        #[list(numDependencies)]
        dependencies: *mut CUgraphNode,
        numDependencies: usize,
        flags: c_uint,
    );
    #[local]
    #[since(12030)]
    #[per_thread(ptsz)]
    fn cuStreamUpdateCaptureDependencies_v2(
        hStream: CUstream,
        #[input]
        #[list(numDependencies)]
        dependencies: *mut CUgraphNode,
        dependencyData: *const CUgraphEdgeData,
        numDependencies: usize,
        flags: c_uint,
    );
}
