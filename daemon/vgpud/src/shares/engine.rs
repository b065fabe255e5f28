//! An engine: whose it is, and until when.

use std::collections::BTreeMap;

use vgpu_gate::Count;
use vgpu_sched::{Decision, Nanos, Scheduler, SessionId};

use super::seats::{SeatId, Taken, Verdict};
use crate::settings::EngineSettings;

/// How often it is looked at whoever has an open lease.
const LOOKS: Nanos = 150_000_000;

#[derive(Debug)]
pub(super) struct Engine {
    pub(super) name: String,
    /// Its kind and tuning, for workers.
    pub(super) words: [String; 2],
    /// The same for another daemon: those of one name, kind and tuning have one.
    pub(super) id: u64,
    pub(super) scheduler: Scheduler,
    pub(super) seats: BTreeMap<SessionId, SeatId>,
    /// Nanoseconds that it worked for sessions that are over.
    pub(super) past_ns: u64,
    leases: u64,
    /// Times that it went from one session to another, and whose it was last.
    pub(super) switches: u64,
    last: Option<SessionId>,
    /// When the scheduler wants to be asked again.
    due: Option<Nanos>,
    /// Who has an open lease, what it had done when it was looked at, and when it is looked at next.
    watched: Option<(SessionId, u64, Nanos)>,
}

impl Engine {
    pub(super) fn new(settings: &EngineSettings) -> Self {
        let words = [settings.kind.clone(), settings.tuning.to_string()];
        Self {
            name: settings.name.clone(),
            id: id([&settings.name, &words[0], &words[1]]),
            words,
            scheduler: Scheduler::new(settings.config),
            seats: BTreeMap::new(),
            past_ns: 0,
            leases: 0,
            switches: 0,
            last: None,
            due: None,
            watched: None,
        }
    }

    /// A session's lease is back, and it may have more work. It is charged what its engine worked, as the worker says; but for half of the time that it
    /// was out at least, which the worker has no say in. The other half is what it takes to wake it on a busy host.
    pub(super) fn back(&mut self, taken: &Taken, now: Nanos, again: bool) {
        let session = taken.session;
        let since = self.scheduler.leased_since(session);
        let held = now.saturating_sub(since.unwrap_or(now));
        let worked = taken.seat.page().count(Count::EngineTime);
        let used = worked.wrapping_sub(taken.worked).clamp(held / 2, held);
        if !again {
            self.scheduler.finish(session);
        }
        self.scheduler.done(session, now, used);
        if self.watched.is_some_and(|(watched, ..)| watched == session) {
            self.watched = None;
        }
    }

    pub(super) fn due(&self) -> Option<Nanos> {
        let look = self.watched.map(|(_, _, at)| at);
        [self.due, self.scheduler.deadline(), look]
            .into_iter()
            .flatten()
            .min()
    }

    pub(super) fn divide(
        &mut self,
        now: Nanos,
        taken: &mut BTreeMap<SeatId, Taken>,
        verdicts: &mut Vec<Verdict>,
    ) {
        self.look(now, taken);
        while let Some(expired) = self.scheduler.expire(now) {
            if let Some(&seat) = self.seats.get(&expired.session) {
                let then = if expired.quarantined {
                    "; its machine is quarantined"
                } else {
                    ""
                };
                let limit = self.scheduler.config().watchdog / 1_000_000;
                let why = format!("a kernel ran for more than {limit} ms{then}");
                verdicts.push(Verdict { seat, why });
            }
        }
        while let Some(session) = self.scheduler.recall(now) {
            let its = self.seats.get(&session).and_then(|id| taken.get_mut(id));
            if let Some(its) = its
                && its.seat.recall()
            {
                self.back(its, now, false);
            }
        }
        self.due = loop {
            let lease = match self.scheduler.next(now) {
                Decision::Wait(until) => break until,
                Decision::Grant(lease) => lease,
            };
            self.leases += 1;
            let Some(&seat) = self.seats.get(&lease.session) else {
                self.scheduler.close(lease.session, now);
                continue;
            };
            let Some(its) = taken.get_mut(&seat) else {
                self.scheduler.close(lease.session, now);
                continue;
            };
            if its.seat.grant(self.leases, lease.time, lease.open).is_err() {
                let why = "it does not take its lease".to_owned();
                verdicts.push(Verdict { seat, why });
                self.back(its, now, false);
                continue;
            }
            let last = self.last.replace(lease.session);
            self.switches += u64::from(last.is_some_and(|last| last != lease.session));
            its.worked = its.seat.page().count(Count::EngineTime);
            if lease.open {
                let done = work(its);
                self.watched = Some((lease.session, done, now.saturating_add(LOOKS)));
            }
        };
    }

    /// Notes which kernels run, as their workers say, and takes an open lease back that nobody uses: then nobody has to be
    /// looked at any more.
    fn look(&mut self, now: Nanos, taken: &mut BTreeMap<SeatId, Taken>) {
        for (&session, seat) in &self.seats {
            if self.scheduler.leased_since(session).is_some()
                && let Some(its) = taken.get(seat)
            {
                let since = its.seat.page().busy_since();
                self.scheduler.set_kernel(session, since);
            }
        }
        let Some((session, done, at)) = self.watched else {
            return;
        };
        if now < at {
            return;
        }
        let its = self.seats.get(&session).and_then(|id| taken.get_mut(id));
        let Some(its) = its else {
            self.watched = None;
            return;
        };
        let has_done = work(its);
        let idle = has_done == done && its.seat.page().busy_since().is_none();
        if idle && its.seat.recall() {
            self.back(its, now, false);
        } else {
            self.watched = Some((session, has_done, now.saturating_add(LOOKS)));
        }
    }
}

/// FNV-1a of some words.
fn id(words: [&String; 3]) -> u64 {
    let bytes = words.into_iter().flat_map(|word| word.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A number that grows with what a session does.
fn work(taken: &Taken) -> u64 {
    let page = taken.seat.page();
    let counts = [Count::Launches, Count::Copies, Count::Errors];
    counts
        .iter()
        .fold(0, |sum, count| page.count(*count).wrapping_add(sum))
}
