//! The daemon: a worker for each session, and nothing left after them.
//!
//! [`Daemon`] serves the programs of its user, [`link::Link`] the virtual machines of emulators.
//!
//! A daemon accepts programs and starts a worker for each, which gets the program's
//! socket. It reads no byte of a program's. Workers are not trusted: what they
//! say is cut and cleaned before it is logged, and one that does not end with
//! its program is killed.
#![forbid(unsafe_code)]

mod audit;
mod budget;
mod cage;
pub mod cli;
pub mod control;
pub mod link;
mod log;
mod process;
pub mod program;
mod serve;
mod settings;
mod shares;
mod worker;

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use signal_hook::consts::SIGCHLD;
use uuid::Uuid;
use vgpu_poll::Poll;
use vgpu_service::ENGINES;
use vgpu_transport::Error;
use vgpu_transport::local::{Listener, Name};

use log::Log;
use settings::{EngineSettings, MachineSettings};
use shares::{SeatId, Shares};
use worker::Worker;

pub use settings::Policy;
pub use shares::{
    EngineStatus, MachineStatus, SessionState, SessionStatus, Status, Work, WorkersStatus,
};

/// The most sessions at a time.
const SESSIONS: usize = 256;
/// How long nobody is accepted after the system refused that: who waits would end
/// each wait at once.
const REST: Duration = Duration::from_millis(100);

/// The daemon of one user. Workers end with the thread that made it.
#[derive(Debug)]
pub struct Daemon {
    listener: Listener,
    children: UnixStream,
    /// The other end of `children`, which signals are written to.
    signalled: UnixStream,
    workers: Vec<Worker>,
    /// Until when nobody is accepted, while the system refuses that.
    rest: Option<Instant>,
    log: Log,
    command: Vec<OsString>,
    shares: Shares,
}

/// What there is to look at.
#[derive(Clone, Copy, Debug)]
enum Due {
    Worker,
    Seat(SeatId),
}

impl Daemon {
    /// A daemon that starts workers by a command: a program and its arguments.
    /// It gets the session's socket as its standard input, and this process's
    /// number as its last argument.
    ///
    /// # Errors
    /// The system refuses a socket.
    ///
    /// # Panics
    /// The command is empty.
    pub fn new(command: Vec<OsString>) -> Result<Self, Error> {
        Self::listening(Listener::bind()?, command)
    }

    /// The same, which all programs of this user find by themselves.
    ///
    /// # Errors
    /// Somebody is there already; or the system refuses a socket.
    ///
    /// # Panics
    /// The command is empty.
    pub fn of_user(command: Vec<OsString>) -> Result<Self, Error> {
        Self::listening(Listener::bind_of_user()?, command)
    }

    fn listening(listener: Listener, command: Vec<OsString>) -> Result<Self, Error> {
        assert!(!command.is_empty(), "a command");
        let system = |error: io::Error| {
            let code = rustix::io::Errno::from_io_error(&error);
            Error::System(code.unwrap_or(rustix::io::Errno::IO))
        };
        let (children, signalled) = UnixStream::pair().map_err(system)?;
        children.set_nonblocking(true).map_err(system)?;
        let shares = shares_of_user().map_err(system)?;
        let daemon = Self {
            listener,
            children,
            signalled,
            workers: Vec::new(),
            rest: None,
            log: Log::new(),
            command,
            shares,
        };
        daemon.wake_on(SIGCHLD).map_err(system)?;
        Ok(daemon)
    }

    /// Has a signal end the daemon's [`Daemon::turn`], as a child's end does.
    ///
    /// # Errors
    /// The system refuses.
    pub fn wake_on(&self, signal: i32) -> io::Result<()> {
        let pipe = self.signalled.try_clone()?;
        signal_hook::low_level::pipe::register(signal, pipe).map(|_| ())
    }

    /// By what programs find it: for their environment, as
    /// [`vgpu_transport::local::VARIABLE`].
    #[must_use]
    pub const fn name(&self) -> Name {
        self.listener.name()
    }

    /// The processes of the workers.
    pub fn workers(&self) -> impl Iterator<Item = u32> {
        self.workers.iter().map(Worker::id)
    }

    /// Waits for something to do, and does it. It also returns when a child
    /// process of any kind has ended, and at signals of [`Daemon::wake_on`].
    pub fn turn(&mut self) {
        let now = Instant::now();
        let rest = self.rest.filter(|&rest| rest > now);
        let deadlines = self.workers.iter().filter_map(Worker::deadline);
        let shares = self.shares.wait().map(Duration::from_nanos);
        let wait = deadlines
            .chain(rest)
            .map(|at| at.saturating_duration_since(now))
            .chain(shares)
            .min();
        let accepts = self.workers.len() < SESSIONS && rest.is_none();
        let mut poll = Poll::new()
            .readable(Due::Worker, accepts.then_some(&self.listener))
            .readable(Due::Worker, &self.children);
        for (seat, socket) in self.shares.readable() {
            poll = poll.readable(Due::Seat(seat), socket);
        }
        let workers = self.workers.iter();
        let all = workers.fold(poll, |poll, it| it.add_to(poll, Due::Worker));
        let due = all.wait(wait).unwrap_or_default();
        self.share(&due);
        if !due.is_empty() && due.iter().all(|due| matches!(due, Due::Seat(_))) {
            return;
        }
        // Whoever else it was: all are looked at, without waiting.
        let _ = (&self.children).read(&mut [0; 64]);
        let (log, shares) = (&mut self.log, &mut self.shares);
        self.workers.retain_mut(|worker| {
            let stays = worker.attend(log);
            if !stays {
                shares.close(worker.seat());
            }
            stays
        });
        self.share(&[]);
        if accepts {
            self.accept();
        }
    }

    /// Hears workers, gives the engine to whose turn it is, and ends those that took too much.
    fn share(&mut self, due: &[Due]) {
        let mut ended = Vec::new();
        for due in due {
            if let Due::Seat(seat) = *due
                && let Err(breach) = self.shares.hear(seat)
            {
                ended.push((seat, breach.to_string()));
            }
        }
        let verdicts = self.shares.divide().into_iter();
        ended.extend(verdicts.map(|verdict| (verdict.seat, verdict.why)));
        for (seat, why) in ended {
            let worker = self.workers.iter_mut().find(|it| it.seat() == seat);
            if let Some(worker) = worker {
                let id = worker.id();
                self.log.line(format_args!("worker {id} is ended: {why}"));
                worker.kill();
            }
        }
    }

    fn accept(&mut self) {
        let socket = match self.listener.accept() {
            Ok(socket) => socket,
            Err(Error::System(error)) => {
                if self.rest.is_none() {
                    self.log.line(format_args!(
                        "cannot accept a program: {error}; tried again until that goes well"
                    ));
                }
                self.rest = Some(Instant::now() + REST);
                return;
            }
            Err(error) => return self.log.line(format_args!("{error}")),
        };
        self.rest = None;
        let Some(socket) = socket else { return };
        let opened = self
            .shares
            .open(Uuid::nil(), 0, None)
            .map_err(io::Error::from);
        let started = opened.and_then(|opened| {
            let seat = opened.seat;
            let started = Worker::start(&self.command, socket, opened);
            started.inspect_err(|_| self.shares.close(seat))
        });
        match started {
            Ok(worker) => {
                self.shares
                    .set_process(worker.seat(), worker.id(), "opened");
                self.workers.push(worker);
            }
            Err(error) => self
                .log
                .line(format_args!("cannot start a worker: {error}")),
        }
    }
}

/// One engine, and a machine without a number: all programs of the user.
fn shares_of_user() -> io::Result<Shares> {
    let usual = MachineSettings::usual(0, 1);
    let share = vgpu_sched::Share {
        sessions: SESSIONS as u32,
        ..usual.share
    };
    let mut shares = Shares::new(&[EngineSettings::usual(ENGINES[0].name)]);
    shares.set_machine(Uuid::nil(), &MachineSettings { share, ..usual })?;
    Ok(shares)
}

impl Drop for Daemon {
    /// Ends all workers, and waits for them.
    fn drop(&mut self) {
        for worker in &mut self.workers {
            worker.end();
        }
    }
}
