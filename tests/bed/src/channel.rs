//! Commands that run in the guest, over its second serial port. `guest/init` is the other end.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use crate::run_folder::RunFolder;
use crate::stream::Stream;

/// How long a guest may take to start. It takes 3 seconds on an idle machine, and much longer on a busy one.
const BOOT_LIMIT: Duration = Duration::from_secs(120);
/// How long a command may take unless the caller says otherwise.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// A guest that runs commands.
#[derive(Debug)]
pub struct Guest {
    stream: Stream,
    ready: bool,
    sequence: u32,
    folder: RunFolder,
}

/// What a command in the guest did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The command itself.
    pub command: String,
    /// The exit status, 0 to 255; 128 and the signal's number for a command that a signal ended.
    pub status: u8,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// The standard output of a command that did what it should.
    ///
    /// # Errors
    /// When the exit status is not 0.
    pub fn success(self) -> Result<String> {
        let reason = self.stderr.trim();
        ensure!(
            self.status == 0,
            "{} failed in the guest, exit status {}{}{reason}",
            self.command,
            self.status,
            if reason.is_empty() { "" } else { ": " }
        );
        Ok(self.stdout)
    }
}

impl Guest {
    /// The guest at the other end of `socket`. One that comes `ready` from elsewhere does not say so again.
    pub(crate) fn new(socket: UnixStream, ready: bool, folder: RunFolder) -> Result<Self> {
        Ok(Self {
            stream: Stream::new(socket)?,
            ready,
            sequence: 0,
            folder,
        })
    }

    /// It will say that it is ready once more.
    pub(crate) fn starts_anew(&mut self) {
        self.ready = false;
    }

    /// Waits until the guest has started and takes commands.
    ///
    /// # Errors
    /// When it does not within 2 minutes.
    pub fn wait_ready(&mut self) -> Result<()> {
        self.wait_ready_within(BOOT_LIMIT)
    }

    /// As [`Self::wait_ready`], with a time limit.
    ///
    /// # Errors
    /// When it does not within that time.
    pub fn wait_ready_within(&mut self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !self.ready {
            let line = self
                .stream
                .read_line(deadline)
                .context("the guest did not start")
                .map_err(|error| self.folder.explain(&error))?;
            self.ready = line == "ready";
        }
        Ok(())
    }

    /// Runs `command`, a script for `sh`, in the guest, and waits up to a minute for its end.
    ///
    /// Its standard input is empty. A guest that still starts is waited for first.
    ///
    /// # Errors
    /// When the guest does not answer; not when the command fails.
    pub fn run(&mut self, command: &str) -> Result<Output> {
        self.run_within(command, COMMAND_LIMIT)
    }

    /// As [`Self::run`], with a time limit. A command beyond it goes on in the guest, which takes others after it.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_within(&mut self, command: &str, limit: Duration) -> Result<Output> {
        self.wait_ready()?;
        let deadline = Instant::now() + limit;
        self.send(command)
            .and_then(|()| self.receive(command, deadline))
            .with_context(|| format!("the guest did not run {command:?}"))
            .map_err(|error| self.folder.explain(&error))
    }

    /// Starts `command`, which ends the guest, so that no answer will come.
    pub(crate) fn send(&mut self, command: &str) -> Result<()> {
        self.sequence += 1;
        let request = format!("run {} {}\n{command}", self.sequence, command.len());
        self.stream.write_all(request.as_bytes())
    }

    fn receive(&mut self, command: &str, deadline: Instant) -> Result<Output> {
        loop {
            let answer = Answer::parse(&self.stream.read_line(deadline)?)?;
            let stdout = self.text(answer.stdout_length, deadline)?;
            let stderr = self.text(answer.stderr_length, deadline)?;
            // An answer with another number belongs to a command that ran out of time.
            if answer.sequence == self.sequence {
                return Ok(Output {
                    command: command.to_string(),
                    status: answer.status,
                    stdout,
                    stderr,
                });
            }
        }
    }

    fn text(&mut self, length: usize, deadline: Instant) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.stream.read_exact(length, deadline)?).into_owned())
    }
}

/// The line before a command's output.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    sequence: u32,
    status: u8,
    stdout_length: usize,
    stderr_length: usize,
}

impl Answer {
    fn parse(line: &str) -> Result<Self> {
        let parse = || {
            let ["answer", sequence, status, stdout, stderr] =
                line.split(' ').collect::<Vec<_>>()[..]
            else {
                return None;
            };
            Some(Self {
                sequence: sequence.parse().ok()?,
                status: status.parse().ok()?,
                stdout_length: stdout.parse().ok()?,
                stderr_length: stderr.parse().ok()?,
            })
        };
        parse().ok_or_else(|| anyhow!("the guest sent no answer, but {line:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_parsed() {
        let answer = Answer {
            sequence: 7,
            status: 127,
            stdout_length: 0,
            stderr_length: 42,
        };
        assert_eq!(Answer::parse("answer 7 127 0 42").unwrap(), answer);
    }

    #[test]
    fn other_lines_are_refused_and_quoted() {
        for line in [
            "",
            "ready",
            "answer 1 0 0",
            "answer 1 256 0 0",
            "answer 1 0 -1 0",
            "answer 1 0 0 0 ",
        ] {
            let error = Answer::parse(line).unwrap_err().to_string();
            assert!(error.contains(&format!("{line:?}")), "{error}");
        }
    }

    #[test]
    fn a_failed_command_is_an_error_with_its_reason() {
        let failed = Output {
            command: "lspci -n".into(),
            status: 127,
            stdout: String::new(),
            stderr: "sh: lspci: not found\n".into(),
        };
        let silent = Output {
            stderr: String::new(),
            ..failed.clone()
        };
        let error = |output: Output| output.success().unwrap_err().to_string();
        let message = "lspci -n failed in the guest, exit status 127";
        assert_eq!(error(failed), format!("{message}: sh: lspci: not found"));
        assert_eq!(error(silent), message);
    }
}
