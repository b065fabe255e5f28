//! A worker's process: it is not trusted, and what it says is cut and cleaned before it is logged.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use vgpu_poll::Poll;
use vgpu_socket::LineReader;
use vgpu_terminal::Printable;
use vgpu_transport::local::{NONE, VARIABLE};

use crate::log::Log;

/// What a worker may have logged, in bytes.
const LOG: usize = 16 << 10;

#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    said: Option<LineReader<ChildStderr>>,
    /// Bytes that it may still log, the ends of lines among them.
    log: usize,
    /// Whether its end is expected, and so nothing to log.
    dismissed: bool,
}

impl Process {
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
            child,
            said: said.map(LineReader::new),
            log: LOG,
            dismissed: false,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Adds what is to be waited for, beside a child's end.
    pub(crate) fn add_to<'a, S>(&'a self, poll: Poll<'a, S>, name: S) -> Poll<'a, S> {
        poll.readable(name, self.said.as_ref())
    }

    /// Logs what it says; gives whether it has ended, once it is reaped.
    pub(crate) fn has_ended(&mut self, log: &mut Log) -> bool {
        self.listen(log);
        let Ok(Some(status)) = self.child.try_wait() else {
            return false;
        };
        // What it said last, of which each look takes a part.
        while self.said.as_ref().is_some_and(is_ready) {
            self.listen(log);
        }
        if !status.success() && !self.dismissed {
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
                let id = self.child.id();
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
        let _ = self.child.kill();
    }

    /// The same, where it is of no use any more.
    pub(crate) fn dismiss(&mut self) {
        self.dismissed = true;
        self.kill();
    }

    /// Kills it, and waits for its end.
    pub(crate) fn end(&mut self) {
        self.kill();
        let _ = self.child.wait();
    }
}

/// Whether there is more of what it says, or its end.
fn is_ready(said: &LineReader<ChildStderr>) -> bool {
    vgpu_poll::is_readable(said, Duration::ZERO).unwrap_or(false)
}
