//! Another's program, run for what it prints, by who waits no longer than a limit.
//!
//! ```
//! use std::time::Duration;
//! use vgpu_program::{RunError, output};
//!
//! let limit = Some(Duration::from_secs(10));
//! assert_eq!(output("echo", &["a"], limit).unwrap(), "a\n");
//! let error = output("vgpu-no-such-program", &[], limit).unwrap_err();
//! assert_eq!(error.to_string(), "not installed");
//! ```
#![forbid(unsafe_code)]

use std::error::Error;
use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// What is read of its output, in bytes.
const MOST: u64 = 4 << 20;

/// How often it is looked after. Linux 4.19 has no process descriptors to wait for.
const POLL: Duration = Duration::from_millis(5);

/// Why a program has no output.
#[derive(Debug)]
pub enum RunError {
    /// It cannot be started; where it is not installed, that is [`io::ErrorKind::NotFound`].
    NotStarted(io::Error),
    /// It did not end in time, and was ended.
    TimedOut,
    /// It failed, and said this: on stderr, else on stdout.
    Failed(String),
}

impl fmt::Display for RunError {
    /// Of what it said, the last line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(error) if error.kind() == io::ErrorKind::NotFound => {
                f.write_str("not installed")
            }
            Self::NotStarted(error) => write!(f, "{error}"),
            Self::TimedOut => f.write_str("no end in time"),
            Self::Failed(said) => {
                let line = said.lines().rfind(|line| !line.trim().is_empty());
                f.write_str(line.unwrap_or("it failed"))
            }
        }
    }
}

impl Error for RunError {}

/// What a program prints to stdout, at most 4 MiB of it, within a limit where there is one. Its stdin is empty.
///
/// # Errors
///
/// It cannot be started, does not end in time, or fails.
pub fn output(
    program: impl AsRef<OsStr>,
    arguments: &[&str],
    limit: Option<Duration>,
) -> Result<String, RunError> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(RunError::NotStarted)?;
    let deadline = limit.map(|limit| Instant::now() + limit);
    let (output, errors) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let success = wait(&mut child, deadline)?;
    let output = hear(&output, deadline).ok_or(RunError::TimedOut)?;
    if success {
        return Ok(output);
    }
    let said = hear(&errors, deadline).unwrap_or_default();
    Err(RunError::Failed(match said.trim().is_empty() {
        true => output,
        false => said,
    }))
}

/// Whether it succeeds; it is ended at the deadline.
fn wait(child: &mut Child, deadline: Option<Instant>) -> Result<bool, RunError> {
    let Some(deadline) = deadline else {
        let status = child.wait().map_err(RunError::NotStarted)?;
        return Ok(status.success());
    };
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.success()),
            Ok(None) if Instant::now() < deadline => thread::sleep(POLL),
            ended => {
                // They fail where it has just ended.
                let _ = child.kill();
                let _ = child.wait();
                return Err(match ended {
                    Ok(_) => RunError::TimedOut,
                    Err(error) => RunError::Failed(error.to_string()),
                });
            }
        }
    }
}

/// All that comes before the deadline. Who the program left behind may keep the pipe open.
fn hear(pipe: &Receiver<String>, deadline: Option<Instant>) -> Option<String> {
    match deadline {
        Some(deadline) => {
            let left = deadline.saturating_duration_since(Instant::now()) + POLL;
            pipe.recv_timeout(left).ok()
        }
        None => pipe.recv().ok(),
    }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (said, hear) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // What was read before an error will do.
            let _ = pipe.take(MOST).read_to_end(&mut bytes);
        }
        // Nobody hears what comes too late.
        let _ = said.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    hear
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let started = Instant::now();
        let error = output("sleep", &["60"], Some(Duration::from_millis(50)));
        assert!(matches!(error, Err(RunError::TimedOut)), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn nor_is_one_waited_for_that_leaves_its_output_to_another() {
        let started = Instant::now();
        let script = ["-c", "sleep 3 & echo started"];
        let error = output("sh", &script, Some(Duration::from_millis(100)));
        assert!(matches!(error, Err(RunError::TimedOut)), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(3));
    }

    #[test]
    fn a_failure_is_what_the_program_says_last() {
        for limit in [None, Some(Duration::from_secs(20))] {
            for (script, last) in [
                (
                    "echo first >&2; echo 'no such domain' >&2; exit 3",
                    "no such domain",
                ),
                ("echo said; exit 1", "said"),
                ("exit 1", "it failed"),
            ] {
                let error = output("sh", &["-c", script], limit).unwrap_err();
                assert!(matches!(error, RunError::Failed(_)), "{error:?}");
                assert_eq!(error.to_string(), last);
            }
            let missing = output("vgpu-no-such-program", &[], limit);
            assert!(
                matches!(missing, Err(RunError::NotStarted(_))),
                "{missing:?}"
            );
            assert_eq!(output("echo", &["a"], limit).unwrap(), "a\n");
        }
    }

    #[test]
    fn who_prints_without_end_is_cut_off() {
        let printed = output("yes", &[], Some(Duration::from_secs(20)));
        // It cannot write any more, and says so.
        assert!(matches!(printed, Err(RunError::Failed(_))), "{printed:?}");
    }
}
