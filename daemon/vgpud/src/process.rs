//! A worker's process: it is not trusted, and what it says is cut and cleaned before it is logged.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use vgpu_poll::Poll;
use vgpu_socket::LineReader;
use vgpu_terminal::Printable;
use vgpu_transport::local::{NONE, VARIABLE};

use crate::log::Log;

/// How long an end is waited for that only another process can take note of.
const ENDS: Duration = Duration::from_secs(1);
/// What a worker may have logged, in bytes.
const LOG: usize = 16 << 10;

#[derive(Debug)]
pub(crate) struct Process {
    body: Body,
    said: Option<LineReader<ChildStderr>>,
    /// Bytes that it may still log, the ends of lines among them.
    log: usize,
    /// Whether its end is expected, and so nothing to log.
    dismissed: bool,
}

/// What a daemon has of a process.
#[derive(Debug)]
enum Body {
    Child(Child),
    /// The child of a former daemon.
    Adopted {
        number: Pid,
        file: OwnedFd,
    },
}

impl Process {
    /// The worker of a former daemon: the process of this number, as long as `lives` says that it is not gone. Nothing is
    /// logged of what it says.
    ///
    /// # Errors
    /// It is gone, or the kernel has no descriptors of processes (Linux 5.3).
    pub(crate) fn adopt(number: Pid, lives: impl FnOnce() -> bool) -> Result<Self, Errno> {
        let file = pidfd_open(number, PidfdFlags::empty())?;
        // It had not ended after that: the number was its own.
        if !lives() {
            return Err(Errno::SRCH);
        }
        Ok(Self {
            body: Body::Adopted { number, file },
            said: None,
            log: 0,
            dismissed: false,
        })
    }

    /// Starts a worker by a command, with a socket as its standard input, its end of the gate as its standard output, and
    /// this process's number as its last argument.
    pub(crate) fn start(command: &[OsString], socket: OwnedFd, gate: OwnedFd) -> io::Result<Self> {
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
            .stdout(Stdio::from(gate))
            .stderr(Stdio::piped())
            .spawn()?;
        let said = child.stderr.take();
        if let Some(said) = &said {
            rustix::io::ioctl_fionbio(said, true)?;
        }
        Ok(Self {
            body: Body::Child(child),
            said: said.map(LineReader::new),
            log: LOG,
            dismissed: false,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        match &self.body {
            Body::Child(child) => child.id(),
            Body::Adopted { number, .. } => number.as_raw_pid().unsigned_abs(),
        }
    }

    /// Adds what is to be waited for, beside a child's end.
    pub(crate) fn add_to<'a, S: Clone>(&'a self, poll: Poll<'a, S>, name: S) -> Poll<'a, S> {
        let file = match &self.body {
            Body::Child(_) => None,
            Body::Adopted { file, .. } => Some(file),
        };
        poll.readable(name.clone(), self.said.as_ref())
            .readable(name, file)
    }

    /// Logs what it says; gives whether it has ended, once it is reaped.
    pub(crate) fn has_ended(&mut self, log: &mut Log) -> bool {
        self.listen(log);
        let status = match &mut self.body {
            Body::Child(child) => match child.try_wait() {
                Ok(Some(status)) => Some(status),
                _ => return false,
            },
            // Its parent learns how it ended.
            Body::Adopted { file, .. } => match vgpu_poll::is_readable(file, Duration::ZERO) {
                Ok(true) => None,
                _ => return false,
            },
        };
        // What it said last, of which each look takes a part.
        while self.said.as_ref().is_some_and(is_ready) {
            self.listen(log);
        }
        if let Some(status) = status.filter(|it| !it.success() && !self.dismissed) {
            log.line(format_args!("worker {}: {status}", self.id()));
        }
        true
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
                let id = self.id();
                log.line(format_args!("worker {id}: {}", Printable(line)));
            }
            self.log = self.log.saturating_sub(length + 1);
            if self.log == 0 {
                self.said = None;
            }
        }
    }

    /// Has it end, without waiting for that.
    pub(crate) fn kill(&mut self) {
        let _ = match &mut self.body {
            Body::Child(child) => child.kill(),
            Body::Adopted { file, .. } => {
                pidfd_send_signal(file, Signal::KILL).map_err(io::Error::from)
            }
        };
    }

    /// The same, where it is of no use any more.
    pub(crate) fn dismiss(&mut self) {
        self.dismissed = true;
        self.kill();
    }

    /// Kills it, and waits for its end.
    pub(crate) fn end(&mut self) {
        self.kill();
        match &mut self.body {
            Body::Child(child) => {
                let _ = child.wait();
            }
            Body::Adopted { file, .. } => {
                let _ = vgpu_poll::is_readable(file, ENDS);
            }
        }
    }
}

/// Whether there is more of what it says, or its end.
fn is_ready(said: &LineReader<ChildStderr>) -> bool {
    vgpu_poll::is_readable(said, Duration::ZERO).unwrap_or(false)
}
