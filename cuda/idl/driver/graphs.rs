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
        #[by(copy_3d)] copyParams: *const CUDA_MEMCPY3D,
        ctx: CUcontext,
    );
    #[local]
    #[since(10020)]
    fn cuGraphExecMemcpyNodeSetParams(
        hGraphExec: CUgraphExec,
        hNode: CUgraphNode,
        #[by(copy_3d)] copyParams: *const CUDA_MEMCPY3D,
        ctx: CUcontext,
    );
    #[local]
    #[since(10000)]
    fn cuGraphClone(#[out] phGraphClone: *mut CUgraph, originalGraph: CUgraph);
    #[local]
    #[since(10000)]
    fn cuGraphNodeFindInClone(
        #[out] phNode: *mut CUgraphNode,
        hOriginalNode: CUgraphNode,
        hClonedGraph: CUgraph,
    );
    #[local]
    #[since(10000)]
    fn cuGraphGetNodes(
        hGraph: CUgraph,
        #[by(handles)] nodes: *mut CUgraphNode,
        #[out] numNodes: *mut usize,
    );
    #[local]
    #[since(10000)]
    fn cuGraphGetRootNodes(
        hGraph: CUgraph,
        #[by(handles)] rootNodes: *mut CUgraphNode,
        #[out] numRootNodes: *mut usize,
    );
    #[local]
    #[since(10000)]
    fn cuGraphGetEdges(
        hGraph: CUgraph,
        #[by(handles)] from: *mut CUgraphNode,
        #[by(handles)] to: *mut CUgraphNode,
        #[out] numEdges: *mut usize,
    );
    #[local]
    #[since(12030)]
    fn cuGraphGetEdges_v2(
        hGraph: CUgraph,
        #[by(handles)] from: *mut CUgraphNode,
        #[by(handles)] to: *mut CUgraphNode,
        #[by(edges)] edgeData: *mut CUgraphEdgeData,
        #[out] numEdges: *mut usize,
    );
    #[local]
    #[since(10000)]
    fn cuGraphNodeGetDependencies(
        hNode: CUgraphNode,
        #[by(handles)] dependencies: *mut CUgraphNode,
        #[out] numDependencies: *mut usize,
    );
    #[local]
    #[since(12030)]
    fn cuGraphNodeGetDependencies_v2(
        hNode: CUgraphNode,
        #[by(handles)] dependencies: *mut CUgraphNode,
        #[by(edges)] edgeData: *mut CUgraphEdgeData,
        #[out] numDependencies: *mut usize,
    );
    #[local]
    #[since(10000)]
    fn cuGraphNodeGetDependentNodes(
        hNode: CUgraphNode,
        #[by(handles)] dependentNodes: *mut CUgraphNode,
        #[out] numDependentNodes: *mut usize,
    );
    #[local]
    #[since(12030)]
    fn cuGraphNodeGetDependentNodes_v2(
        hNode: CUgraphNode,
        #[by(handles)] dependentNodes: *mut CUgraphNode,
        #[by(edges)] edgeData: *mut CUgraphEdgeData,
        #[out] numDependentNodes: *mut usize,
    );
    #[local]
    #[since(10000)]
    fn cuGraphAddDependencies(
        hGraph: CUgraph,
        #[list(numDependencies)] from: *const CUgraphNode,
        #[list(numDependencies)] to: *const CUgraphNode,
        numDependencies: usize,
    );
    #[local]
    #[since(12030)]
    fn cuGraphAddDependencies_v2(
        hGraph: CUgraph,
        #[list(numDependencies)] from: *const CUgraphNode,
        #[list(numDependencies)] to: *const CUgraphNode,
        edgeData: *const CUgraphEdgeData,
        numDependencies: usize,
    );
    #[local]
    #[since(10000)]
    fn cuGraphRemoveDependencies(
        hGraph: CUgraph,
        #[list(numDependencies)] from: *const CUgraphNode,
        #[list(numDependencies)] to: *const CUgraphNode,
        numDependencies: usize,
    );
    #[local]
    #[since(12030)]
    fn cuGraphRemoveDependencies_v2(
        hGraph: CUgraph,
        #[list(numDependencies)] from: *const CUgraphNode,
        #[list(numDependencies)] to: *const CUgraphNode,
        edgeData: *const CUgraphEdgeData,
        numDependencies: usize,
    );
}
