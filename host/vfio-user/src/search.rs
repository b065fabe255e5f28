//! Where and when the daemon is looked for.

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The daemon that serves a device's channels.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    /// Where it listens.
    pub socket: PathBuf,
    /// The machine's UUID, by which it knows what this one may have.
    pub machine: [u8; 16],
}

/// How often one is looked for that is not there: workers wait for the next one for no more than 5 s.
const INTERVAL: Duration = Duration::from_millis(250);

/// The search for a daemon, which goes on until there is one, and begins again where that is gone.
#[derive(Debug)]
pub(crate) enum Search {
    /// It is looked for at this time.
    At(Instant),
    /// Somebody looks.
    Asked,
    /// It is there.
    Found,
}

impl Search {
    /// Looks at once.
    pub(crate) fn new() -> Self {
        Self::At(Instant::now())
    }

    /// When it is looked for next.
    pub(crate) fn next(&self) -> Option<Instant> {
        match self {
            Self::At(at) => Some(*at),
            Self::Asked | Self::Found => None,
        }
    }

    /// Whether it is time: whoever asks looks now.
    pub(crate) fn is_due(&mut self) -> bool {
        let due = self.next().is_some_and(|at| at <= Instant::now());
        if due {
            *self = Self::Asked;
        }
        due
    }

    /// The daemon is gone: whether it was there until now. It is looked for again then.
    pub(crate) fn is_over(&mut self) -> bool {
        let was_there = matches!(self, Self::Found);
        if was_there {
            self.ended(false);
        }
        was_there
    }

    /// It is there, or is not.
    pub(crate) fn ended(&mut self, found: bool) {
        *self = match Instant::now().checked_add(INTERVAL) {
            Some(at) if !found => Self::At(at),
            _ => Self::Found,
        };
    }
}
