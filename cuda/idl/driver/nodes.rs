/// Nodes of graphs.
pub trait Nodes {
    #[local]
    #[since(10000)]
    fn cuGraphAddMemsetNode(
        #[out] phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        #[list(numDependencies)] dependencies: *const CUgraphNode,
        numDependencies: usize,
        #[input] memsetParams: *const CUDA_MEMSET_NODE_PARAMS,
        ctx: CUcontext,
    );
    #[local]
    #[since(10000)]
    fn cuGraphAddHostNode(
        #[out] phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        #[list(numDependencies)] dependencies: *const CUgraphNode,
        numDependencies: usize,
        #[input] nodeParams: *const CUDA_HOST_NODE_PARAMS,
    );
    #[local]
    #[since(10000)]
    fn cuGraphAddChildGraphNode(
        #[out] phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        #[list(numDependencies)] dependencies: *const CUgraphNode,
        numDependencies: usize,
        childGraph: CUgraph,
    );
    #[local]
    #[since(10000)]
    fn cuGraphAddEmptyNode(
        #[out] phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        #[list(numDependencies)] dependencies: *const CUgraphNode,
        numDependencies: usize,
    );
    #[local]
    #[since(11010)]
    fn cuGraphAddEventRecordNode(
        #[out] phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        #[list(numDependencies)] dependencies: *const CUgraphNode,
        numDependencies: usize,
        event: CUevent,
    );
    #[local]
    #[since(11010)]
    fn cuGraphAddEventWaitNode(
        #[out] phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        #[list(numDependencies)] dependencies: *const CUgraphNode,
        numDependencies: usize,
        event: CUevent,
    );
    #[local]
    #[since(12020)]
    fn cuGraphAddNode(
        #[out] phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        #[list(numDependencies)] dependencies: *const CUgraphNode,
        numDependencies: usize,
        #[by(node_of_any_kind)] nodeParams: *mut CUgraphNodeParams,
    );
    #[local]
    #[since(12030)]
    fn cuGraphAddNode_v2(
        #[out] phGraphNode: *mut CUgraphNode,
        hGraph: CUgraph,
        #[list(numDependencies)] dependencies: *const CUgraphNode,
        dependencyData: *const CUgraphEdgeData,
        numDependencies: usize,
        #[by(node_of_any_kind)] nodeParams: *mut CUgraphNodeParams,
    );
    #[local]
    #[since(10000)]
    fn cuGraphKernelNodeGetParams(
        hNode: CUgraphNode,
        #[out] nodeParams: *mut CUDA_KERNEL_NODE_PARAMS,
    );
    #[local]
    #[since(12000)]
    fn cuGraphKernelNodeGetParams_v2(
        hNode: CUgraphNode,
        #[by(kernel_node_out)] nodeParams: *mut CUDA_KERNEL_NODE_PARAMS,
    );
    #[local]
    #[since(10000)]
    fn cuGraphKernelNodeSetParams(
        hNode: CUgraphNode,
        #[by(kernel_node)] nodeParams: *const CUDA_KERNEL_NODE_PARAMS,
    );
    #[local]
    #[since(12000)]
    fn cuGraphKernelNodeSetParams_v2(
        hNode: CUgraphNode,
        #[by(kernel_node)] nodeParams: *const CUDA_KERNEL_NODE_PARAMS,
    );
    #[local]
    #[since(10000)]
    fn cuGraphMemcpyNodeGetParams(hNode: CUgraphNode, #[out] nodeParams: *mut CUDA_MEMCPY3D);
    #[local]
    #[since(10000)]
    fn cuGraphMemcpyNodeSetParams(
        hNode: CUgraphNode,
        #[by(copy_3d)] nodeParams: *const CUDA_MEMCPY3D,
    );
    #[local]
    #[since(10000)]
    fn cuGraphMemsetNodeGetParams(
        hNode: CUgraphNode,
        #[out] nodeParams: *mut CUDA_MEMSET_NODE_PARAMS,
    );
    #[local]
    #[since(10000)]
    fn cuGraphMemsetNodeSetParams(
        hNode: CUgraphNode,
        #[input] nodeParams: *const CUDA_MEMSET_NODE_PARAMS,
    );
    #[local]
    #[since(10000)]
    fn cuGraphHostNodeGetParams(hNode: CUgraphNode, #[out] nodeParams: *mut CUDA_HOST_NODE_PARAMS);
    #[local]
    #[since(10000)]
    fn cuGraphHostNodeSetParams(
        hNode: CUgraphNode,
        #[input] nodeParams: *const CUDA_HOST_NODE_PARAMS,
    );
    #[local]
    #[since(10000)]
    fn cuGraphChildGraphNodeGetGraph(hNode: CUgraphNode, #[out] phGraph: *mut CUgraph);
    #[local]
    #[since(11010)]
    fn cuGraphEventRecordNodeGetEvent(hNode: CUgraphNode, #[out] event_out: *mut CUevent);
    #[local]
    #[since(11010)]
    fn cuGraphEventRecordNodeSetEvent(hNode: CUgraphNode, event: CUevent);
    #[local]
    #[since(11010)]
    fn cuGraphEventWaitNodeGetEvent(hNode: CUgraphNode, #[out] event_out: *mut CUevent);
    #[local]
    #[since(11010)]
    fn cuGraphEventWaitNodeSetEvent(hNode: CUgraphNode, event: CUevent);
    #[local]
    #[since(10000)]
    fn cuGraphNodeGetType(hNode: CUgraphNode, #[out] type_: *mut CUgraphNodeType);
    #[local]
    #[since(12020)]
    fn cuGraphNodeSetParams(
        hNode: CUgraphNode,
        #[by(node_of_any_kind)] nodeParams: *mut CUgraphNodeParams,
    );
    #[local]
    #[since(10000)]
    fn cuGraphDestroyNode(hNode: CUgraphNode);
}
