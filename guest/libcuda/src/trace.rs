//! Counts calls, messages and waits where `vgpu trace` asks for it; nothing
//! otherwise.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use vgpu_cuda_wire::CUresult;
use vgpu_ring::Park;
use vgpu_trace::{Call, Reason, Trace, VARIABLE, Waits};

use crate::pointers::{OfProcess, Page};

/// A child of fork has no part in the memory.
static TRACE: OfProcess<Trace> = OfProcess::new();
/// Whether it is known that there is none. Each call asks, more than once.
static NONE: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// What this thread's call has done so far.
    static CALL: Cell<Call> = const {
        Cell::new(Call {
            start: 0,
            nanoseconds: 0,
            status: 0,
            thread: 0,
            messages: 0,
            waits: Waits {
                count: 0,
                nanoseconds: 0,
                sleeps: 0,
            },
        })
    };
}

fn open() -> Option<(Trace, Page<Trace>)> {
    let path = std::env::var_os(VARIABLE)?;
    match Trace::open(Path::new(&path)) {
        Ok(trace) => Some((trace, Page::new().ok()?)),
        Err(error) => {
            eprintln!("vgpu: not traced: {}: {error}", path.display());
            None
        }
    }
}

#[inline]
fn trace() -> Option<&'static Trace> {
    match NONE.load(Ordering::Relaxed) {
        true => None,
        false => look(),
    }
}

#[cold]
fn look() -> Option<&'static Trace> {
    static OPENED: OnceLock<()> = OnceLock::new();
    OPENED.get_or_init(|| match open() {
        Some((trace, page)) => TRACE.set(page, trace),
        None => NONE.store(true, Ordering::Relaxed),
    });
    TRACE.get()
}

/// A call that is counted when it ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    trace: &'static Trace,
    start: u64,
}

/// Begins a call.
#[inline]
pub(crate) fn begin() -> Option<Begun> {
    trace().map(begin_traced)
}

#[cold]
fn begin_traced(trace: &'static Trace) -> Begun {
    CALL.set(Call::default());
    Begun {
        trace,
        start: trace.now(),
    }
}

/// Ends a call of a symbol.
#[inline]
pub(crate) fn end(symbol: u16, begun: Option<Begun>, result: CUresult) {
    if let Some(begun) = begun {
        end_traced(symbol, begun, result);
    }
}

#[cold]
fn end_traced(symbol: u16, Begun { trace, start }: Begun, result: CUresult) {
    let done = Call {
        start,
        nanoseconds: trace.now().saturating_sub(start),
        status: result.0,
        thread: rustix::thread::gettid().as_raw_pid().cast_unsigned(),
        ..CALL.get()
    };
    trace.count_call(symbol, &done);
}

/// Counts a message that was sent.
#[inline(always)]
pub(crate) fn message(op: u16, bytes: usize) {
    if let Some(trace) = trace() {
        count_message(trace, op, bytes);
    }
}

#[cold]
fn count_message(trace: &Trace, op: u16, bytes: usize) {
    trace.count_message(op, bytes);
    let call = CALL.get();
    let messages = call.messages.saturating_add(1);
    CALL.set(Call { messages, ..call });
}

/// Notes the device's name.
pub(crate) fn device(name: &[u8]) {
    if let Some(trace) = trace() {
        trace.name_device(name);
    }
}

/// Waits by a way to sleep, and counts it.
#[inline]
pub(crate) fn wait<P: Park, T>(
    park: &P,
    reason: Reason,
    wait: impl FnOnce(&Sleeps<'_, P>) -> T,
) -> T {
    let sleeps = Sleeps {
        park,
        count: Cell::new(0),
    };
    let Some(trace) = trace() else {
        return wait(&sleeps);
    };
    let start = trace.now();
    let waited = wait(&sleeps);
    let now = Waits {
        count: 1,
        nanoseconds: trace.now().saturating_sub(start),
        sleeps: sleeps.count.get(),
    };
    trace.count_wait(reason, now);
    let call = CALL.get();
    let waits = Waits {
        count: call.waits.count + 1,
        nanoseconds: call.waits.nanoseconds + now.nanoseconds,
        sleeps: call.waits.sleeps + now.sleeps,
    };
    CALL.set(Call { waits, ..call });
    waited
}

/// Counts how often it sleeps.
#[derive(Debug)]
pub(crate) struct Sleeps<'a, P> {
    park: &'a P,
    count: Cell<u64>,
}

impl<P: Park> Park for Sleeps<'_, P> {
    type Ticket = P::Ticket;
    type Lost = P::Lost;

    fn ticket(&self) -> P::Ticket {
        self.park.ticket()
    }

    fn park(&self, ticket: P::Ticket) -> Result<(), P::Lost> {
        self.count.set(self.count.get() + 1);
        self.park.park(ticket)
    }
}
