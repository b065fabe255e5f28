//! Streams whose work becomes a graph in place of being done.
//!
//! The rules are those of the driver API's section on stream management: what may be done while a
//! stream captures, and what ends a capture.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use vgpu_cuda_wire::{CUevent, CUgraph, CUresult, CUstream};

use crate::Done;
use crate::contexts::Stream;
use crate::graphs::{Graph, Graphs};
use crate::handles::{Table, mint};
use crate::lock::lock;
use crate::work::Work;
use crate::worker::Worker;

/// `CUstreamCaptureMode`.
const GLOBAL: u32 = 0;
const RELAXED: u32 = 2;

const UNSUPPORTED: CUresult = CUresult::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
const INVALIDATED: CUresult = CUresult::CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
const NONE: CUresult = CUresult::CUDA_ERROR_ILLEGAL_STATE;

/// The stream that each thread has of its own.
const PER_THREAD: usize = 2;

thread_local! {
    /// A number of this thread, where it has one.
    static THREAD: Cell<usize> = const { Cell::new(0) };
    static MODE: Cell<u32> = const { Cell::new(GLOBAL) };
}

fn thread() -> usize {
    if THREAD.get() == 0 {
        THREAD.set(mint().addr());
    }
    THREAD.get()
}

/// Exchanges the mode that says which captures of others refuse this thread.
pub(crate) fn exchange_mode(mode: u32) -> u32 {
    MODE.replace(mode)
}

/// What a stream is called here: the stream that a thread has of its own, by the thread.
fn key(stream: CUstream) -> usize {
    match stream.addr() {
        PER_THREAD => thread(),
        other => other,
    }
}

/// A capture.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    pub(crate) graph: usize,
    origin: usize,
    mode: u32,
    thread: usize,
    broken: bool,
}

/// A stream, or an event, that is part of a capture.
#[derive(Clone, Debug)]
struct Member {
    capture: u64,
    /// The nodes that what comes next depends on.
    last: Vec<usize>,
}

#[derive(Debug, Default)]
struct State {
    captures: BTreeMap<u64, Capture>,
    streams: BTreeMap<usize, Member>,
    events: BTreeMap<usize, Member>,
    /// Lists that the program reads.
    told: BTreeMap<usize, Vec<usize>>,
}

/// All captures.
#[derive(Debug, Default)]
pub(crate) struct Captures {
    /// How many streams are part of one.
    streams: AtomicUsize,
    /// How many events were last recorded in one, be it that it has ended.
    events: AtomicUsize,
    state: Mutex<State>,
}

impl State {
    /// The capture that a stream is part of.
    fn of(&self, stream: CUstream) -> Option<(u64, &Capture)> {
        let id = self.streams.get(&key(stream))?.capture;
        Some((id, self.captures.get(&id)?))
    }

    fn break_off(&mut self, which: impl Fn(&Capture) -> bool) -> bool {
        let mut found = false;
        for capture in self.captures.values_mut().filter(|capture| which(capture)) {
            capture.broken = true;
            found = true;
        }
        found
    }

    fn break_one(&mut self, id: u64) {
        if let Some(capture) = self.captures.get_mut(&id) {
            capture.broken = true;
        }
    }

    /// Ends a capture: no stream is part of it any more.
    fn end(&mut self, id: u64) {
        self.captures.remove(&id);
        self.streams.retain(|_, member| member.capture != id);
        let streams = &self.streams;
        self.told.retain(|stream, _| streams.contains_key(stream));
    }
}

/// What a stream's capture is, as `cuStreamGetCaptureInfo` tells it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) id: u64,
    pub(crate) graph: usize,
    /// Where the list of nodes is that the next work depends on: it stays until the stream is asked
    /// about again.
    pub(crate) last: usize,
    pub(crate) count: usize,
}

impl Captures {
    /// Whether any stream captures.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.streams.load(Ordering::Relaxed) != 0
    }

    /// Whether there is anything that an event may have to do with.
    #[inline]
    pub(crate) fn any_event(&self) -> bool {
        self.any() || self.events.load(Ordering::Relaxed) != 0
    }

    fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = lock(&self.state);
        let result = change(&mut state);
        for (count, now) in [
            (&self.streams, state.streams.len()),
            (&self.events, state.events.len()),
        ] {
            count.store(now, Ordering::Relaxed);
        }
        result
    }

    /// Begins to capture a stream, into a new graph or one that there is.
    pub(crate) fn begin(
        &self,
        graphs: &Graphs,
        stream: CUstream,
        mode: u32,
        into: Option<(CUgraph, Vec<usize>)>,
    ) -> Done {
        if stream.addr() < PER_THREAD {
            return Err(UNSUPPORTED);
        }
        self.with(|state| {
            if state.of(stream).is_some() {
                return Err(NONE);
            }
            let (graph, last) = into.unwrap_or_else(|| {
                let graph = Arc::new(Mutex::new(Graph::default()));
                (graphs.graphs.add(graph), Vec::new())
            });
            let id = mint().addr() as u64;
            let origin = key(stream);
            let capture = Capture {
                graph: graph.addr(),
                origin,
                mode,
                thread: thread(),
                broken: false,
            };
            state.captures.insert(id, capture);
            state.streams.insert(origin, Member { capture: id, last });
            Ok(())
        })
    }

    /// Ends the capture that began with a stream; gives its graph.
    pub(crate) fn end(
        &self,
        worker: &'static Worker,
        graphs: &Graphs,
        stream: CUstream,
    ) -> Result<CUgraph, CUresult> {
        self.with(|state| {
            let (id, capture) = state.of(stream).ok_or(NONE)?;
            let capture = capture.clone();
            if capture.origin != key(stream) {
                return Err(CUresult::CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
            }
            if capture.mode != RELAXED && capture.thread != thread() {
                return Err(CUresult::CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
            }
            let graph = ptr::without_provenance_mut(capture.graph);
            let joined = capture.broken || Self::joined(graphs, state, id, &capture)?;
            state.end(id);
            if capture.broken || !joined {
                let _ = graphs.destroy(worker, graph);
            }
            match (capture.broken, joined) {
                (true, _) => Err(INVALIDATED),
                (_, false) => Err(CUresult::CUDA_ERROR_STREAM_CAPTURE_UNJOINED),
                _ => Ok(graph),
            }
        })
    }

    /// Whether all that other streams captured comes before the origin's last nodes.
    fn joined(
        graphs: &Graphs,
        state: &State,
        id: u64,
        capture: &Capture,
    ) -> Result<bool, CUresult> {
        let graph = graphs.get(ptr::without_provenance_mut(capture.graph))?;
        let origin = state.streams.get(&capture.origin).ok_or(NONE)?;
        let before = lock(&graph).with_ancestors(&origin.last);
        let others = state.streams.values().filter(|other| other.capture == id);
        let mut last = others.flat_map(|other| &other.last);
        Ok(last.all(|node| before.contains(node)))
    }

    /// Takes work of a stream that captures; `None` where it does not, and the work is to be done.
    pub(crate) fn take(
        &self,
        graphs: &Graphs,
        streams: &Table<Stream>,
        stream: CUstream,
        work: impl FnOnce() -> Result<Work, CUresult>,
    ) -> Result<Option<usize>, CUresult> {
        self.with(|state| {
            let Some((id, capture)) = state.of(stream) else {
                return implicit(streams, state, stream).map(|()| None);
            };
            if capture.broken {
                return Err(INVALIDATED);
            }
            let graph = ptr::without_provenance_mut(capture.graph);
            let member = state.streams.get_mut(&key(stream)).ok_or(NONE)?;
            match work().and_then(|work| graphs.add(graph, &member.last, work)) {
                Ok(node) => {
                    member.last = vec![node];
                    Ok(Some(node))
                }
                Err(error) => {
                    state.break_one(id);
                    Err(error)
                }
            }
        })
    }

    /// Records an event; gives whether that was part of a capture.
    pub(crate) fn record(
        &self,
        streams: &Table<Stream>,
        event: CUevent,
        stream: CUstream,
    ) -> Result<bool, CUresult> {
        self.with(|state| match state.of(stream) {
            Some((_, capture)) if capture.broken => Err(INVALIDATED),
            Some(_) => {
                let member = state.streams.get(&key(stream)).ok_or(NONE)?.clone();
                state.events.insert(event.addr(), member);
                Ok(true)
            }
            None => {
                implicit(streams, state, stream)?;
                state.events.remove(&event.addr());
                Ok(false)
            }
        })
    }

    /// Has a stream wait for an event; gives whether that was part of a capture.
    pub(crate) fn wait(
        &self,
        streams: &Table<Stream>,
        stream: CUstream,
        event: CUevent,
    ) -> Result<bool, CUresult> {
        self.with(|state| {
            let recorded = state.events.get(&event.addr()).cloned();
            let own = state.of(stream).map(|(id, capture)| (id, capture.broken));
            match (recorded, own) {
                (_, Some((_, true))) => Err(INVALIDATED),
                (None, None) => implicit(streams, state, stream).map(|()| false),
                (None, Some((id, _))) => {
                    state.break_one(id);
                    Err(CUresult::CUDA_ERROR_STREAM_CAPTURE_ISOLATION)
                }
                (Some(recorded), None) => match state.captures.get(&recorded.capture) {
                    None => Err(CUresult::CUDA_ERROR_CAPTURED_EVENT),
                    Some(capture) if capture.broken => Err(INVALIDATED),
                    Some(_) if stream.addr() < PER_THREAD => {
                        state.break_one(recorded.capture);
                        Err(CUresult::CUDA_ERROR_STREAM_CAPTURE_IMPLICIT)
                    }
                    Some(_) => {
                        state.streams.insert(key(stream), recorded);
                        Ok(true)
                    }
                },
                (Some(recorded), Some((id, _))) if recorded.capture == id => {
                    let member = state.streams.get_mut(&key(stream)).ok_or(NONE)?;
                    let all: BTreeSet<_> = member.last.iter().chain(&recorded.last).collect();
                    member.last = all.into_iter().copied().collect();
                    Ok(true)
                }
                (Some(recorded), Some((id, _))) => {
                    state.break_one(id);
                    state.break_one(recorded.capture);
                    Err(CUresult::CUDA_ERROR_STREAM_CAPTURE_MERGE)
                }
            }
        })
    }

    /// Refuses what is no work of a stream that captures, and breaks its capture off.
    #[inline]
    pub(crate) fn refuse(&self, stream: CUstream) -> Done {
        match self.any() {
            true => self.refuse_now(stream),
            false => Ok(()),
        }
    }

    #[cold]
    fn refuse_now(&self, stream: CUstream) -> Done {
        self.with(|state| match state.of(stream).map(|(id, _)| id) {
            None => Ok(()),
            Some(id) => {
                state.break_one(id);
                Err(UNSUPPORTED)
            }
        })
    }

    /// Refuses to ask for an event that was recorded in a capture.
    pub(crate) fn refuse_event(&self, event: CUevent) -> Done {
        if !self.any_event() {
            return Ok(());
        }
        self.with(|state| {
            let recorded = state.events.get(&event.addr());
            match recorded.map(|recorded| recorded.capture) {
                None => Ok(()),
                Some(id) => {
                    state.break_one(id);
                    Err(CUresult::CUDA_ERROR_CAPTURED_EVENT)
                }
            }
        })
    }

    /// Refuses what may depend on work that a capture has not done, such as memory that is
    /// allocated, where this thread's mode and that of a capture say so.
    #[inline]
    pub(crate) fn refuse_unsafe(&self) -> Done {
        match self.any() {
            true => self.refuse_unsafe_now(),
            false => Ok(()),
        }
    }

    #[cold]
    fn refuse_unsafe_now(&self) -> Done {
        let (own, mode) = (thread(), MODE.get());
        let refused = |capture: &Capture| match mode {
            RELAXED => false,
            _ if capture.thread == own => capture.mode != RELAXED,
            other => other == GLOBAL && capture.mode == GLOBAL,
        };
        match self.with(|state| state.break_off(refused)) {
            true => Err(UNSUPPORTED),
            false => Ok(()),
        }
    }

    /// Forgets an event.
    pub(crate) fn forget_event(&self, event: CUevent) {
        if self.any_event() {
            self.with(|state| state.events.remove(&event.addr()));
        }
    }

    /// Forgets a stream that is destroyed, which breaks its capture off.
    pub(crate) fn forget_stream(&self, stream: CUstream) {
        if self.any() {
            self.with(|state| {
                if let Some(member) = state.streams.remove(&key(stream)) {
                    state.break_one(member.capture);
                }
            });
        }
    }

    /// `CUstreamCaptureStatus`, and what a stream captures where it does.
    pub(crate) fn told(&self, stream: CUstream) -> (u32, Option<Told>) {
        const ACTIVE: u32 = 1;
        const BROKEN: u32 = 2;
        if !self.any() {
            return (0, None);
        }
        self.with(|state| match state.of(stream) {
            None => (0, None),
            Some((_, capture)) if capture.broken => (BROKEN, None),
            Some((id, capture)) => {
                let graph = capture.graph;
                let member = state.streams.get(&key(stream));
                let last = member.map_or(Vec::new(), |member| member.last.clone());
                let count = last.len();
                let list = state.told.entry(key(stream)).or_default();
                *list = last;
                let last = list.as_ptr().expose_provenance();
                let told = Told {
                    id,
                    graph,
                    last,
                    count,
                };
                (ACTIVE, Some(told))
            }
        })
    }

    /// Has other nodes be what a stream's next work depends on: besides, or in place of, the last.
    pub(crate) fn depend(&self, stream: CUstream, on: &[usize], besides: bool) -> Done {
        self.with(|state| {
            let (_, capture) = state.of(stream).ok_or(NONE)?;
            if capture.broken {
                return Err(INVALIDATED);
            }
            let member = state.streams.get_mut(&key(stream)).ok_or(NONE)?;
            let before = if besides { &member.last[..] } else { &[] };
            let all: BTreeSet<_> = before.iter().chain(on).copied().collect();
            member.last = all.into_iter().collect();
            Ok(())
        })
    }
}

/// Refuses work of the legacy stream that streams which capture would have to wait for.
fn implicit(streams: &Table<Stream>, state: &mut State, stream: CUstream) -> Done {
    if stream.addr() >= PER_THREAD {
        return Ok(());
    }
    let waits = |stream: usize| {
        let handle = ptr::without_provenance_mut(stream);
        // A flag says that a stream does not; that of a thread does.
        streams.get(handle).map_or(true, |stream| stream.flags == 0)
    };
    let members = state.streams.iter().filter(|(stream, _)| waits(**stream));
    let ids: Vec<_> = members.map(|(_, member)| member.capture).collect();
    for id in &ids {
        state.break_one(*id);
    }
    match ids.is_empty() {
        true => Ok(()),
        false => Err(CUresult::CUDA_ERROR_STREAM_CAPTURE_IMPLICIT),
    }
}
