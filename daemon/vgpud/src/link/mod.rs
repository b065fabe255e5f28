//! The daemon of virtual machines: it has a worker serve each channel that a guest opens.
//!
//! Emulators, the processes that have a machine's device, attach to it and speak [`vgpu_abi::link`]. It maps no memory and
//! reads no byte of a guest's: it passes descriptors on, counts what a machine has, and kills what is to end. It waits for
//! nobody: who does not read its answers is dropped, and a worker that does not answer is killed.

mod adoption;
mod channel;
mod closer;
mod emulator;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod kinds;
mod machine;
mod times;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use signal_hook::consts::SIGCHLD;
use uuid::Uuid;
use vgpu_poll::Poll;
use vgpu_socket::PacketListener;

use closer::Closer;
use emulator::Emulator;
use machine::Machine;

use crate::audit::Audit;
use crate::cage::Cages;
use crate::control::{Answer, Control, Request};
use crate::log::Log;
use crate::settings::Policy;
use crate::shares::{SeatId, Shares, Status, WorkersStatus};

/// Connections at a time.
const EMULATORS: usize = 256;
/// How long nobody is accepted after the system refused that.
const REST: Duration = Duration::from_millis(100);

/// The daemon of the machines whose emulators attach at a socket. Dropped, it ends all workers; where the process is killed,
/// they wait for the next one.
#[derive(Debug)]
pub struct Link {
    listener: PacketListener,
    policy: Policy,
    command: Vec<OsString>,
    shares: Shares,
    cages: Cages,
    children: UnixStream,
    /// The other end of `children`, which signals are written to.
    signalled: UnixStream,
    emulators: Vec<Emulator>,
    /// Until when nobody is accepted, while the system refuses that.
    rest: Option<Instant>,
    closer: Closer,
    log: Log,
    control: Option<Control>,
}

/// What there is to do.
#[derive(Clone, Copy, Debug)]
enum Due {
    Connection,
    Signal,
    Emulator(usize),
    Channel(usize, u32),
    Seat(SeatId),
    Control,
}

impl Link {
    /// A daemon that starts workers by a command, as [`crate::Daemon::new`] does, for channels: they are to call
    /// [`vgpu_service::EngineKind::worker`].
    ///
    /// # Errors
    /// The system refuses a thread or a socket, or what the policy names for workers cannot be had.
    ///
    /// # Panics
    /// The command is empty.
    pub fn new(
        listener: PacketListener,
        policy: Policy,
        command: Vec<OsString>,
    ) -> io::Result<Self> {
        let cages = Cages::new(policy.settings()).map_err(io::Error::other)?;
        let mut log = Log::new();
        cages.log_missing(&mut log);
        assert!(!command.is_empty(), "a command");
        let (children, signalled) = UnixStream::pair()?;
        children.set_nonblocking(true)?;
        let link = Self {
            listener,
            shares: Shares::new(&policy.settings().engines),
            cages,
            policy,
            command,
            children,
            signalled,
            emulators: Vec::new(),
            rest: None,
            closer: Closer::new()?,
            log,
            control: None,
        };
        link.wake_on(SIGCHLD)?;
        Ok(link)
    }

    /// As [`crate::Daemon::wake_on`].
    ///
    /// # Errors
    /// The system refuses.
    pub fn wake_on(&self, signal: i32) -> io::Result<()> {
        let pipe = self.signalled.try_clone()?;
        signal_hook::low_level::pipe::register(signal, pipe).map(|_| ())
    }

    /// Waits for something to do, and does it.
    pub fn turn(&mut self) {
        let due = self.wait();
        // Where a child has ended, all are looked at.
        let all = (&self.children).read(&mut [0; 64]).is_ok();
        let now = Instant::now();
        let (closer, log, shares) = (&self.closer, &mut self.log, &mut self.shares);
        let mut ended = Vec::new();
        for due in &due {
            match *due {
                Due::Emulator(place) => {
                    let emulator = &mut self.emulators[place];
                    emulator.receive(&self.command, shares, closer, log);
                    emulator.attend(None, shares, closer, log);
                }
                Due::Channel(place, number) => {
                    self.emulators[place].attend(Some(number), shares, closer, log);
                }
                Due::Seat(seat) => {
                    if let Err(breach) = shares.hear(seat) {
                        ended.push((seat, breach.to_string()));
                    }
                }
                Due::Control => {
                    if let Some(control) = &self.control {
                        control.accept();
                    }
                }
                Due::Connection | Due::Signal => {}
            }
        }
        for emulator in &mut self.emulators {
            if all || emulator.deadline().is_some_and(|at| at <= now) {
                emulator.attend(None, shares, closer, log);
            }
        }
        self.share(ended);
        self.sweep();
        self.answer();
        // What a machine was kept in is free before its next emulator attaches.
        self.emulators.retain(|emulator| !emulator.is_gone());
        self.attach();
        self.emulators.retain(|emulator| !emulator.is_gone());
        if due.iter().any(|due| matches!(due, Due::Connection)) {
            self.accept();
        }
    }

    fn wait(&self) -> Vec<Due> {
        let now = Instant::now();
        let rest = self.rest.filter(|&rest| rest > now);
        let deadlines = self.emulators.iter().filter_map(Emulator::deadline);
        let shares = self.shares.wait().map(Duration::from_nanos);
        let wait = deadlines
            .chain(rest)
            .chain(self.cages.deadline())
            .map(|at| at.saturating_duration_since(now))
            .chain(shares)
            .min();
        let accepts = self.emulators.len() < EMULATORS && rest.is_none();
        let mut poll = Poll::new()
            .readable(Due::Connection, accepts.then_some(&self.listener))
            .readable(Due::Signal, &self.children)
            .readable(Due::Control, self.control.as_ref());
        for (seat, socket) in self.shares.readable() {
            poll = poll.readable(Due::Seat(seat), socket);
        }
        for (place, emulator) in self.emulators.iter().enumerate() {
            poll = poll
                .readable(Due::Emulator(place), emulator.readable())
                .hung_up(Due::Emulator(place), emulator.watched());
            if let Some(machine) = &emulator.machine {
                poll = machine.add_to(poll, |number| Due::Channel(place, number));
            }
        }
        poll.wait(wait).unwrap_or_default()
    }

    /// Gives engines to whose turn it is, and ends those that took too much: `ended`, and whom the watchdog names.
    fn share(&mut self, mut ended: Vec<(SeatId, String)>) {
        let verdicts = self.shares.divide().into_iter();
        ended.extend(verdicts.map(|verdict| (verdict.seat, verdict.why)));
        for (seat, why) in ended {
            let machines = self.emulators.iter_mut();
            let mut machines = machines.filter_map(|it| it.machine.as_mut());
            let process = machines.find_map(|machine| machine.end_session(seat));
            if let Some(process) = process {
                self.log
                    .line(format_args!("worker {process} is ended: {why}"));
            }
        }
    }

    /// Reads the configuration anew, and takes it over at once. Where it is wrong, all stays as it was.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn reload(&mut self) -> Result<(), String> {
        self.policy.reload()?;
        let settings = self.policy.settings();
        self.shares.apply(settings);
        for machine in self
            .emulators
            .iter_mut()
            .filter_map(|it| it.machine.as_mut())
        {
            if let Some(settings) = settings.machines.get(&machine.uuid) {
                machine.set(settings, &mut self.log);
            }
        }
        self.share(Vec::new());
        Ok(())
    }

    /// Removes what workers of a former daemon have left that nobody has taken over, where that is due.
    fn sweep(&mut self) {
        let machines = self.emulators.iter().filter_map(|it| it.machine.as_ref());
        let workers: Vec<_> = machines.clone().flat_map(Machine::workers).collect();
        let machines: Vec<_> = machines.map(|machine| machine.uuid).collect();
        let is_worker = |process| workers.contains(&process);
        self.cages.sweep(&machines, is_worker, &mut self.log);
    }

    /// All at a glance.
    fn status(&self) -> Status {
        let mut status = self.shares.status();
        let [users, groups] = self.cages.told();
        status.workers = Some(WorkersStatus { users, groups });
        for machine in &mut status.machines {
            let mut its = self.emulators.iter().filter_map(|it| it.machine.as_ref());
            let its = its.find(|it| it.uuid == machine.machine);
            machine.workers_user = its.and_then(|it| it.cage.user());
        }
        status
    }

    /// Listens for operators at a path.
    ///
    /// # Errors
    /// Why it cannot, and what to do about that.
    pub fn listen(&mut self, path: &Path) -> Result<(), (String, String)> {
        let told = |error: io::Error| (error.to_string(), "see what limits descriptors".to_owned());
        let waker = self.signalled.try_clone().map_err(told)?;
        self.control = Some(Control::listen(path, waker)?);
        Ok(())
    }

    /// Notes sessions in a file, to which it appends.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn audit(&mut self, path: &Path) -> io::Result<()> {
        self.shares.set_audit(Audit::to(path)?);
        Ok(())
    }

    /// Answers what operators ask.
    fn answer(&mut self) {
        while let Some((request, reply)) = self.control.as_ref().and_then(Control::asked) {
            let answer = match request {
                Request::Status => Answer::Status(self.status()),
                Request::Metrics => Answer::Metrics(self.shares.metrics()),
                Request::Reload => match self.reload() {
                    Ok(()) => Answer::Done,
                    Err(cause) => Answer::Failed {
                        cause,
                        mend: "correct the file; until then all is as it was".to_owned(),
                    },
                },
                Request::Quarantine { machine, on } => self.quarantine(machine, on),
            };
            // Who does not wait any more has no use for it.
            let _ = reply.try_send(answer);
        }
    }

    fn quarantine(&mut self, machine: Uuid, on: bool) -> Answer {
        let Some(seats) = self.shares.set_quarantine(machine, on) else {
            return Answer::Failed {
                cause: format!("machine {machine} is not known here"),
                mend: "name one that `vgpu status` lists".to_owned(),
            };
        };
        let why = "its machine is quarantined".to_owned();
        self.share(seats.into_iter().map(|seat| (seat, why.clone())).collect());
        Answer::Done
    }

    /// Attaches those that wait for it, where no process has memory of their machine any more.
    fn attach(&mut self) {
        for place in 0..self.emulators.len() {
            let wants = self.emulators[place].wants.as_ref();
            let Some(uuid) = wants.map(|(uuid, _)| *uuid) else {
                continue;
            };
            let holds = |it: &&Emulator| {
                let has = it.machine.as_ref().is_some_and(|it| it.uuid == uuid);
                has && !it.is_gone()
            };
            let former = self.emulators.iter().find(holds);
            let refused = former.filter(|former| !former.has_hung_up());
            let refused = refused.map(|it| format!("process {} has machine {uuid}", it.process));
            let free = former.is_none();
            let (closer, log, shares) = (&self.closer, &mut self.log, &mut self.shares);
            let cages = &mut self.cages;
            match refused {
                Some(why) => self.emulators[place].drop_it(&why, closer, log),
                None if free => self.emulators[place].attached(shares, cages, closer, log),
                None => {}
            }
        }
    }

    fn accept(&mut self) {
        let refused = |error: &dyn fmt::Display, link: &mut Self| {
            link.log.line(format_args!("not accepted: {error}"));
        };
        match self.listener.accept() {
            Ok(None) => {}
            Ok(Some(socket)) => {
                self.rest = None;
                let read = self.reload();
                match read.and_then(|()| Emulator::of(socket, &self.policy)) {
                    Ok(emulator) => self.emulators.push(emulator),
                    Err(error) => refused(&error, self),
                }
            }
            Err(error) => {
                if self.rest.is_none() {
                    refused(&error, self);
                }
                self.rest = Some(Instant::now() + REST);
            }
        }
    }
}

impl Drop for Link {
    /// Ends all workers, and waits for them.
    fn drop(&mut self) {
        let machines = self.emulators.iter_mut();
        for machine in machines.filter_map(|it| it.machine.as_mut()) {
            machine.end();
        }
    }
}
