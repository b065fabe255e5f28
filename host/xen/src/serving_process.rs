//! The serving process, which answers the guest, as its supervisor holds it.

use std::io;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use vgpu_poll::Poll;
use vgpu_runtime::Log;
use vgpu_socket::LineReader;

use crate::error::{Error, cannot};
use crate::relay::Relay;
use crate::serve::READY;

/// How long it may take to start. One that cannot say why it fails, as its log
/// is stuck, would take for ever.
const START: Duration = Duration::from_secs(5);

/// How long it may take to end when it is told to, or says that it does.
const END: Duration = Duration::from_secs(2);

/// It is ended when this is dropped.
pub(crate) struct ServingProcess {
    child: Child,
    /// Hung up once it has ended, as nobody else has the other end. A pidfd would tell too, from Linux 5.3 on; dom0 of
    /// XCP-ng has 4.19.
    stdout: LineReader<ChildStdout>,
    /// Of its log.
    relay: Option<Relay>,
    /// Open for as long as this process lives.
    _stdin: Option<ChildStdin>,
    /// Until when it has to be ready; none once it is.
    deadline: Option<Instant>,
}

/// What it has to say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Nothing yet.
    None,
    /// It answers the guest.
    Ready,
    /// It has ended, or is to be ended: it has hung up, has said something
    /// else, or takes too long.
    End,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum End {
    /// As somebody asked it to.
    Asked,
    /// It answered, and died.
    Died,
    /// It did not become ready.
    Failed(Error),
}

impl ServingProcess {
    /// Starts it.
    pub(crate) fn start(command: &dyn Fn() -> Command) -> Result<Self, Error> {
        let mut child = command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(cannot("start a process"))?;
        let (stdin, log) = (child.stdin.take(), child.stderr.take());
        let stdout = child.stdout.take();
        let stdout = stdout.ok_or_else(|| Error::Serving("it has no stdout".into()))?;
        // What fails from here on ends it.
        let mut process = Self {
            child,
            stdout: LineReader::new(stdout),
            relay: None,
            _stdin: stdin,
            deadline: Instant::now().checked_add(START),
        };
        if let Some(log) = log {
            let relay = Relay::start(log, io::stderr()).map_err(cannot("start a thread"))?;
            process.relay = Some(relay);
        }
        Ok(process)
    }

    /// When to ask for its [news](Self::news), whatever a poll tells.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Has a loop wait for it by this name. It says nothing once it is ready; its end is still heard.
    pub(crate) fn add_to<'a, S>(&'a self, poll: Poll<'a, S>, name: S) -> Poll<'a, S> {
        match self.deadline {
            Some(_) => poll.readable(name, &self.stdout),
            None => poll.hung_up(name, &self.stdout),
        }
    }

    /// What it says, without waiting. `heard` is whether a poll has told of
    /// anything.
    pub(crate) fn news(&mut self, heard: bool) -> News {
        match self.deadline {
            None if heard => News::End,
            Some(_) if heard => match self.stdout.receive_ready(READY.len()) {
                Ok(None) => self.late(),
                Ok(Some(line)) if READY.as_bytes().strip_suffix(b"\n") == Some(&line) => {
                    self.deadline = None;
                    News::Ready
                }
                Ok(Some(_)) | Err(_) => News::End,
            },
            _ => self.late(),
        }
    }

    /// Whether it takes too long to be ready.
    fn late(&self) -> News {
        match self.deadline {
            Some(deadline) if deadline <= Instant::now() => News::End,
            _ => News::None,
        }
    }

    /// How it ended, now that [that](News::End) is its news.
    pub(crate) fn end(mut self) -> End {
        if self.deadline.is_some() {
            // It fails where it has ended already.
            let _ = self.child.kill();
            return End::Failed(Error::Serving(match self.reap() {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            }));
        }
        match self.reap() {
            Ok(status) if status.success() => End::Asked,
            _ => {
                // Its last lines come by themselves; a guest waits for another.
                self.relay = None;
                End::Died
            }
        }
    }

    /// Waits for the last lines of its log, now that it has ended.
    fn hear_the_rest(&self) {
        if let Some(relay) = &self.relay {
            relay.finish(Log::LAST_LINES);
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

impl Drop for ServingProcess {
    fn drop(&mut self) {
        // Its number may be another's once it was waited for.
        if let Ok(None) = self.child.try_wait() {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            let _ = self.reap();
        }
        self.hear_the_rest();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str) -> ServingProcess {
        let command = || {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        };
        ServingProcess::start(&command).unwrap()
    }

    /// Its next news, as a supervisor waits for it; none within 30 seconds are a fault.
    fn news(process: &mut ServingProcess) -> News {
        let limit = Instant::now() + Duration::from_secs(30);
        loop {
            let until = process.deadline().unwrap_or(limit);
            let left = until.saturating_duration_since(Instant::now());
            let ready = process.add_to(Poll::new(), ()).wait(Some(left)).unwrap();
            match process.news(!ready.is_empty()) {
                News::None => assert!(Instant::now() < limit),
                news => return news,
            }
        }
    }

    fn ready(script: &str) -> ServingProcess {
        let mut process = start(script);
        assert_eq!(news(&mut process), News::Ready);
        process
    }

    /// Why it fails to start, and after how long.
    fn failure(script: &str) -> (String, Duration) {
        let began = Instant::now();
        let mut process = start(script);
        assert_eq!(news(&mut process), News::End);
        match process.end() {
            End::Failed(error) => (error.to_string(), began.elapsed()),
            end => panic!("{end:?}"),
        }
    }

    #[test]
    fn one_that_is_dropped_is_ended() {
        let process = ready("echo ready; exec sleep 60");
        let pid = Pid::from_child(&process.child);
        drop(process);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }

    #[test]
    fn one_that_ends_hangs_up() {
        let mut process = ready("echo ready; exit 0");
        assert_eq!(news(&mut process), News::End);
        assert!(matches!(process.end(), End::Asked));
        let mut process = ready("echo ready; exit 1");
        assert_eq!(news(&mut process), News::End);
        assert!(matches!(process.end(), End::Died));
    }

    #[test]
    fn one_that_hangs_up_and_goes_on_is_ended() {
        let mut process = ready("echo ready; exec >&-; exec sleep 60");
        assert_eq!(news(&mut process), News::End);
        assert!(matches!(process.end(), End::Died));
    }

    /// A guest waits for the next one, and the log may be stuck.
    #[test]
    fn the_log_of_one_that_died_is_not_waited_for() {
        let mut process = ready("echo ready; sleep 60 >&- & exit 1");
        assert_eq!(news(&mut process), News::End);
        let began = Instant::now();
        assert!(matches!(process.end(), End::Died));
        assert!(
            began.elapsed() < Log::LAST_LINES / 2,
            "{:?}",
            began.elapsed()
        );
    }

    #[test]
    fn one_that_fails_is_an_error_with_its_status() {
        let (error, _) = failure("exit 3");
        assert!(error.ends_with("exit status: 3"), "{error}");
    }

    /// Whatever it says, it has as long as one that says nothing, and costs its supervisor nothing.
    #[test]
    fn one_that_does_not_get_ready_is_not_waited_for() {
        for script in [
            "exec sleep 60",
            "printf r; exec sleep 60",
            "exec yes 'ready, not'",
            "exec cat /dev/zero",
        ] {
            let (error, took) = failure(script);
            assert!(error.contains("signal"), "{script}: {error}");
            assert!(took < Duration::from_secs(15), "{script}: {took:?}");
        }
    }
}
