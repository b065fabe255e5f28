//! The process that answers the guest, as its supervisor holds it.

use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::error::{Error, cannot};
use crate::serving::READY;

/// How long it may take to start. One that cannot say why it fails, as its log
/// is stuck, would take for ever.
const START: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

/// How long it may take to end when it is told to.
const END: Duration = Duration::from_secs(2);

pub(crate) struct Answering {
    child: Child,
    /// Readable once it has ended.
    pidfd: OwnedFd,
    /// Open for as long as this process lives.
    _stdin: Option<ChildStdin>,
}

impl Answering {
    /// Starts it and waits until it answers.
    pub(crate) fn start(serving: &dyn Fn() -> Command) -> Result<Self, Error> {
        let mut child = serving()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(cannot("start a process"))?;
        let pidfd = match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(errno) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(cannot("watch a process")(errno));
            }
        };
        let ready = child.stdout.take().is_some_and(is_ready);
        let mut answering = Self {
            _stdin: child.stdin.take(),
            child,
            pidfd,
        };
        if ready {
            return Ok(answering);
        }
        // It fails where it has ended already.
        let _ = answering.child.kill();
        Err(Error::Serving(answering.status()))
    }

    /// Whether it has ended as somebody asked it to.
    pub(crate) fn ended_by_request(&mut self) -> bool {
        self.child.wait().is_ok_and(|status| status.success())
    }

    /// Ends it.
    pub(crate) fn end(&mut self) {
        let deadline = Instant::now().checked_add(END);
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        while matches!(self.child.try_wait(), Ok(None)) {
            if deadline.is_none_or(|deadline| Instant::now() > deadline) {
                let _ = self.child.kill();
                break;
            }
            thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.wait();
    }

    /// How it ended.
    fn status(&mut self) -> String {
        match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

impl AsFd for Answering {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// Whether a process says in time that it is ready. What it says ends with it.
fn is_ready(stdout: ChildStdout) -> bool {
    let mut said = String::new();
    poll(&mut [PollFd::new(&stdout, PollFlags::IN)], Some(&START)).is_ok_and(|ready| ready > 0)
        && BufReader::new(stdout).read_line(&mut said).is_ok()
        && said == READY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str) -> Result<Answering, String> {
        let serving = || {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        };
        Answering::start(&serving).map_err(|error| error.to_string())
    }

    #[test]
    fn one_that_is_ready_is_ended_on_request() {
        let mut answering = start("echo ready; exec sleep 60").unwrap();
        answering.end();
        assert!(!answering.ended_by_request());
    }

    #[test]
    fn one_that_fails_is_an_error_with_its_status() {
        let error = start("exit 3").err().unwrap();
        assert!(error.ends_with("exit status: 3"), "{error}");
    }

    #[test]
    fn one_that_says_nothing_is_not_waited_for() {
        let started = Instant::now();
        let error = start("exec sleep 60").err().unwrap();
        assert!(error.contains("SIGKILL"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(30));
    }
}
