/// Graphs that can be launched.
pub trait Executables {
    #[local]
    #[since(12000)]
    #[per_thread(ptsz)]
    fn cuGraphInstantiateWithParams(
        #[out] phGraphExec: *mut CUgraphExec,
        hGraph: CUgraph,
        #[out] instantiateParams: *mut CUDA_GRAPH_INSTANTIATE_PARAMS,
    );
    #[local]
    #[since(11010)]
    #[per_thread(ptsz)]
    fn cuGraphUpload(hGraphExec: CUgraphExec, hStream: CUstream);
    #[local]
    #[since(12000)]
    fn cuGraphExecGetFlags(hGraphExec: CUgraphExec, #[out] flags: *mut cuuint64_t);
    #[local]
    #[since(10020)]
    fn cuGraphExecUpdate(
        hGraphExec: CUgraphExec,
        hGraph: CUgraph,
        #[out]
        #[optional]
        hErrorNode_out: *mut CUgraphNode,
        #[out] updateResult_out: *mut CUgraphExecUpdateResult,
    );
    #[local]
    #[since(12000)]
    fn cuGraphExecUpdate_v2(
        hGraphExec: CUgraphExec,
        hGraph: CUgraph,
        #[out] resultInfo: *mut CUgraphExecUpdateResultInfo,
    );
    #[local]
    #[since(10020)]
    fn cuGraphExecMemsetNodeSetParams(
        hGraphExec: CUgraphExec,
        hNode: CUgraphNode,
        #[input] memsetParams: *const CUDA_MEMSET_NODE_PARAMS,
        ctx: CUcontext,
    );
    #[local]
    #[since(10020)]
    fn cuGraphExecHostNodeSetParams(
        hGraphExec: CUgraphExec,
        hNode: CUgraphNode,
        #[input] nodeParams: *const CUDA_HOST_NODE_PARAMS,
    );
    #[local]
    #[since(11010)]
    fn cuGraphExecChildGraphNodeSetParams(
        hGraphExec: CUgraphExec,
        hNode: CUgraphNode,
        childGraph: CUgraph,
    );
    #[local]
    #[since(11010)]
    fn cuGraphExecEventRecordNodeSetEvent(
        hGraphExec: CUgraphExec,
        hNode: CUgraphNode,
        event: CUevent,
    );
    #[local]
    #[since(11010)]
    fn cuGraphExecEventWaitNodeSetEvent(
        hGraphExec: CUgraphExec,
        hNode: CUgraphNode,
        event: CUevent,
    );
    #[local]
    #[since(12020)]
    fn cuGraphExecNodeSetParams(
        hGraphExec: CUgraphExec,
        hNode: CUgraphNode,
        #[by(node_of_any_kind)] nodeParams: *mut CUgraphNodeParams,
    );
    #[local]
    #[since(11060)]
    fn cuGraphNodeSetEnabled(hGraphExec: CUgraphExec, hNode: CUgraphNode, isEnabled: c_uint);
    #[local]
    #[since(11060)]
    fn cuGraphNodeGetEnabled(
        hGraphExec: CUgraphExec,
        hNode: CUgraphNode,
        #[out] isEnabled: *mut c_uint,
    );
}
