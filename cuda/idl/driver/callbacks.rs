/// Functions of the program that a stream calls, and objects that graphs end.
pub trait Callbacks {
    #[asynchronous]
    #[since(10000)]
    #[per_thread(ptsz)]
    fn cuLaunchHostFunc(hStream: CUstream, fn_: CUhostFn, userData: *mut c_void);
    #[asynchronous]
    #[since(5000)]
    #[per_thread(ptsz)]
    fn cuStreamAddCallback(
        hStream: CUstream,
        callback: CUstreamCallback,
        userData: *mut c_void,
        flags: c_uint,
    );
    #[local]
    #[since(11030)]
    fn cuUserObjectCreate(
        #[out] object_out: *mut CUuserObject,
        ptr: *mut c_void,
        destroy: CUhostFn,
        initialRefcount: c_uint,
        flags: c_uint,
    );
    #[local]
    #[since(11030)]
    fn cuUserObjectRetain(object: CUuserObject, count: c_uint);
    #[local]
    #[since(11030)]
    fn cuUserObjectRelease(object: CUuserObject, count: c_uint);
    #[local]
    #[since(11030)]
    fn cuGraphRetainUserObject(graph: CUgraph, object: CUuserObject, count: c_uint, flags: c_uint);
    #[local]
    #[since(11030)]
    fn cuGraphReleaseUserObject(graph: CUgraph, object: CUuserObject, count: c_uint);
}
