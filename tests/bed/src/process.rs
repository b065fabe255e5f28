//! Processes that never outlive this one.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus};
use std::sync::LazyLock;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use vgpu_terminal::OrMend;

/// How often an end is looked for.
const POLL: Duration = Duration::from_millis(10);

/// A process that is killed when it is dropped, and when this process is killed.
#[derive(Debug)]
pub struct Process(Child);

/// A command that runs `program` such that the kernel kills it together with this process.
pub fn command(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// The cargo that runs this program, or else the one in `PATH`.
pub fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Where cargo builds what is in `checkout`.
pub fn target(checkout: &Path) -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => checkout.join(folder),
        None => checkout.join("target"),
    }
}

impl Process {
    /// Starts a command made by [`command`].
    ///
    /// # Errors
    /// When the command cannot be started.
    pub fn start(command: Command) -> Result<Self> {
        Ok(spawn(command)
            .context("cannot run setpriv")
            .or_mend("Install the package util-linux, 2.33 or newer.")
            .map(Self)?)
    }

    /// The process's standard input, where it is a pipe.
    pub fn stdin(&mut self) -> Option<&mut ChildStdin> {
        self.0.stdin.as_mut()
    }

    /// The process's id.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    /// Sends `signal` to the process, unless it has ended.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!("it has ended ({status})");
        }
        Ok(kill_process(self.pid(), signal)?)
    }

    /// How the process ended, if it did.
    ///
    /// # Errors
    /// When the kernel cannot tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.0.try_wait()?)
    }

    /// Waits for the end, however long it takes.
    ///
    /// # Errors
    /// When the kernel cannot tell.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        Ok(self.0.wait()?)
    }

    /// Waits for the end up to `limit`.
    ///
    /// # Errors
    /// When it still runs then.
    pub fn wait_within(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!("still running after {limit:?}");
            }
            thread::sleep(POLL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when there is nothing left to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Linux kills such a process when the *thread* that started it ends, so one thread without end starts them all.
fn spawn(command: Command) -> io::Result<Child> {
    type Request = (Command, Sender<io::Result<Child>>);
    static STARTER: LazyLock<Sender<Request>> = LazyLock::new(|| {
        let (sender, requests) = mpsc::channel::<Request>();
        thread::spawn(move || {
            for (mut command, answer) in requests {
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let (answer, child) = mpsc::channel();
    STARTER.send((command, answer)).map_err(io::Error::other)?;
    child.recv().map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::ExitStatusExt;
    use std::process::Stdio;

    const SOON: Duration = Duration::from_secs(20);

    fn wait_until(what: impl Fn() -> bool) {
        let deadline = Instant::now() + SOON;
        while !what() {
            assert!(Instant::now() < deadline, "too late");
            thread::sleep(POLL);
        }
    }

    /// Whether setpriv has done its work, and `sleep` runs in its place.
    fn sleeps(pid: Pid) -> bool {
        let name = fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero()));
        name.is_ok_and(|name| name == "sleep\n")
    }

    fn sleep_for_a_minute() -> Command {
        let mut command = command(Path::new("sleep"));
        command.arg("60");
        command
    }

    fn sleeping() -> Process {
        let process = Process::start(sleep_for_a_minute()).unwrap();
        let pid = process.pid();
        wait_until(|| sleeps(pid));
        process
    }

    #[test]
    fn a_process_outlives_the_thread_that_wanted_it() {
        let mut process = thread::spawn(sleeping).join().unwrap();
        assert!(process.wait_within(Duration::from_millis(200)).is_err());
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let process = sleeping();
        let pid = process.pid();
        let started = Instant::now();
        drop(process);
        assert!(!sleeps(pid) && started.elapsed() < SOON);
    }

    #[test]
    fn a_process_is_killed_with_its_parent() {
        // The parent is a shell, which starts the command that it is given.
        let command = sleep_for_a_minute();
        let mut shell = Command::new("sh")
            .args(["-c", r#""$@" & echo $!; read line"#, "sh"])
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(shell.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let pid = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        wait_until(|| sleeps(pid));
        shell.kill().unwrap();
        shell.wait().unwrap();
        wait_until(|| !sleeps(pid));
    }

    #[test]
    fn a_signal_reaches_the_process_while_there_is_one() {
        let mut process = sleeping();
        process.signal(Signal::TERM).unwrap();
        let status = process.wait_within(SOON).unwrap();
        assert_eq!(status.signal(), Some(Signal::TERM.as_raw()));
        let error = process.signal(Signal::TERM).unwrap_err().to_string();
        assert!(error.starts_with("it has ended (signal: 15"), "{error}");
    }

    #[test]
    fn an_end_is_noticed() {
        let mut command = command(Path::new("sh"));
        command.args(["-c", "exit 3"]);
        let mut process = Process::start(command).unwrap();
        assert_eq!(process.wait_within(SOON).unwrap().code(), Some(3));
    }
}
