//! Who has which engine.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use serde::Serialize;
use uuid::Uuid;
use vgpu_gate::{Breach, Count, Heard, Seat, now};
use vgpu_ledger::Kind;
use vgpu_sched::Refused;

use super::engine::Engine;
use super::machine::{Machine, Totals};
use super::prometheus::prometheus;
use super::seats::{Opened, SeatId, Taken, Verdict};
use super::status::{EngineStatus, MachineStatus, SessionState, SessionStatus, Status, Work};
use super::utilisation::Utilisation;
use crate::audit::Audit;
use crate::settings::{EngineSettings, MachineSettings, Settings};

/// Machines that are remembered, beside those that have sessions.
const REMEMBERED: usize = 1024;

/// A session, as the audit log has it.
#[derive(Serialize)]
struct Noted {
    machine: Uuid,
    uid: u32,
    #[serde(flatten)]
    session: SessionStatus,
}

/// All engines, machines and sessions.
#[derive(Debug)]
pub(crate) struct Shares {
    pub(super) engines: Vec<Engine>,
    pub(super) machines: BTreeMap<Uuid, Machine>,
    pub(super) taken: BTreeMap<SeatId, Taken>,
    next: u64,
    pub(super) began: u64,
    utilisation: Utilisation,
    audit: Audit,
}

impl Shares {
    pub(crate) fn new(engines: &[EngineSettings]) -> Self {
        let began = now();
        Self {
            engines: engines.iter().map(Engine::new).collect(),
            machines: BTreeMap::new(),
            taken: BTreeMap::new(),
            next: 1,
            began,
            utilisation: Utilisation::since(began),
            audit: Audit::default(),
        }
    }

    /// Notes sessions from now on.
    pub(crate) fn set_audit(&mut self, audit: Audit) {
        self.audit = audit;
    }

    /// Takes over what the operator says now of engines and of machines that are known.
    pub(crate) fn apply(&mut self, settings: &Settings) {
        for (engine, settings) in self.engines.iter_mut().zip(&settings.engines) {
            engine.scheduler.set_config(settings.config);
        }
        for (uuid, settings) in &settings.machines {
            if self.machines.contains_key(uuid) {
                // Its ledger is there already.
                let _ = self.set_machine(*uuid, settings);
            }
        }
    }

    /// Makes a machine known, or changes what it gets.
    ///
    /// # Errors
    /// The system has no memory for its ledger.
    pub(crate) fn set_machine(&mut self, uuid: Uuid, settings: &MachineSettings) -> io::Result<()> {
        if !self.machines.contains_key(&uuid) {
            self.forget();
            let machine = Machine::new(self.next, settings)?;
            self.next += 1;
            self.machines.insert(uuid, machine);
        }
        if let Some(machine) = self.machines.get_mut(&uuid) {
            machine.set(settings);
            for engine in &mut self.engines {
                engine.scheduler.set_vm(machine.id, settings.share);
            }
        }
        Ok(())
    }

    /// Forgets machines that have no session and are not quarantined, where there are too many.
    fn forget(&mut self) {
        if self.machines.len() < REMEMBERED {
            return;
        }
        let engines = &mut self.engines;
        self.machines.retain(|_, machine| {
            let kept = machine.places.taken() > 0 || machine.quarantined;
            if !kept {
                for engine in engines.iter_mut() {
                    engine.scheduler.remove_vm(machine.id);
                }
            }
            kept
        });
    }

    /// Opens a session of a machine, at that engine of its pool that has the fewest; or at the very engine of a former
    /// daemon's, where that is still in its pool.
    ///
    /// # Errors
    /// `ENOSPC`: it has as many as it may; `EPERM`: it is quarantined; `ENODEV`: it, or such an engine, is not known; or the
    /// system refuses.
    pub(crate) fn open(
        &mut self,
        uuid: Uuid,
        channel: u32,
        at: Option<u64>,
    ) -> Result<Opened, Errno> {
        let machine = self.machines.get_mut(&uuid).ok_or(Errno::NODEV)?;
        let fits = |engine: &Engine| at.is_none_or(|id| engine.id == id);
        let engines = machine.settings.engines.iter().copied();
        let engines = engines.filter(|place| self.engines.get(*place).is_some_and(fits));
        let busy = |place: &usize| self.taken.values().filter(|it| it.engine == *place).count();
        let place = engines.min_by_key(busy).ok_or(Errno::NODEV)?;
        let engine = self.engines.get_mut(place).ok_or(Errno::NODEV)?;
        let most = machine.settings.share.sessions as usize;
        let in_ledger = machine.places.take(most).map_err(|_| Errno::NOSPC)?;
        let opened = Seat::open(machine.file.as_fd(), in_ledger).map_err(|_| Errno::MFILE);
        let opened = opened.and_then(|opened| {
            let session = engine.scheduler.open(machine.id, now());
            let session = session.map_err(|refused| match refused {
                Refused::Quarantined => Errno::PERM,
                Refused::UnknownVm => Errno::NODEV,
                _ => Errno::NOSPC,
            })?;
            Ok((opened, session))
        });
        let ((seat, gate), session) = match opened {
            Ok(opened) => opened,
            Err(errno) => {
                machine.places.give_back(in_ledger);
                return Err(errno);
            }
        };
        let id = SeatId(self.next);
        self.next += 1;
        engine.seats.insert(session, id);
        let (words, engine) = (engine.words.clone(), engine.id);
        let taken = Taken {
            seat,
            engine: place,
            session,
            machine: uuid,
            place: in_ledger,
            pinned: 0,
            channel,
            process: 0,
            opened: now(),
            worked: 0,
        };
        self.taken.insert(id, taken);
        Ok(Opened {
            seat: id,
            gate,
            words,
            engine,
        })
    }

    /// Which process serves a session, which began by `event`.
    pub(crate) fn set_process(&mut self, id: SeatId, process: u32, event: &'static str) {
        if let Some(taken) = self.taken.get_mut(&id) {
            taken.process = process;
        }
        self.note(event, id);
    }

    /// How many bytes of its guest's memory a session shares. The machine's bound is held before.
    pub(crate) fn set_pinned(&mut self, id: SeatId, bytes: u64) {
        if let Some(taken) = self.taken.get_mut(&id) {
            taken.pinned = bytes;
            if let Some(machine) = self.machines.get(&taken.machine) {
                machine.ledger.set_used(Kind::Pinned, taken.place, bytes);
            }
        }
    }

    /// Notes a session in the audit log.
    fn note(&mut self, event: &'static str, id: SeatId) {
        let Some(taken) = self.taken.get(&id) else {
            return;
        };
        let Some(machine) = self.machines.get(&taken.machine) else {
            return;
        };
        let noted = Noted {
            machine: taken.machine,
            uid: machine.settings.uid,
            session: self.session(machine, taken, now()),
        };
        self.audit.note(event, &noted);
    }

    /// Ends a session, whose worker is gone: all that it had is free.
    pub(crate) fn close(&mut self, id: SeatId) {
        self.note("closed", id);
        let Some(taken) = self.taken.remove(&id) else {
            return;
        };
        if let Some(engine) = self.engines.get_mut(taken.engine) {
            engine.seats.remove(&taken.session);
            let worked = taken.seat.page().count(Count::EngineTime);
            engine.past_ns = engine.past_ns.saturating_add(worked);
            engine.scheduler.close(taken.session, now());
        }
        if let Some(machine) = self.machines.get_mut(&taken.machine) {
            machine.end_session(&taken.seat, taken.place);
        }
    }

    /// What is to be read: each session's end of its gate.
    pub(crate) fn readable(&self) -> impl Iterator<Item = (SeatId, &OwnedFd)> {
        let taken = self.taken.iter();
        taken.filter_map(|(id, taken)| Some((*id, taken.seat.readable()?)))
    }

    /// Takes one message of a worker's.
    ///
    /// # Errors
    /// The worker is to be ended.
    pub(crate) fn hear(&mut self, id: SeatId) -> Result<(), Breach> {
        let Some(taken) = self.taken.get_mut(&id) else {
            return Ok(());
        };
        let Some(engine) = self.engines.get_mut(taken.engine) else {
            return Ok(());
        };
        match taken.seat.hear()? {
            Some(Heard::Wants) => {
                let submitted = engine.scheduler.submit(taken.session, now());
                submitted.map_err(|_| Breach)
            }
            Some(Heard::Back) => {
                engine.back(taken, now(), false);
                Ok(())
            }
            Some(Heard::Again) => {
                engine.back(taken, now(), true);
                Ok(())
            }
            Some(Heard::Gone) | None => Ok(()),
        }
    }

    /// Gives each engine to whose turn it is. Gives those whose workers are to be ended.
    pub(crate) fn divide(&mut self) -> Vec<Verdict> {
        let now = now();
        let mut verdicts = Vec::new();
        for engine in &mut self.engines {
            engine.divide(now, &mut self.taken, &mut verdicts);
        }
        for machine in self.machines.values_mut() {
            let mut engines = self.engines.iter();
            machine.quarantined |= engines.any(|it| it.scheduler.is_quarantined(machine.id));
        }
        verdicts
    }

    /// When [`Self::divide`] has something to do, whatever comes; in nanoseconds from now.
    pub(crate) fn wait(&self) -> Option<u64> {
        let due = self.engines.iter().filter_map(Engine::due).min()?;
        Some(due.saturating_sub(now()))
    }

    /// Quarantines a machine, or ends that; gives whether it is known. Its sessions are given back to be ended.
    pub(crate) fn set_quarantine(&mut self, uuid: Uuid, on: bool) -> Option<Vec<SeatId>> {
        let machine = self.machines.get_mut(&uuid)?;
        machine.quarantined = on;
        for engine in &mut self.engines {
            engine.scheduler.set_quarantine(machine.id, on);
        }
        let of_machine = self.taken.iter().filter(|(_, it)| on && it.machine == uuid);
        Some(of_machine.map(|(id, _)| *id).collect())
    }

    fn of_machine(&self, uuid: Uuid) -> impl Iterator<Item = &Taken> {
        self.taken.values().filter(move |it| it.machine == uuid)
    }

    /// What a machine's sessions have done, those that are over among them.
    fn totals(&self, uuid: Uuid, machine: &Machine) -> Totals {
        let mut totals = machine.past.clone();
        for taken in self.of_machine(uuid) {
            totals.add(&Totals::of(&taken.seat));
        }
        totals
    }

    fn session(&self, machine: &Machine, taken: &Taken, now: u64) -> SessionStatus {
        let engine = self.engines.get(taken.engine);
        let leased = engine.and_then(|it| it.scheduler.leased_since(taken.session));
        SessionStatus {
            channel: taken.channel,
            process: taken.process,
            engine: engine.map(|it| it.name.clone()).unwrap_or_default(),
            age_ns: now.saturating_sub(taken.opened),
            state: match (leased, taken.seat.wants()) {
                (Some(_), _) => SessionState::Runs,
                (None, true) => SessionState::Waits,
                (None, false) => SessionState::Idle,
            },
            memory_used: machine.ledger.used_by(Kind::Device, taken.place),
            pinned: taken.pinned,
            work: Work::of(&Totals::of(&taken.seat)),
        }
    }

    /// All at a glance.
    pub(crate) fn status(&self) -> Status {
        let now = now();
        let engines = self.engines.iter().enumerate().map(|(place, engine)| {
            let taken = self.taken.values().filter(|it| it.engine == place);
            // As workers say, who may say anything.
            let live = taken.map(|it| Totals::of(&it.seat).count("engine_ns"));
            let live = live.fold(0, u64::saturating_add);
            EngineStatus {
                name: engine.name.clone(),
                kind: engine.words[0].clone(),
                sessions: engine.seats.len() as u64,
                engine_ns: engine.past_ns.saturating_add(live),
                switches: engine.switches,
            }
        });
        let machines = self.machines.iter().map(|(&uuid, machine)| {
            let quota = machine.ledger.quota(Kind::Device);
            let usage = self
                .engines
                .iter()
                .filter_map(|it| it.scheduler.vm_usage(machine.id));
            MachineStatus {
                machine: uuid,
                pool: machine.settings.pool.clone(),
                weight: machine.settings.share.weight,
                priority: machine.settings.share.priority,
                quarantined: machine.quarantined,
                memory_used: machine.ledger.used(Kind::Device),
                memory_quota: (quota != u64::MAX).then_some(quota),
                sessions_most: machine.settings.share.sessions,
                workers_user: None,
                pinned: self.of_machine(uuid).map(|taken| taken.pinned).sum(),
                pinned_quota: machine.settings.limits.memory,
                resets: usage.map(|usage| usage.expired).sum(),
                sessions_ended: machine.sessions,
                work: Work::of(&self.totals(uuid, machine)),
                sessions: self
                    .of_machine(uuid)
                    .map(|taken| self.session(machine, taken, now))
                    .collect(),
            }
        });
        Status {
            up_ns: now.saturating_sub(self.began),
            engines: engines.collect(),
            machines: machines.collect(),
            workers: None,
        }
    }

    /// The same as Prometheus' text, with times in classes.
    pub(crate) fn metrics(&mut self) -> String {
        let latencies = self.machines.iter().map(|(uuid, machine)| {
            let totals = self.totals(*uuid, machine);
            (*uuid, totals.latency, totals.wait)
        });
        let latencies: Vec<_> = latencies.collect();
        let status = self.status();
        let worked = status.machines.iter().map(|it| {
            let machine = self.machines.get(&it.machine);
            let engines = machine.map_or(1, |machine| machine.settings.engines.len());
            (it.machine, (it.work.engine_ns, engines))
        });
        let utilisation = self.utilisation.look(now(), &worked.collect());
        prometheus(&status, &latencies, &utilisation)
    }
}
