//! The daemon of virtual machines: it has a worker serve each channel that a guest opens.
//!
//! Emulators, the processes that have a machine's device, attach to it and speak [`vgpu_abi::link`]. It maps no memory and
//! reads no byte of a guest's: it passes descriptors on, counts what a machine has, and kills what is to end. It waits for
//! nobody: who does not read its answers is dropped, and a worker that does not answer is killed.

mod channel;
mod closer;
mod emulator;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod kinds;
mod machine;
mod policy;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use signal_hook::consts::SIGCHLD;
use vgpu_poll::Poll;
use vgpu_socket::PacketListener;

use crate::log::Log;
use closer::Closer;
use emulator::Emulator;
use machine::Machine;

pub use policy::Policy;

/// Connections at a time.
const EMULATORS: usize = 256;
/// How long nobody is accepted after the system refused that.
const REST: Duration = Duration::from_millis(100);

/// The daemon of the machines whose emulators attach at a socket. Workers end with the thread that made it.
#[derive(Debug)]
pub struct Link {
    listener: PacketListener,
    policy: Policy,
    command: Vec<OsString>,
    children: UnixStream,
    /// The other end of `children`, which signals are written to.
    signalled: UnixStream,
    emulators: Vec<Emulator>,
    /// Until when nobody is accepted, while the system refuses that.
    rest: Option<Instant>,
    closer: Closer,
    log: Log,
}

/// What there is to do.
#[derive(Clone, Copy, Debug)]
enum Due {
    Connection,
    Signal,
    Emulator(usize),
    Channel(usize, u32),
}

impl Link {
    /// A daemon that starts workers by a command, as [`crate::Daemon::new`] does, for channels: they are to call
    /// [`vgpu_service::EngineKind::worker`].
    ///
    /// # Errors
    /// The system refuses a thread or a socket.
    ///
    /// # Panics
    /// The command is empty.
    pub fn new(
        listener: PacketListener,
        policy: Policy,
        command: Vec<OsString>,
    ) -> io::Result<Self> {
        assert!(!command.is_empty(), "a command");
        let (children, signalled) = UnixStream::pair()?;
        children.set_nonblocking(true)?;
        let link = Self {
            listener,
            policy,
            command,
            children,
            signalled,
            emulators: Vec::new(),
            rest: None,
            closer: Closer::new()?,
            log: Log::new(),
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
        let (closer, log) = (&self.closer, &mut self.log);
        for due in &due {
            match *due {
                Due::Emulator(place) => {
                    let emulator = &mut self.emulators[place];
                    emulator.receive(&self.command, closer, log);
                    emulator.attend(None, closer, log);
                }
                Due::Channel(place, number) => {
                    self.emulators[place].attend(Some(number), closer, log);
                }
                Due::Connection | Due::Signal => {}
            }
        }
        for emulator in &mut self.emulators {
            if all || emulator.deadline().is_some_and(|at| at <= now) {
                emulator.attend(None, closer, log);
            }
        }
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
        let wait = deadlines
            .chain(rest)
            .map(|at| at.saturating_duration_since(now))
            .min();
        let accepts = self.emulators.len() < EMULATORS && rest.is_none();
        let mut poll = Poll::new()
            .readable(Due::Connection, accepts.then_some(&self.listener))
            .readable(Due::Signal, &self.children);
        for (place, emulator) in self.emulators.iter().enumerate() {
            poll = poll
                .readable(Due::Emulator(place), emulator.readable())
                .hung_up(Due::Emulator(place), emulator.watched());
            let channels = emulator.machine.iter().flat_map(Machine::channels);
            for (number, channel) in channels {
                poll = channel.add_to(poll, Due::Channel(place, number));
            }
        }
        poll.wait(wait).unwrap_or_default()
    }

    /// Attaches those that wait for it, where no process has memory of their machine any more.
    fn attach(&mut self) {
        for place in 0..self.emulators.len() {
            let Some((uuid, _)) = self.emulators[place].wants else {
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
            let (closer, log) = (&self.closer, &mut self.log);
            match refused {
                Some(why) => self.emulators[place].drop_it(&why, closer, log),
                None if free => self.emulators[place].attached(closer, log),
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
                match Emulator::of(socket, &self.policy) {
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
