//! A worker as its daemon sees it.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::net::{Shutdown, sockopt};
use rustix::process::{PidfdFlags, pidfd_open};
use vgpu_poll::Poll;
use vgpu_socket::LineReader;
use vgpu_terminal::Printable;
use vgpu_transport::local::{NONE, VARIABLE};

use crate::log::Log;

/// How long a worker may stay after its program.
const GRACE: Duration = Duration::from_secs(1);
/// What a worker may have logged, in bytes.
const LOG: usize = 16 << 10;

#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    /// The session's socket, to see when the program ends. Nothing is read.
    socket: OwnedFd,
    /// The program's process: a child of its fork keeps the socket open. `None` where the system cannot tell of its end
    /// (before Linux 5.3).
    program: Option<OwnedFd>,
    said: Option<LineReader<ChildStderr>>,
    /// Bytes that it may still log, the ends of lines among them.
    log: usize,
    deadline: Option<Instant>,
}

impl Worker {
    pub(crate) fn start(command: &[OsString], socket: OwnedFd) -> io::Result<Self> {
        let watched = socket.try_clone()?;
        let program = sockopt::socket_peercred(&socket)?.pid;
        let program = pidfd_open(program, PidfdFlags::empty()).ok();
        let mut child = Command::new(&command[0])
            .args(&command[1..])
            .arg(std::process::id().to_string())
            .env_clear()
            // Were its driver this library of ours, it would come back here.
            .env(VARIABLE, NONE)
            // NVIDIA's driver writes no files of what it compiled.
            .env("CUDA_CACHE_DISABLE", "1")
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::from(socket))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let said = child.stderr.take();
        if let Some(said) = &said {
            rustix::io::ioctl_fionbio(said, true)?;
        }
        Ok(Self {
            child,
            socket: watched,
            program,
            said: said.map(LineReader::new),
            log: LOG,
            deadline: None,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// When it must have ended.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Adds what is to be waited for.
    pub(crate) fn add_to<'a>(&'a self, poll: Poll<'a, ()>) -> Poll<'a, ()> {
        let lives = self.deadline.is_none();
        poll.hung_up((), lives.then_some(&self.socket))
            .readable((), self.program.as_ref().filter(|_| lives))
            .readable((), self.said.as_ref())
    }

    /// Does what is due; gives whether the worker is still there.
    pub(crate) fn attend(&mut self, log: &mut Log) -> bool {
        self.listen(log);
        if let Ok(Some(status)) = self.child.try_wait() {
            // What it said last, of which each look takes a part.
            while self.said.as_ref().is_some_and(is_ready) {
                self.listen(log);
            }
            if !status.success() {
                log.line(format_args!("worker {}: {status}", self.id()));
            }
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
                let _ = self.child.kill();
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

    /// Logs what it says, line by line, cut and without control characters.
    fn listen(&mut self, log: &mut Log) {
        while let Some(said) = &mut self.said {
            let line = match said.receive_ready(self.log) {
                Ok(Some(line)) => line,
                Ok(None) => return,
                // It closed its end, or has said enough.
                Err(_) => {
                    let rest = said.take_rest();
                    self.said = None;
                    rest
                }
            };
            let length = line.len().min(self.log);
            for line in String::from_utf8_lossy(&line[..length]).lines() {
                let id = self.child.id();
                log.line(format_args!("worker {id}: {}", Printable(line)));
            }
            self.log = self.log.saturating_sub(length + 1);
            if self.log == 0 {
                self.said = None;
            }
        }
    }

    /// Kills it, and waits for its end.
    pub(crate) fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
    }
}

/// Whether there is more of what it says, or its end.
fn is_ready(said: &LineReader<ChildStderr>) -> bool {
    vgpu_poll::is_readable(said, Duration::ZERO).unwrap_or(false)
}
