/// Graphs.
pub trait Graphs {
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
        #[list(numDependencies)] dependencies: *const CUgraphNode,
        numDependencies: usize,
        #[by(kernel_node)] nodeParams: *const CUDA_KERNEL_NODE_PARAMS,
    );
    #[local]
    #[since(12000)]
    fn cuGraphAddKernelNode_v2(
        #[out] phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        #[list(numDependencies)] dependencies: *const CUgraphNode,
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
    #[local]
    #[since(10000)]
    fn cuGraphAddMemcpyNode(
        #[out] phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        #[list(numDependencies)] dependencies: *const CUgraphNode,
        numDependencies: usize,
        #[input] copyParams: *const CUDA_MEMCPY3D,
        ctx: CUcontext,
    );
    #[local]
    #[since(10020)]
    fn cuGraphExecMemcpyNodeSetParams(
        hGraphExec: CUgraphExec,
        hNode: CUgraphNode,
        #[input] copyParams: *const CUDA_MEMCPY3D,
        ctx: CUcontext,
    );
}
