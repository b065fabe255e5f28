//! Graphs: they live here, and what they are.

use std::collections::BTreeSet;
use std::ffi::c_uint;
use std::ptr;

use vgpu_cuda_wire::{CUgraph, CUgraphEdgeData, CUgraphNode, CUresult};

use crate::Done;
use crate::graphs::Graph;
use crate::lock::lock;
use crate::pointers::{Edges, Handles};
use crate::session::session;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

pub(crate) fn cuGraphCreate(graph: &mut CUgraph, flags: c_uint) -> Done {
    let session = session()?;
    if flags != 0 {
        return Err(INVALID);
    }
    *graph = session.graphs.graphs.add(std::sync::Arc::default());
    Ok(())
}

pub(crate) fn cuGraphDestroy(graph: CUgraph) -> Done {
    let session = session()?;
    session.graphs.destroy(&session.worker, graph)
}

pub(crate) fn cuGraphClone(clone: &mut CUgraph, graph: CUgraph) -> Done {
    let graphs = &session()?.graphs;
    let graph = graphs.now(graph)?;
    *clone = graphs.copy(&graph, false)?;
    Ok(())
}

pub(crate) fn cuGraphNodeFindInClone(
    node: &mut CUgraphNode,
    original: CUgraphNode,
    clone: CUgraph,
) -> Done {
    let clone = session()?.graphs.get(clone)?;
    let clone = lock(&clone);
    let found = clone.clones.get(&original.addr());
    let found = found.filter(|found| clone.nodes.contains_key(found));
    *node = ptr::without_provenance_mut(*found.ok_or(INVALID)?);
    Ok(())
}

/// Tells handles where there is room for them, and else how many there are.
fn tell(all: &[usize], into: Handles, count: &mut usize) {
    into.fill(all.iter().copied(), *count);
    *count = match into.is_there() {
        true => all.len().min(*count),
        false => all.len(),
    };
}

fn nodes(
    graph: CUgraph,
    of: impl FnOnce(&Graph) -> Vec<usize>,
    into: Handles,
    count: &mut usize,
) -> Done {
    let graph = session()?.graphs.get(graph)?;
    tell(&of(&lock(&graph)), into, count);
    Ok(())
}

pub(crate) fn cuGraphGetNodes(graph: CUgraph, into: Handles, count: &mut usize) -> Done {
    nodes(
        graph,
        |graph| graph.nodes.keys().copied().collect(),
        into,
        count,
    )
}

pub(crate) fn cuGraphGetRootNodes(graph: CUgraph, into: Handles, count: &mut usize) -> Done {
    let roots = |graph: &Graph| {
        let all = graph.nodes.iter();
        let roots = all.filter(|(_, node)| node.after.is_empty());
        roots.map(|(handle, _)| *handle).collect()
    };
    nodes(graph, roots, into, count)
}

pub(crate) fn cuGraphGetEdges(
    graph: CUgraph,
    from: Handles,
    to: Handles,
    count: &mut usize,
) -> Done {
    let graph = session()?.graphs.get(graph)?;
    let edges = lock(&graph).edges();
    if from.is_there() != to.is_there() {
        return Err(INVALID);
    }
    let room = *count;
    let (starts, ends): (Vec<_>, Vec<_>) = edges.into_iter().unzip();
    tell(&starts, from, count);
    to.fill(ends.into_iter(), room);
    Ok(())
}

pub(crate) fn cuGraphGetEdges_v2(
    graph: CUgraph,
    from: Handles,
    to: Handles,
    data: Edges,
    count: &mut usize,
) -> Done {
    cuGraphGetEdges(graph, from, to, count)?;
    if from.is_there() {
        data.plain(*count);
    }
    Ok(())
}

pub(crate) fn cuGraphNodeGetDependencies(
    node: CUgraphNode,
    into: Handles,
    count: &mut usize,
) -> Done {
    let (_, graph) = session()?.graphs.owner(node)?;
    let graph = lock(&graph);
    let node = graph.nodes.get(&node.addr()).ok_or(INVALID)?;
    tell(&node.after.iter().copied().collect::<Vec<_>>(), into, count);
    Ok(())
}

pub(crate) fn cuGraphNodeGetDependencies_v2(
    node: CUgraphNode,
    into: Handles,
    data: Edges,
    count: &mut usize,
) -> Done {
    cuGraphNodeGetDependencies(node, into, count)?;
    if into.is_there() {
        data.plain(*count);
    }
    Ok(())
}

pub(crate) fn cuGraphNodeGetDependentNodes(
    node: CUgraphNode,
    into: Handles,
    count: &mut usize,
) -> Done {
    let (_, graph) = session()?.graphs.owner(node)?;
    let edges = lock(&graph).edges();
    let of = edges.into_iter().filter(|(from, _)| *from == node.addr());
    tell(&of.map(|(_, to)| to).collect::<Vec<_>>(), into, count);
    Ok(())
}

pub(crate) fn cuGraphNodeGetDependentNodes_v2(
    node: CUgraphNode,
    into: Handles,
    data: Edges,
    count: &mut usize,
) -> Done {
    cuGraphNodeGetDependentNodes(node, into, count)?;
    if into.is_there() {
        data.plain(*count);
    }
    Ok(())
}

/// Changes edges, all or none of them.
fn edges(
    graph: CUgraph,
    from: &[CUgraphNode],
    to: &[CUgraphNode],
    change: impl Fn(&mut BTreeSet<usize>, usize) -> bool,
) -> Done {
    let graph = session()?.graphs.get(graph)?;
    let mut graph = lock(&graph);
    let mut changed = graph.clone();
    for (from, to) in from.iter().zip(to) {
        if from == to || !changed.nodes.contains_key(&from.addr()) {
            return Err(INVALID);
        }
        let node = changed.nodes.get_mut(&to.addr()).ok_or(INVALID)?;
        if !change(&mut node.after, from.addr()) {
            return Err(INVALID);
        }
    }
    *graph = changed;
    Ok(())
}

pub(crate) fn cuGraphAddDependencies(
    graph: CUgraph,
    from: &[CUgraphNode],
    to: &[CUgraphNode],
    _count: usize,
) -> Done {
    edges(graph, from, to, BTreeSet::insert)
}

/// All edges are plain ones.
pub(crate) fn cuGraphAddDependencies_v2(
    graph: CUgraph,
    from: &[CUgraphNode],
    to: &[CUgraphNode],
    _data: *const CUgraphEdgeData,
    count: usize,
) -> Done {
    cuGraphAddDependencies(graph, from, to, count)
}

pub(crate) fn cuGraphRemoveDependencies(
    graph: CUgraph,
    from: &[CUgraphNode],
    to: &[CUgraphNode],
    _count: usize,
) -> Done {
    edges(graph, from, to, |after, from| after.remove(&from))
}

pub(crate) fn cuGraphRemoveDependencies_v2(
    graph: CUgraph,
    from: &[CUgraphNode],
    to: &[CUgraphNode],
    _data: *const CUgraphEdgeData,
    count: usize,
) -> Done {
    cuGraphRemoveDependencies(graph, from, to, count)
}
