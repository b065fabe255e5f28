//! A trace as it is kept and shown.

use std::cmp::Reverse;
use std::ffi::OsString;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vgpu_cuda_wire::{CUresult, Class};
use vgpu_trace::{Reason, Trace};

/// The version of the format.
pub(crate) const VERSION: u32 = 1;

/// What a program did. Times are in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// [`VERSION`].
    pub(crate) version: u32,
    /// The program and its arguments.
    pub(crate) program: Vec<String>,
    /// Its exit code.
    pub(crate) exit_code: u8,
    /// How long it ran.
    pub(crate) nanoseconds: u64,
    /// The engine that was asked for.
    pub(crate) engine: String,
    /// The device's name; `None` where no process opened it.
    pub(crate) device: Option<String>,
    /// How many processes called the library.
    pub(crate) processes: u64,
    /// Who took the longest in sum first.
    pub(crate) functions: Vec<Function>,
    /// In the order of their numbers.
    pub(crate) messages: Vec<Message>,
    /// What was waited for.
    pub(crate) waits: Vec<Wait>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) class: Option<String>,
    pub(crate) calls: u64,
    pub(crate) errors: u64,
    /// The last of them, by its name.
    pub(crate) last_error: Option<String>,
    pub(crate) nanoseconds: u64,
    pub(crate) messages: u64,
    pub(crate) waits: u64,
    pub(crate) waited_nanoseconds: u64,
    pub(crate) sleeps: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) name: String,
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wait {
    /// For what.
    pub(crate) name: String,
    pub(crate) count: u64,
    pub(crate) nanoseconds: u64,
    pub(crate) sleeps: u64,
}

/// An error by its name, where it has one.
pub(crate) fn error(status: u32) -> String {
    let name = CUresult(status).name();
    name.map_or_else(
        || status.to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn class(class: Class) -> String {
    match class {
        Class::Local => "local",
        Class::Asynchronous => "asynchronous",
        Class::Shadow => "shadow",
        Class::Sync => "sync",
    }
    .to_owned()
}

impl Report {
    pub(crate) fn new(
        trace: &Trace,
        program: &[OsString],
        engine: &str,
        exit_code: u8,
        took: Duration,
    ) -> Self {
        let words = program.iter();
        let mut functions: Vec<_> = trace.functions().map(Function::of).collect();
        functions.sort_by_key(|function: &Function| Reverse(function.nanoseconds));
        let messages = trace.messages().map(|message| Message {
            name: message.name.to_owned(),
            count: message.count,
            bytes: message.bytes,
        });
        let waits = Reason::ALL.iter().map(|reason| {
            let waits = trace.waits(*reason);
            Wait {
                name: reason.name().to_owned(),
                count: waits.count,
                nanoseconds: waits.nanoseconds,
                sleeps: waits.sleeps,
            }
        });
        Self {
            version: VERSION,
            program: words
                .map(|word| word.to_string_lossy().into_owned())
                .collect(),
            exit_code,
            nanoseconds: u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
            engine: engine.to_owned(),
            device: trace.device(),
            processes: trace.processes(),
            functions,
            messages: messages.collect(),
            waits: waits.collect(),
        }
    }

    /// Waits of functions that do not wait in CUDA: how many, and how long.
    pub(crate) fn unwanted_waits(&self) -> (u64, u64) {
        let wanted = [Some("asynchronous"), Some("shadow"), Some("local")];
        let functions = self.functions.iter();
        let unwanted = functions.filter(|function| wanted.contains(&function.class.as_deref()));
        unwanted.fold((0, 0), |(count, time), function| {
            let waited = function.waited_nanoseconds;
            (
                count.saturating_add(function.waits),
                time.saturating_add(waited),
            )
        })
    }
}

impl Function {
    fn of(function: vgpu_trace::Function) -> Self {
        let failed = function.errors > 0;
        Self {
            name: function.name.to_owned(),
            class: function.class.map(class),
            calls: function.calls,
            errors: function.errors,
            last_error: failed.then(|| error(function.last_error)),
            nanoseconds: function.nanoseconds,
            messages: function.messages,
            waits: function.waits.count,
            waited_nanoseconds: function.waits.nanoseconds,
            sleeps: function.waits.sleeps,
        }
    }
}
