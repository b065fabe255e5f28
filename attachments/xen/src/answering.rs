//! The process that answers the guest, as its supervisor holds it.

use std::io::{self, BufRead, BufReader};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Error, cannot};
use crate::relay::Relay;
use crate::serving::READY;

/// How long it may take to start. One that cannot say why it fails, as its log
/// is stuck, would take for ever.
const START: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

/// How long it may take to end when it is told to, or says that it does.
const END: Duration = Duration::from_secs(2);

/// How long its log may take to end after it.
const LAST_LINES: Duration = Duration::from_secs(1);

/// It is ended when this is dropped.
pub(crate) struct Answering {
    child: Child,
    /// Hung up once it has ended, as nobody else has the other end. A pidfd would tell too, from Linux 5.3 on; dom0 of
    /// XCP-ng has 4.19.
    stdout: ChildStdout,
    /// Of its log.
    relay: Option<Relay>,
    /// Open for as long as this process lives.
    _stdin: Option<ChildStdin>,
}

impl Answering {
    /// Starts it and waits until it answers.
    pub(crate) fn start(serving: &dyn Fn() -> Command) -> Result<Self, Error> {
        let mut child = serving()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(cannot("start a process"))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let log = child.stderr.take();
        let mut answering = Self {
            child,
            relay: None,
            stdout: stdout.ok_or_else(|| Error::Serving("it has no stdout".into()))?,
            _stdin: stdin,
        };
        if let Some(log) = log {
            let relay = Relay::start(log, io::stderr()).map_err(cannot("start a thread"))?;
            answering.relay = Some(relay);
        }
        if answering.is_ready() {
            return Ok(answering);
        }
        // It fails where it has ended already.
        let _ = answering.child.kill();
        let status = answering.reap();
        answering.hear_the_rest();
        Err(Error::Serving(match status {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }))
    }

    /// Whether it says in time that it is ready. It says nothing after that.
    fn is_ready(&mut self) -> bool {
        let mut said = String::new();
        let mut fds = [PollFd::new(&self.stdout, PollFlags::IN)];
        poll(&mut fds, Some(&START)).is_ok_and(|ready| ready > 0)
            && BufReader::new(&mut self.stdout)
                .read_line(&mut said)
                .is_ok()
            && said == READY
    }

    /// Whether it has ended as somebody asked it to, now that it has hung up.
    pub(crate) fn ended_by_request(&mut self) -> bool {
        self.reap().is_ok_and(|status| status.success())
    }

    /// Waits for the last lines of its log, now that it has ended.
    fn hear_the_rest(&self) {
        if let Some(relay) = &self.relay {
            relay.finish(LAST_LINES);
        }
    }

    /// Waits for its end, and does not take no for an answer.
    fn reap(&mut self) -> io::Result<ExitStatus> {
        let deadline = Instant::now().checked_add(END);
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if deadline.is_none_or(|deadline| Instant::now() > deadline) {
                self.child.kill()?;
                return self.child.wait();
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        // Its number may be another's once it was waited for.
        if let Ok(None) = self.child.try_wait() {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            let _ = self.reap();
        }
        self.hear_the_rest();
    }
}

impl AsFd for Answering {
    /// To be polled for no event, which still tells of a hang-up.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stdout.as_fd()
    }
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

    /// Whether it hangs up within 30 seconds.
    fn hangs_up(answering: &Answering) -> bool {
        let limit = Timespec {
            tv_sec: 30,
            tv_nsec: 0,
        };
        let mut fds = [PollFd::new(answering, PollFlags::empty())];
        poll(&mut fds, Some(&limit)).unwrap() > 0
    }

    #[test]
    fn one_that_is_dropped_is_ended() {
        let answering = start("echo ready; exec sleep 60").unwrap();
        let pid = Pid::from_child(&answering.child);
        drop(answering);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }

    #[test]
    fn one_that_ends_hangs_up() {
        let mut answering = start("echo ready; exit 0").unwrap();
        assert!(hangs_up(&answering) && answering.ended_by_request());
        let mut answering = start("echo ready; exit 1").unwrap();
        assert!(hangs_up(&answering) && !answering.ended_by_request());
    }

    #[test]
    fn one_that_hangs_up_and_goes_on_is_ended() {
        let mut answering = start("echo ready; exec >&-; exec sleep 60").unwrap();
        assert!(hangs_up(&answering) && !answering.ended_by_request());
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
