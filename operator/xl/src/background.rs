//! The emulator as a process that outlives who starts it.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use vgpu_emulator::FAILED;
use vgpu_socket::{LineError, LineReader};
use vgpu_terminal::Failure;

/// How long it may take to start on a busy host. That it cannot start is known
/// at once; this is for one that hangs. libxl itself waits for 60 seconds.
const START_LIMIT: Duration = Duration::from_secs(10);

/// More than an emulator's line has, in bytes, whatever cause it names.
const LONGEST: usize = 4096;

/// Starts `vgpu-stub xen` with these arguments, in a session of its own, and
/// waits until it answers its domain. Its log is this process's stderr.
pub(super) fn start(arguments: &[&OsStr]) -> Result<(), Failure> {
    // By its path it may be gone: an upgrade has put another there since this one was started.
    let mut emulator = Command::new("/proc/self/exe")
        .arg0("vgpu-stub")
        .args(["xen", "--detached"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| {
            Failure::new(
                format!("cannot start the emulator: {error}"),
                "see that limits on processes and memory leave room",
            )
        })?;
    match emulator.stdout.take().map(first_line) {
        Some(Ok(line)) => match line.strip_prefix(FAILED) {
            None => Ok(()),
            Some(cause) => {
                let _ = emulator.wait();
                Err(Failure::new(cause.trim(), "see the lines above"))
            }
        },
        Some(Err(LineError::Closed)) => {
            let how = emulator
                .wait()
                .map_or_else(|e| e.to_string(), |s| s.to_string());
            Err(Failure::new(
                format!("the emulator ended before it was ready ({how})"),
                "see the lines above",
            ))
        }
        _ => {
            end(&emulator);
            Err(Failure::new(
                "the emulator did not start in time",
                "see the lines above, and that the host is not overloaded",
            ))
        }
    }
}

/// The first line, if it comes in time.
fn first_line(output: ChildStdout) -> Result<String, LineError> {
    let deadline = Instant::now() + START_LIMIT;
    let line = LineReader::new(output).receive(deadline, LONGEST)?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// Has it end in order, so that it leaves no ioreq server behind.
fn end(emulator: &Child) {
    // It fails where it has ended already.
    let _ = kill_process(Pid::from_child(emulator), Signal::TERM);
}
