//! Asks programs that may hang, crash, or print without end.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How long a program may take to say what it can.
const LIMIT: Duration = Duration::from_secs(10);

/// How long its output may take once it has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// More than the longest list of any QEMU.
const OUTPUT: u64 = 1 << 20;

/// Runs programs, none of which outlives its run.
pub(crate) struct Programs {
    interrupted: Arc<AtomicBool>,
}

impl Programs {
    /// From here on, SIGINT, SIGTERM and SIGHUP end no file half-written and
    /// leave no program behind: they are seen between two steps.
    ///
    /// # Errors
    ///
    /// The signals cannot be handled.
    pub(crate) fn new() -> io::Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
        }
        Ok(Self { interrupted })
    }

    /// Whether a signal has asked for the end.
    pub(crate) fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// What a program prints on stdout.
    ///
    /// # Errors
    ///
    /// It cannot be started, does not end in time, or fails.
    pub(crate) fn output(&self, program: &Path, arguments: &[&str]) -> Result<String, String> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // For what the program itself starts.
            .process_group(0)
            .spawn()
            .map_err(|error| error.to_string())?;
        let stdout = child.stdout.take().map(read);
        let stderr = child.stderr.take().map(read);
        let ended = self.wait(&child);
        let status = end(&mut child).map_err(|error| error.to_string())?;
        ended?;
        let stdout = words(stdout);
        if status.success() {
            return Ok(stdout);
        }
        let stderr = words(stderr);
        let last = stderr.lines().last().unwrap_or("").trim();
        Err(match last {
            "" => format!("it failed ({status})"),
            last => format!("it failed ({status}): {last}"),
        })
    }

    /// Waits until the program has ended, but leaves it for [`end`].
    fn wait(&self, child: &Child) -> Result<(), String> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let deadline = Instant::now() + LIMIT;
        loop {
            match waitid(WaitId::Pid(Pid::from_child(child)), options) {
                Ok(Some(_)) => return Ok(()),
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.to_string()),
            }
            if self.interrupted() {
                return Err("a signal came".into());
            }
            if Instant::now() > deadline {
                return Err(format!("it did not end within {} seconds", LIMIT.as_secs()));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Ends the program, if it has not, and all that it has started.
fn end(child: &mut Child) -> io::Result<ExitStatus> {
    // Its number is not anyone else's before it is waited for.
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    child.wait()
}

/// Reads in the background, so that a full pipe holds nobody up.
fn read(pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (said, hear) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error will do.
        let _ = pipe.take(OUTPUT).read_to_end(&mut bytes);
        let _ = said.send(bytes);
    });
    hear
}

fn words(pipe: Option<Receiver<Vec<u8>>>) -> String {
    let bytes = pipe.and_then(|pipe| pipe.recv_timeout(LAST_WORDS).ok());
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}
