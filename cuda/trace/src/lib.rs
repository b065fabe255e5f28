//! What a program's calls cost, as its `libcuda.so.1` counts them and `vgpu
//! trace` shows them.
//!
//! A [`Trace`] is a memory file of counters, made by who wants to look. The
//! library finds it by its path in the environment ([`VARIABLE`]); all processes
//! of a program count into the same one. What a process counted is there however
//! it ended, and no file stays.
//!
//! Rows are in the order of [`SYMBOLS`] and [`OPERATIONS`]; both sides have to be
//! of the same build, which the head of the file tells. Nothing of it is trusted
//! that could harm: the reader takes any number for a count.
#![forbid(unsafe_code)]

mod layout;
mod reason;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::time::{ClockId, clock_gettime};
use vgpu_cuda_wire::{CUresult, Class, OPERATIONS, SYMBOLS};
use vgpu_ring::Memory;
use vgpu_window::Window;

pub use layout::CALLS;
pub use reason::Reason;

/// The environment's variable with the path of the memory file.
pub const VARIABLE: &str = "VGPU_TRACE";

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened or made.
    #[error("{0}")]
    File(#[from] std::io::Error),
    /// It is no shared memory.
    #[error("{0}")]
    Window(#[from] vgpu_window::Error),
    /// It is none of this build's.
    #[error("it was made by another version of vgpu; use `vgpu` and `libcuda.so.1` of one build")]
    Version,
}

/// Waits: how many, how long, and how often a thread slept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// How many.
    pub count: u64,
    /// How long, in nanoseconds.
    pub nanoseconds: u64,
    /// How often the thread went to sleep, after it had looked for a while.
    pub sleeps: u64,
}

/// One call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// When it began, in nanoseconds since the trace was made.
    pub start: u64,
    /// How long it took, in nanoseconds.
    pub nanoseconds: u64,
    /// What it gave: a `CUresult`.
    pub status: u32,
    /// The thread's number.
    pub thread: u32,
    /// Messages that it sent.
    pub messages: u32,
    /// What it waited.
    pub waits: Waits,
}

/// All calls of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its symbol.
    pub name: &'static str,
    /// What a call costs; `None` where it is not supported.
    pub class: Option<Class>,
    /// How many calls.
    pub calls: u64,
    /// How many gave an error.
    pub errors: u64,
    /// The last of these: a `CUresult`.
    pub last_error: u32,
    /// How long all took, in nanoseconds.
    pub nanoseconds: u64,
    /// Messages that they sent.
    pub messages: u64,
    /// What they waited.
    pub waits: Waits,
}

/// All messages of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The operation's name.
    pub name: &'static str,
    /// How many.
    pub count: u64,
    /// Their bytes in the ring, without headers.
    pub bytes: u64,
}

/// A trace's counters.
#[derive(Clone, Debug)]
pub struct Trace(Window);

fn add(words: &[AtomicU64], values: &[u64]) {
    for (word, value) in words.iter().zip(values) {
        if *value != 0 {
            word.fetch_add(*value, Ordering::Relaxed);
        }
    }
}

/// Nanoseconds since the system's start.
fn clock() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

impl Trace {
    /// Makes one without a name; it is there as long as its descriptor.
    ///
    /// # Errors
    /// The system has no room.
    pub fn create() -> Result<(OwnedFd, Self), Error> {
        let (memory, window) = Window::create(layout::SIZE)?;
        let trace = Self(window);
        for (word, value) in trace.words(layout::HEAD).iter().zip(layout::head()) {
            word.store(value, Ordering::Relaxed);
        }
        trace.word(layout::BEGAN).store(clock(), Ordering::Relaxed);
        Ok((memory, trace))
    }

    /// Opens one by its path, for a process that counts.
    ///
    /// # Errors
    /// There is none, or one of another build.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::options().read(true).write(true).open(path)?;
        let trace = match Window::map(file.as_fd(), layout::SIZE) {
            Err(vgpu_window::Error::Size { .. }) => return Err(Error::Version),
            other => Self(other?),
        };
        let head = trace.words(layout::HEAD).iter();
        if !head
            .map(|word| word.load(Ordering::Relaxed))
            .eq(layout::head())
        {
            return Err(Error::Version);
        }
        trace
            .word(layout::PROCESSES)
            .fetch_add(1, Ordering::Relaxed);
        Ok(trace)
    }

    fn words(&self, range: layout::Range) -> &[AtomicU64] {
        &self.0.words()[range.start..range.start + range.length]
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        &self.0.words()[index]
    }

    fn values<const N: usize>(&self, range: layout::Range) -> [u64; N] {
        let mut values = [0; N];
        for (value, word) in values.iter_mut().zip(self.words(range)) {
            *value = word.load(Ordering::Relaxed);
        }
        values
    }

    /// Nanoseconds since the trace was made.
    #[must_use]
    pub fn now(&self) -> u64 {
        clock().saturating_sub(self.word(layout::BEGAN).load(Ordering::Relaxed))
    }

    /// Counts a call of the symbol of this number; others are not counted.
    pub fn count_call(&self, symbol: u16, call: &Call) {
        let Some(row) = layout::function(usize::from(symbol)) else {
            return;
        };
        let failed = u64::from(call.status != CUresult::CUDA_SUCCESS.0);
        let waits = call.waits;
        let counts = [
            1,
            failed,
            call.nanoseconds,
            u64::from(call.messages),
            waits.count,
            waits.nanoseconds,
            waits.sleeps,
        ];
        let words = self.words(row);
        add(words, &counts);
        if failed != 0 {
            words[counts.len()].store(call.status.into(), Ordering::Relaxed);
        }
        let next = self.word(layout::NEXT).fetch_add(1, Ordering::Relaxed);
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let short = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let event = [
            call.start,
            call.nanoseconds,
            // 0 is a call that is not there.
            pair(u32::from(symbol) + 1, call.status),
            pair(call.thread, call.messages),
            pair(short(waits.count), short(waits.sleeps)),
            waits.nanoseconds,
        ];
        for (word, value) in self.words(layout::call(next)).iter().zip(event) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// Counts a message.
    pub fn count_message(&self, op: u16, bytes: usize) {
        let number = OPERATIONS.iter().position(|(known, _)| *known == op);
        if let Some(row) = number.and_then(layout::message) {
            add(self.words(row), &[1, bytes as u64]);
        }
    }

    /// Counts a wait.
    pub fn count_wait(&self, reason: Reason, wait: Waits) {
        let row = layout::wait(reason);
        let counts = [wait.count, wait.nanoseconds, wait.sleeps];
        add(self.words(row), &counts);
    }

    /// Notes the device's name.
    pub fn name_device(&self, name: &[u8]) {
        let words = self.words(layout::DEVICE);
        for (word, bytes) in words.iter().zip(name.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_le_bytes(whole), Ordering::Relaxed);
        }
    }

    /// The device's name, where a process has opened it: text of the program's.
    #[must_use]
    pub fn device(&self) -> Option<String> {
        let words = self.words(layout::DEVICE).iter();
        let bytes = words.flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes());
        let name: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
        (!name.is_empty()).then(|| String::from_utf8_lossy(&name).into_owned())
    }

    /// How many processes counted.
    #[must_use]
    pub fn processes(&self) -> u64 {
        self.word(layout::PROCESSES).load(Ordering::Relaxed)
    }

    /// The functions that were called.
    pub fn functions(&self) -> impl Iterator<Item = Function> {
        let rows = SYMBOLS.iter().enumerate();
        rows.filter_map(|(number, &(name, class))| {
            let values = self.values(layout::function(number)?);
            let [
                calls,
                errors,
                nanoseconds,
                messages,
                waits,
                waited,
                sleeps,
                last_error,
            ] = values;
            (calls > 0).then_some(Function {
                name,
                class,
                calls,
                errors,
                last_error: last_error as u32,
                nanoseconds,
                messages,
                waits: Waits {
                    count: waits,
                    nanoseconds: waited,
                    sleeps,
                },
            })
        })
    }

    /// The messages that were sent.
    pub fn messages(&self) -> impl Iterator<Item = Message> {
        let rows = OPERATIONS.iter().enumerate();
        rows.filter_map(|(number, &(_, name))| {
            let [count, bytes] = self.values(layout::message(number)?);
            (count > 0).then_some(Message { name, count, bytes })
        })
    }

    /// What was waited for.
    #[must_use]
    pub fn waits(&self, reason: Reason) -> Waits {
        let [count, nanoseconds, sleeps] = self.values(layout::wait(reason));
        Waits {
            count,
            nanoseconds,
            sleeps,
        }
    }

    /// The last [`CALLS`] calls, as they ended: the symbol's name, and the call.
    pub fn calls(&self) -> impl Iterator<Item = (&'static str, Call)> {
        let next = self.word(layout::NEXT).load(Ordering::Relaxed);
        let first = next.saturating_sub(CALLS as u64);
        (first..next).filter_map(|number| {
            let [start, nanoseconds, what, who, waits, waited] = self.values(layout::call(number));
            let (low, high) = (|pair: u64| pair as u32, |pair: u64| (pair >> 32) as u32);
            let symbol = (low(what) as usize).checked_sub(1)?;
            let (name, _) = SYMBOLS.get(symbol)?;
            let call = Call {
                start,
                nanoseconds,
                status: high(what),
                thread: low(who),
                messages: high(who),
                waits: Waits {
                    count: low(waits).into(),
                    nanoseconds: waited,
                    sleeps: high(waits).into(),
                },
            };
            Some((*name, call))
        })
    }
}
