//! Graphs, as this process knows them. They are nothing to the worker: what they do is sent node
//! by node.

use std::collections::{BTreeMap, BTreeSet};
use std::ptr;
use std::sync::{Arc, Mutex};

use vgpu_cuda_wire::{CUgraph, CUgraphNode, CUresult};

use crate::Done;
use crate::handles::{Table, mint};
use crate::lock::lock;
use crate::objects::Objects;
use crate::work::Work;
use crate::worker::Worker;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

/// A node, and those that it comes after.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) work: Work,
    pub(crate) after: BTreeSet<usize>,
}

/// A graph's nodes, by their handles.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    pub(crate) nodes: BTreeMap<usize, Node>,
    /// Of a clone: its nodes, by those of the graph that it is a clone of.
    pub(crate) clones: BTreeMap<usize, usize>,
    /// The program's objects that it keeps, with how often.
    pub(crate) objects: BTreeMap<usize, u32>,
    /// Whether it is a node of another graph, with which it ends.
    pub(crate) child: bool,
}

pub(crate) type Shared<T> = Arc<Mutex<T>>;

/// A node of a graph that can be launched.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) node: usize,
    pub(crate) work: Work,
    pub(crate) enabled: bool,
}

/// A graph that can be launched: its nodes, and its children's, in an order to launch them in.
#[derive(Clone, Debug)]
pub(crate) struct Executable {
    pub(crate) steps: Vec<Step>,
    /// What kind each node is of, and which of the nodes before it comes before it.
    pub(crate) shape: Vec<(u32, Vec<usize>)>,
    pub(crate) flags: u64,
    pub(crate) objects: BTreeMap<usize, u32>,
}

/// All graphs.
#[derive(Debug, Default)]
pub(crate) struct Graphs {
    pub(crate) graphs: Table<Shared<Graph>>,
    pub(crate) executables: Table<Shared<Executable>>,
    pub(crate) objects: Objects,
    /// The graph of each node.
    owners: Mutex<BTreeMap<usize, usize>>,
}

impl Graph {
    /// Nodes, and all that come before them.
    pub(crate) fn with_ancestors(&self, of: &[usize]) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut open = of.to_vec();
        while let Some(node) = open.pop() {
            if found.insert(node)
                && let Some(node) = self.nodes.get(&node)
            {
                open.extend(&node.after);
            }
        }
        found
    }

    /// The nodes in an order in which each comes after those that it depends on, and else as they
    /// were added.
    ///
    /// # Errors
    /// There is none, as some depend on each other.
    pub(crate) fn order(&self) -> Result<Vec<usize>, CUresult> {
        let mut open: BTreeMap<usize, usize> = self
            .nodes
            .iter()
            .map(|(handle, node)| (*handle, node.after.len()))
            .collect();
        let mut behind: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (handle, node) in &self.nodes {
            for before in &node.after {
                behind.entry(*before).or_default().push(*handle);
            }
        }
        let free = open.iter().filter(|(_, count)| **count == 0);
        let mut ready: BTreeSet<_> = free.map(|(handle, _)| *handle).collect();
        let mut order = Vec::with_capacity(open.len());
        while let Some(node) = ready.pop_first() {
            order.push(node);
            for next in behind.get(&node).into_iter().flatten() {
                if let Some(count) = open.get_mut(next) {
                    *count -= 1;
                    if *count == 0 {
                        ready.insert(*next);
                    }
                }
            }
        }
        match order.len() == self.nodes.len() {
            true => Ok(order),
            false => Err(INVALID),
        }
    }

    /// All edges: from, to.
    pub(crate) fn edges(&self) -> Vec<(usize, usize)> {
        let edges = self.nodes.iter().flat_map(|(to, node)| {
            let from = node.after.iter();
            from.map(move |from| (*from, *to))
        });
        edges.collect()
    }
}

impl Graphs {
    pub(crate) fn get(&self, graph: CUgraph) -> Result<Shared<Graph>, CUresult> {
        self.graphs.get(graph).map_err(|_| INVALID)
    }

    /// A graph as it is now.
    pub(crate) fn now(&self, graph: CUgraph) -> Result<Graph, CUresult> {
        let graph = self.get(graph)?;
        let now = lock(&graph).clone();
        Ok(now)
    }

    /// Adds a node that comes after others of its graph.
    pub(crate) fn add(
        &self,
        owner: CUgraph,
        after: &[usize],
        work: Work,
    ) -> Result<usize, CUresult> {
        let graph = self.get(owner)?;
        let after: BTreeSet<_> = after.iter().copied().collect();
        let mut graph = lock(&graph);
        if !after.iter().all(|node| graph.nodes.contains_key(node)) {
            return Err(INVALID);
        }
        let handle = mint().addr();
        graph.nodes.insert(handle, Node { work, after });
        lock(&self.owners).insert(handle, owner.addr());
        Ok(handle)
    }

    /// The graph that a node is in, and its handle.
    pub(crate) fn owner(&self, node: CUgraphNode) -> Result<(CUgraph, Shared<Graph>), CUresult> {
        let owner = lock(&self.owners).get(&node.addr()).copied();
        let owner = ptr::without_provenance_mut(owner.ok_or(INVALID)?);
        Ok((owner, self.get(owner)?))
    }

    /// What a node does.
    pub(crate) fn work(&self, node: CUgraphNode) -> Result<Work, CUresult> {
        let (_, graph) = self.owner(node)?;
        let graph = lock(&graph);
        let node = graph.nodes.get(&node.addr()).ok_or(INVALID)?;
        Ok(node.work.clone())
    }

    /// Gives a node other parameters, of the same kind.
    pub(crate) fn set(&self, node: CUgraphNode, to: Work) -> Done {
        let (_, graph) = self.owner(node)?;
        let mut graph = lock(&graph);
        let node = graph.nodes.get_mut(&node.addr()).ok_or(INVALID)?;
        replace(&mut node.work, to)
    }

    /// Takes a node off its graph, and what depended on it.
    pub(crate) fn remove(&self, worker: &'static Worker, node: CUgraphNode) -> Done {
        let (_, graph) = self.owner(node)?;
        let removed = {
            let mut graph = lock(&graph);
            let removed = graph.nodes.remove(&node.addr()).ok_or(INVALID)?;
            for other in graph.nodes.values_mut() {
                other.after.remove(&node.addr());
            }
            removed
        };
        lock(&self.owners).remove(&node.addr());
        match removed.work {
            Work::Graph(child) => self.end(worker, ptr::without_provenance_mut(child)),
            _ => Ok(()),
        }
    }

    /// Ends a graph that the program has.
    pub(crate) fn destroy(&self, worker: &'static Worker, graph: CUgraph) -> Done {
        if self.now(graph)?.child {
            return Err(INVALID);
        }
        self.end(worker, graph)
    }

    fn end(&self, worker: &'static Worker, graph: CUgraph) -> Done {
        let removed = self.graphs.remove(graph).map_err(|_| INVALID)?;
        let removed = lock(&removed).clone();
        {
            let mut owners = lock(&self.owners);
            for node in removed.nodes.keys() {
                owners.remove(node);
            }
        }
        for node in removed.nodes.values() {
            if let Work::Graph(child) = node.work {
                self.end(worker, ptr::without_provenance_mut(child))?;
            }
        }
        self.objects.release_all(worker, &removed.objects)
    }

    /// A graph of the same nodes, with handles of their own.
    pub(crate) fn copy(&self, graph: &Graph, child: bool) -> Result<CUgraph, CUresult> {
        let mut copy = Graph {
            child,
            ..Graph::default()
        };
        let order = graph.order()?;
        let handles: BTreeMap<_, _> = order.iter().map(|node| (*node, mint().addr())).collect();
        for (old, new) in &handles {
            let node = graph.nodes.get(old).ok_or(INVALID)?;
            let work = match node.work {
                Work::Graph(inner) => {
                    let inner = self.now(ptr::without_provenance_mut(inner))?;
                    Work::Graph(self.copy(&inner, true)?.addr())
                }
                ref other => other.clone(),
            };
            let after = node.after.iter().filter_map(|node| handles.get(node));
            let after = after.copied().collect();
            copy.nodes.insert(*new, Node { work, after });
        }
        copy.clones.clone_from(&handles);
        let handle = self.graphs.add(Arc::new(Mutex::new(copy)));
        let mut owners = lock(&self.owners);
        owners.extend(handles.values().map(|node| (*node, handle.addr())));
        drop(owners);
        Ok(handle)
    }

    /// Makes a graph ready to be launched.
    pub(crate) fn make(&self, graph: CUgraph, flags: u64) -> Result<Executable, CUresult> {
        let graph = self.now(graph)?;
        let (mut steps, mut shape) = (Vec::new(), Vec::new());
        self.flatten(&graph, &mut steps, &mut shape)?;
        Ok(Executable {
            steps,
            shape,
            flags,
            objects: graph.objects,
        })
    }

    fn flatten(
        &self,
        graph: &Graph,
        steps: &mut Vec<Step>,
        shape: &mut Vec<(u32, Vec<usize>)>,
    ) -> Done {
        let order = graph.order()?;
        let places: BTreeMap<_, _> = order.iter().zip(0..).collect();
        for handle in &order {
            let node = graph.nodes.get(handle).ok_or(INVALID)?;
            let before = node.after.iter().filter_map(|node| places.get(node));
            shape.push((node.work.kind(), before.copied().collect()));
            steps.push(Step {
                node: *handle,
                work: node.work.clone(),
                enabled: true,
            });
            if let Work::Graph(child) = node.work {
                let child = self.now(ptr::without_provenance_mut(child))?;
                self.flatten(&child, steps, shape)?;
            }
        }
        Ok(())
    }
}

/// Puts work in the place of other work of the same kind.
pub(crate) fn replace(place: &mut Work, by: Work) -> Done {
    match place.kind() == by.kind() {
        true => {
            *place = by;
            Ok(())
        }
        false => Err(INVALID),
    }
}
