//! A worker as its daemon sees it.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::net::Shutdown;

use vgpu_terminal::Printable;

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
    said: Option<ChildStderr>,
    /// Bytes that it may still log.
    log: usize,
    deadline: Option<Instant>,
}

impl Worker {
    pub(crate) fn start(command: &[OsString], socket: OwnedFd) -> io::Result<Self> {
        let watched = socket.try_clone()?;
        let mut child = Command::new(&command[0])
            .args(&command[1..])
            .arg(std::process::id().to_string())
            .env_clear()
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
            said,
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

    /// What to wait for.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = PollFd<'_>> {
        let socket = self.deadline.is_none();
        let socket = socket.then(|| PollFd::new(&self.socket, PollFlags::RDHUP));
        let said = self.said.as_ref();
        let said = said.map(|said| PollFd::new(said, PollFlags::IN));
        socket.into_iter().chain(said)
    }

    /// Does what is due; gives whether the worker is still there.
    pub(crate) fn attend(&mut self, log: &mut Log) -> bool {
        self.listen(log);
        if let Ok(Some(status)) = self.child.try_wait() {
            if !status.success() {
                log.line(format_args!("worker {}: {status}", self.id()));
            }
            // The program sees it although this end is open.
            let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
            return false;
        }
        let now = Instant::now();
        match self.deadline {
            None if self.program_ended() => self.deadline = Some(now + GRACE),
            // It is reaped when it has ended: a driver may hold it for a while.
            Some(deadline) if now >= deadline => {
                let _ = self.child.kill();
                self.deadline = Some(now + GRACE);
            }
            _ => {}
        }
        true
    }

    fn program_ended(&self) -> bool {
        let mut socket = [PollFd::new(&self.socket, PollFlags::RDHUP)];
        let found = rustix::event::poll(&mut socket, Some(&rustix::event::Timespec::default()));
        found.is_ok_and(|found| found > 0)
    }

    /// Logs what it says, cut and without control characters.
    fn listen(&mut self, log: &mut Log) {
        let Some(said) = &mut self.said else { return };
        let mut text = [0; 1024];
        let length = match said.read(&mut text) {
            Ok(length) if length > 0 && self.log > 0 => length.min(self.log),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return,
            // It closed its end, or has said enough.
            _ => return self.said = None,
        };
        self.log -= length;
        for line in String::from_utf8_lossy(&text[..length]).lines() {
            log.line(format_args!(
                "worker {}: {}",
                self.child.id(),
                Printable(line)
            ));
        }
    }

    /// Kills it, and waits for its end.
    pub(crate) fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
    }
}
