//! The scheduler of one engine: what it is told.

use std::collections::BTreeMap;

use crate::account::Account;
use crate::bucket::Bucket;
use crate::entities::{Out, Session, Vm, quantum};
use crate::words::{Refused, SessionId, Usage, VmId};
use crate::{Config, Nanos, Share};

/// Divides an engine.
#[derive(Clone, Debug)]
pub struct Scheduler {
    pub(crate) config: Config,
    pub(crate) vms: BTreeMap<VmId, Vm>,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    next_session: u64,
    pub(crate) leases: u64,
    /// How many there were when one last went to who had waited for long.
    pub(crate) aged: u64,
}

impl Scheduler {
    /// One without machines.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            vms: BTreeMap::new(),
            sessions: BTreeMap::new(),
            next_session: 1,
            leases: 0,
            aged: 0,
        }
    }

    /// How the engine is divided.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Divides it otherwise from the next lease on.
    pub fn set_config(&mut self, config: Config) {
        self.config = config;
        for session in self.sessions.values_mut() {
            session.account.quantum = config.window;
        }
        for vm in self.vms.values_mut() {
            vm.account.quantum = quantum(&config, &vm.share);
        }
    }

    /// Adds a machine, or changes its share from the next lease on; what it owes, it owes.
    pub fn set_vm(&mut self, vm: VmId, share: Share) {
        let quantum = quantum(&self.config, &share);
        let known = self.vms.entry(vm).or_insert_with(|| Vm {
            share,
            account: Account::new(quantum),
            cap: None,
            rate: None,
            sessions: 0,
            waiting: None,
            quarantined: false,
            strikes: Vec::new(),
            usage: Usage::default(),
        });
        known.share = share;
        known.account.quantum = quantum;
        let kept = |old: Option<Bucket>, rate: Option<crate::Rate>| {
            rate.map(|rate| old.map_or_else(|| Bucket::new(rate, 0), |old| old.with(rate, 0)))
        };
        known.cap = kept(known.cap, share.cap);
        known.rate = kept(known.rate, share.rate);
    }

    /// A machine's share.
    #[must_use]
    pub fn share(&self, vm: VmId) -> Option<&Share> {
        self.vms.get(&vm).map(|vm| &vm.share)
    }

    /// Forgets a machine that has no session any more; gives whether there was one.
    pub fn remove_vm(&mut self, vm: VmId) -> bool {
        let free = self.vms.get(&vm).is_some_and(|vm| vm.sessions == 0);
        free && self.vms.remove(&vm).is_some()
    }

    /// Gives a machine no lease any more, or again. Leases that are out come back as they would.
    pub fn set_quarantine(&mut self, vm: VmId, quarantined: bool) {
        if let Some(vm) = self.vms.get_mut(&vm) {
            vm.quarantined = quarantined;
            vm.strikes.clear();
        }
    }

    /// Whether a machine is quarantined.
    #[must_use]
    pub fn is_quarantined(&self, vm: VmId) -> bool {
        self.vms.get(&vm).is_some_and(|vm| vm.quarantined)
    }

    /// Adds a session.
    ///
    /// # Errors
    /// There is no such machine, it is quarantined, or has as many as it may.
    pub fn open(&mut self, vm: VmId, now: Nanos) -> Result<SessionId, Refused> {
        let machine = self.vms.get_mut(&vm).ok_or(Refused::UnknownVm)?;
        let most = machine.share.sessions;
        if machine.quarantined {
            return Err(Refused::Quarantined);
        }
        if machine.sessions >= most {
            return Err(Refused::Sessions(most));
        }
        if machine.sessions == 0 {
            machine.account.rest(now);
        }
        machine.sessions += 1;
        let id = SessionId(self.next_session);
        self.next_session += 1;
        let session = Session {
            vm,
            account: Account::new(self.config.window),
            queued: 0,
            lease: None,
            usage: Usage::default(),
        };
        self.sessions.insert(id, session);
        Ok(id)
    }

    /// Ends a session: its lease is charged until now.
    pub fn close(&mut self, id: SessionId, now: Nanos) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.queued = 0;
        if let Some(out) = session.lease {
            self.done(id, now, now.saturating_sub(out.since));
        }
        if let Some(session) = self.sessions.remove(&id) {
            if let Some(vm) = self.vms.get_mut(&session.vm) {
                vm.sessions = vm.sessions.saturating_sub(1);
            }
            self.settle(session.vm, now);
        }
    }

    /// A session has a piece of work more.
    ///
    /// # Errors
    /// There is no such session, or as much waits as may.
    pub fn submit(&mut self, id: SessionId, now: Nanos) -> Result<(), Refused> {
        let session = self.sessions.get_mut(&id).ok_or(Refused::UnknownSession)?;
        let Some(vm) = self.vms.get(&session.vm) else {
            return Err(Refused::UnknownVm);
        };
        if session.queued >= vm.share.queue {
            return Err(Refused::Queue(vm.share.queue));
        }
        session.queued += 1;
        if session.queued == 1 {
            session.account.wake(now, 1, u64::from(vm.sessions));
        }
        let vm = session.vm;
        self.settle(vm, now);
        Ok(())
    }

    /// A session that has a lease has done a piece of work, and has less to do. Without a lease it has done nothing.
    pub fn finish(&mut self, id: SessionId) {
        let session = self.sessions.get_mut(&id);
        if let Some(session) = session.filter(|session| session.lease.is_some()) {
            session.queued = session.queued.saturating_sub(1);
        }
    }

    /// The kernel that a session runs began then; `None`: it runs none.
    pub fn set_kernel(&mut self, id: SessionId, since: Option<Nanos>) {
        let session = self.sessions.get_mut(&id);
        if let Some(out) = session.and_then(|session| session.lease.as_mut()) {
            out.kernel = since;
        }
    }

    /// A session gives its lease back, of which it used `used`. Of an open one, what it used while nobody else wanted the
    /// engine is not held against it.
    pub fn done(&mut self, id: SessionId, now: Nanos, used: Nanos) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let Some(out) = session.lease.take() else {
            return;
        };
        let charged = match out {
            Out { open: false, .. } => used,
            Out { due, .. } => used.min(due.map_or(0, |recalled| now.saturating_sub(recalled))),
        };
        session.account.charge(charged);
        session.usage.time = session.usage.time.saturating_add(used);
        if session.queued == 0 {
            session.account.rest(now);
        }
        let number = session.vm;
        if let Some(vm) = self.vms.get_mut(&number) {
            vm.account.charge(charged);
            vm.usage.time = vm.usage.time.saturating_add(used);
            for bucket in vm.cap.iter_mut().chain(&mut vm.rate) {
                bucket.take(charged, now);
            }
        }
        self.settle(number, now);
    }

    /// Notes whether a machine waits, rests, or is served.
    pub(crate) fn settle(&mut self, number: VmId, now: Nanos) {
        let of_vm = || self.sessions.values().filter(|it| it.vm == number);
        let served = of_vm().any(|session| session.lease.is_some());
        let waits = of_vm().any(|session| session.queued > 0 && session.lease.is_none());
        let others = self.sessions.values().filter(|it| {
            let active = it.queued > 0 || it.lease.is_some();
            active && it.vm != number
        });
        let mut others: Vec<_> = others.map(|session| session.vm).collect();
        others.dedup();
        others.sort_unstable();
        others.dedup();
        let weight = |vm: &VmId| self.vms.get(vm).map_or(0, |vm| u64::from(vm.share.weight));
        let others: u64 = others.iter().map(weight).sum();
        let Some(vm) = self.vms.get_mut(&number) else {
            return;
        };
        if waits || served {
            let own = u64::from(vm.share.weight);
            vm.account.wake(now, own, own + others);
        } else {
            vm.account.rest(now);
        }
        if waits && !served {
            vm.waiting.get_or_insert(now);
        } else if let Some(since) = vm.waiting.take() {
            vm.usage.waited = vm.usage.waited.saturating_add(now.saturating_sub(since));
        }
    }

    /// What a machine has had.
    #[must_use]
    pub fn vm_usage(&self, vm: VmId) -> Option<Usage> {
        self.vms.get(&vm).map(|vm| vm.usage)
    }

    /// What a session has had, without the lease that it may have now.
    #[must_use]
    pub fn session_usage(&self, id: SessionId) -> Option<Usage> {
        self.sessions.get(&id).map(|session| session.usage)
    }

    /// Since when a session has its lease.
    #[must_use]
    pub fn leased_since(&self, id: SessionId) -> Option<Nanos> {
        Some(self.sessions.get(&id)?.lease?.since)
    }

    /// Pieces of a session's work that wait or are done now.
    #[must_use]
    pub fn queued(&self, id: SessionId) -> Option<u32> {
        self.sessions.get(&id).map(|session| session.queued)
    }
}
