//! The worker of a program on this machine, as its daemon sees it.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::net::{Shutdown, sockopt};
use rustix::process::{PidfdFlags, pidfd_open};
use vgpu_poll::Poll;

use crate::log::Log;
use crate::process::Process;
use crate::shares::{Opened, SeatId};

/// How long a worker may stay after its program.
const GRACE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Worker {
    process: Process,
    /// The session's socket, to see when the program ends. Nothing is read.
    socket: OwnedFd,
    /// The program's process: a child of its fork keeps the socket open. `None` where the system cannot tell of its end
    /// (before Linux 5.3).
    program: Option<OwnedFd>,
    deadline: Option<Instant>,
    seat: SeatId,
}

impl Worker {
    pub(crate) fn start(command: &[OsString], socket: OwnedFd, opened: Opened) -> io::Result<Self> {
        let watched = socket.try_clone()?;
        let program = sockopt::socket_peercred(&socket)?.pid;
        let program = pidfd_open(program, PidfdFlags::empty()).ok();
        Ok(Self {
            process: Process::start(command, socket, opened.gate)?,
            socket: watched,
            program,
            deadline: None,
            seat: opened.seat,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn seat(&self) -> SeatId {
        self.seat
    }

    /// Has it end, as it took too much.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// When it must have ended.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Adds what is to be waited for.
    pub(crate) fn add_to<'a, S: Clone>(&'a self, poll: Poll<'a, S>, name: S) -> Poll<'a, S> {
        let lives = self.deadline.is_none();
        let poll = poll
            .hung_up(name.clone(), lives.then_some(&self.socket))
            .readable(name.clone(), self.program.as_ref().filter(|_| lives));
        self.process.add_to(poll, name)
    }

    /// Does what is due; gives whether the worker is still there.
    pub(crate) fn attend(&mut self, log: &mut Log) -> bool {
        if self.process.has_ended(log) {
            // The program sees it although this end is open.
            let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
            return false;
        }
        let now = Instant::now();
        match self.deadline {
            None if self.program_has_ended() => {
                self.deadline = Some(now + GRACE);
            }
            // It is reaped when it has ended: a driver may hold it for a while.
            Some(deadline) if now >= deadline => {
                self.process.kill();
                self.deadline = Some(now + GRACE);
            }
            _ => {}
        }
        true
    }

    fn program_has_ended(&self) -> bool {
        let process = self.program.as_ref();
        let ended =
            process.is_some_and(|it| vgpu_poll::is_readable(it, Duration::ZERO).unwrap_or(false));
        ended || vgpu_poll::is_hung_up(&self.socket).unwrap_or(false)
    }

    /// Kills it, and waits for its end.
    pub(crate) fn end(&mut self) {
        self.process.end();
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
    }
}
