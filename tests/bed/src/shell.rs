//! A shell that takes lines as a user types them, one after the other.

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};

/// How long a line may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(20);

/// A shell, whose children end with it.
#[derive(Debug)]
pub struct Shell {
    shell: Child,
    folder: tempfile::TempDir,
    count: u32,
}

impl Shell {
    /// Starts `command`, which becomes a shell. `folder` holds what lines print, and is a folder of that shell too, by the
    /// same path.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(mut command: Command, folder: tempfile::TempDir) -> Result<Self> {
        let shell = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("stderr"))?)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {command:?}"))?;
        Ok(Self {
            shell,
            folder,
            count: 0,
        })
    }

    /// Types a line, waits until the shell takes the next one, and returns what it printed.
    ///
    /// # Errors
    /// When it fails, with what it printed; or takes more than a minute and a half; or the shell is gone.
    pub fn run(&mut self, line: &str) -> Result<String> {
        self.count += 1;
        let path = |what: &str| self.folder.path().join(format!("{}.{what}", self.count));
        let (output, done) = (path("output"), path("done"));
        let input = self.shell.stdin.as_mut().context("no shell")?;
        let (out, end) = (output.display(), done.display());
        write!(
            input,
            "{{ {line}\n}} >{out} 2>&1 </dev/null\necho $? >{end}.new; mv {end}.new {end}\n"
        )?;
        let deadline = Instant::now() + LIMIT;
        while !done.exists() {
            let said = || fs::read_to_string(&output).unwrap_or_default();
            if let Some(status) = self.shell.try_wait()? {
                let why = fs::read_to_string(self.folder.path().join("stderr"))?;
                bail!("the shell ended ({status}): {why}{}", said());
            }
            ensure!(Instant::now() < deadline, "no end: {line}\n{}", said());
            thread::sleep(POLL);
        }
        let said = fs::read_to_string(&output)?;
        let status = fs::read_to_string(&done)?;
        let status = status.trim();
        ensure!(status == "0", "{line}\nfailed ({status}): {said}");
        Ok(said)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Both fail only where there is nothing left to end.
        let _ = kill_process_group(Pid::from_child(&self.shell), Signal::KILL);
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(program: &str) -> Shell {
        Shell::start(Command::new(program), tempfile::tempdir().unwrap()).unwrap()
    }

    #[test]
    fn lines_follow_each_other() {
        let mut shell = shell("sh");
        shell.run("word=hello").unwrap();
        assert_eq!(
            shell.run("echo $word; read line").unwrap_err().to_string(),
            "echo $word; read line\nfailed (1): hello\n"
        );
        assert_eq!(shell.run("echo still").unwrap(), "still\n");
    }

    #[test]
    fn the_end_of_the_shell_is_an_error() {
        let error = shell("false").run("true");
        assert!(error.is_err(), "{error:?}");
    }

    #[test]
    fn what_it_started_ends_with_it() {
        let mut shell = shell("sh");
        let pid = shell.run("sleep 60 & echo $!").unwrap();
        drop(shell);
        let stat = format!("/proc/{}/stat", pid.trim());
        // It may be nobody's yet, and dead.
        let dead = || fs::read_to_string(&stat).map_or(true, |state| state.contains(") Z "));
        let deadline = Instant::now() + Duration::from_secs(20);
        while !dead() {
            assert!(Instant::now() < deadline, "it lives");
            thread::sleep(Duration::from_millis(10));
        }
    }
}
