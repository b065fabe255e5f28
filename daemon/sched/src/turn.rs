//! Whose turn it is, and who has had it for too long.

use std::collections::BTreeMap;

use crate::Nanos;
use crate::account::{Account, pick};
use crate::entities::{Out, Session, Vm};
use crate::scheduler::Scheduler;
use crate::words::{Decision, Expired, Lease, SessionId, VmId};

/// A machine that may be next.
struct Ready<'a> {
    id: VmId,
    /// What it may have at most.
    time: Nanos,
    /// Since when it waits.
    since: Nanos,
    priority: u64,
    account: &'a mut Account,
}

/// Leases between two that go to who has waited for long, so that many of low priority do not come before the others.
const BETWEEN_AGED: u64 = 8;

impl Scheduler {
    /// What is to be done now. To be called until it says to wait.
    pub fn next(&mut self, now: Nanos) -> Decision {
        if let Some(until) = self.taken(now) {
            return Decision::Wait(until);
        }
        let mut until = None;
        let Some((vm, time)) = self.next_vm(now, &mut until) else {
            return Decision::Wait(until);
        };
        let waiting = self.sessions.iter_mut();
        let waiting = waiting.filter(|(_, it)| it.vm == vm && it.queued > 0 && it.lease.is_none());
        let mut waiting: Vec<_> = waiting.map(|(id, it)| (*id, &mut it.account)).collect();
        let Some(id) = pick(&mut waiting) else {
            return Decision::Wait(until);
        };
        let active = |session: &&Session| session.queued > 0 || session.lease.is_some();
        let alone = self.sessions.values().filter(active).count() == 1;
        let bounded = self.vms.get(&vm).is_some_and(Vm::is_bounded);
        let lease = Lease {
            session: id,
            time,
            open: alone && !bounded,
        };
        self.leases += 1;
        if let Some(session) = self.sessions.get_mut(&id) {
            session.account.serve(self.leases);
            session.usage.leases += 1;
            session.lease = Some(Out {
                since: now,
                due: (!lease.open).then_some(now.saturating_add(time)),
                open: lease.open,
                kernel: None,
                expired: false,
            });
        }
        if let Some(vm) = self.vms.get_mut(&vm) {
            vm.account.serve(self.leases);
            vm.usage.leases += 1;
        }
        self.settle(vm, now);
        Decision::Grant(lease)
    }

    /// Where a lease is out that others wait for: until when they do, unless it comes back.
    fn taken(&self, now: Nanos) -> Option<Option<Nanos>> {
        let mut until = None;
        for out in self.sessions.values().filter_map(|it| it.lease) {
            // An open one comes back when it is recalled.
            let Some(due) = out.due else {
                return Some(None);
            };
            let free = due.saturating_add(self.config.patience);
            if now < free {
                until = until.max(Some(free));
            }
        }
        until.map(Some)
    }

    /// Whose turn it is, and for how long. Where somebody waits for a bucket alone, `until` is when to look again.
    fn next_vm(&mut self, now: Nanos, until: &mut Option<Nanos>) -> Option<(VmId, Nanos)> {
        let window = self.config.window;
        // A lease that is very short costs more than it gives.
        let least = window / 8;
        let mut ready = Vec::new();
        for (&id, vm) in &mut self.vms {
            let Some(since) = vm.waiting.filter(|_| !vm.quarantined) else {
                continue;
            };
            let mut time = window;
            for bucket in vm.cap.iter_mut().chain(&mut vm.rate) {
                let at = bucket.ready_at(least, now);
                if bucket.available(now) < least.min(bucket.burst()) {
                    *until = Some(until.map_or(at, |until| until.min(at)));
                    time = 0;
                } else {
                    time = time.min(bucket.available(now));
                }
            }
            if time == 0 {
                continue;
            }
            ready.push(Ready {
                id,
                time,
                since,
                priority: vm.share.priority as u64,
                account: &mut vm.account,
            });
        }
        let highest = ready.iter().map(|it| it.priority).max()?;
        // Who waited for long goes before those of higher priority, now and then.
        let (ageing, leases) = (self.config.ageing.max(1), self.leases);
        if leases.saturating_sub(self.aged) >= BETWEEN_AGED {
            let aged = ready.iter().filter(|it| {
                let steps = now.saturating_sub(it.since) / ageing;
                it.priority < highest && it.priority.saturating_add(steps) >= highest
            });
            if let Some(aged) = aged.min_by_key(|it| (it.since, it.id)) {
                self.aged = leases;
                return Some((aged.id, aged.time));
            }
        }
        ready.retain(|it| it.priority == highest);
        let times: BTreeMap<_, _> = ready.iter().map(|it| (it.id, it.time)).collect();
        let first = ready.into_iter().map(|it| (it.id, it.account));
        let id = pick(&mut first.collect::<Vec<_>>())?;
        Some((id, *times.get(&id)?))
    }

    /// A session whose open lease is wanted back, as others wait: it is to be told, once.
    pub fn recall(&mut self, now: Nanos) -> Option<SessionId> {
        let vm_of = |session: &Session| self.vms.get(&session.vm);
        let waits = |session: &Session| {
            let may = vm_of(session).is_some_and(|vm| !vm.quarantined);
            may && session.queued > 0 && session.lease.is_none()
        };
        let wanted = self.sessions.values().any(waits);
        let stopped =
            |session: &Session| vm_of(session).is_some_and(|vm| vm.quarantined || vm.is_bounded());
        let open = |session: &Session| session.lease.is_some_and(|out| out.due.is_none());
        let mut sessions = self.sessions.iter();
        let (&id, _) = sessions.find(|(_, it)| open(it) && (wanted || stopped(it)))?;
        let session = self.sessions.get_mut(&id)?;
        if let Some(out) = &mut session.lease {
            out.due = Some(now);
        }
        Some(id)
    }

    /// When [`Self::expire`] has something to do, unless leases come back.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        self.sessions
            .values()
            .filter_map(|it| self.late(it.lease?))
            .min()
    }

    /// When a lease has been out for too long.
    fn late(&self, out: Out) -> Option<Nanos> {
        let since = [out.kernel, out.due].into_iter().flatten().min();
        since
            .filter(|_| !out.expired)
            .map(|since| since.saturating_add(self.config.watchdog))
    }

    /// A session that is to be ended, as its kernel runs too long or it kept its lease; each is named once.
    pub fn expire(&mut self, now: Nanos) -> Option<Expired> {
        let late = |it: &Session| {
            it.lease
                .is_some_and(|out| self.late(out).is_some_and(|at| at <= now))
        };
        let id = self
            .sessions
            .iter()
            .find(|(_, it)| late(it))
            .map(|(id, _)| *id)?;
        let session = self.sessions.get_mut(&id)?;
        session.usage.expired += 1;
        if let Some(out) = &mut session.lease {
            out.expired = true;
        }
        let number = session.vm;
        let vm = self.vms.get_mut(&number)?;
        vm.usage.expired += 1;
        let config = &self.config;
        vm.strikes
            .retain(|at| now.saturating_sub(*at) < config.strikes_within);
        vm.strikes.push(now);
        if config.strikes > 0 && vm.strikes.len() >= config.strikes as usize {
            vm.quarantined = true;
            vm.strikes.clear();
        }
        Some(Expired {
            session: id,
            vm: number,
            quarantined: vm.quarantined,
        })
    }
}
