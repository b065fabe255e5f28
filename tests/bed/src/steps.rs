//! Steps that a user waits for: a bar on a terminal, plain lines elsewhere, and a log file of each.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use vgpu_terminal::{Failure, LogEnd};

/// How many lines of its log a failed step shows.
const TAIL_LINES: usize = 12;
/// How many characters of each: the command line of a linker has many thousand.
const TAIL_WIDTH: usize = 240;
/// How often a step says that it still works, where there is no terminal.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Reports the steps of one run on stderr, and keeps their logs in one folder.
#[derive(Debug)]
pub struct Steps {
    log_dir: PathBuf,
    terminal: bool,
}

/// A step in progress.
#[derive(Debug)]
pub struct Step {
    name: String,
    log_path: PathBuf,
    state: Mutex<State>,
    bar: Option<ProgressBar>,
    started: Instant,
}

#[derive(Debug)]
struct State {
    log: File,
    tail: VecDeque<String>,
}

impl Steps {
    /// Steps with their logs in `log_dir`, which is made when it is missing.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(log_dir: &Path) -> Result<Self> {
        fs::create_dir_all(log_dir)
            .with_context(|| format!("cannot make the log folder {}", log_dir.display()))?;
        Ok(Self {
            log_dir: log_dir.to_path_buf(),
            terminal: io::stderr().is_terminal(),
        })
    }

    /// Does `work` as the step `name`, a short phrase in the imperative ("Build QEMU 7.2").
    ///
    /// # Errors
    /// The error of `work`, with the step's name, the end of its log, and where the log is.
    pub fn step<T>(&self, name: &str, work: impl FnOnce(&Step) -> Result<T>) -> Result<T> {
        let step = Step::start(name, &self.log_dir, self.terminal)?;
        let result = if self.terminal {
            work(&step)
        } else {
            thread::scope(|scope| {
                let (done, ended) = mpsc::channel::<()>();
                scope.spawn({
                    let step = &step;
                    move || {
                        while ended.recv_timeout(HEARTBEAT) == Err(RecvTimeoutError::Timeout) {
                            step.heartbeat();
                        }
                    }
                });
                let result = work(&step);
                drop(done);
                result
            })
        };
        step.finish(result)
    }
}

impl Step {
    fn start(name: &str, log_dir: &Path, terminal: bool) -> Result<Self> {
        let log_path = log_dir.join(file_name(name));
        let log = File::create(&log_path)
            .with_context(|| format!("cannot make {}", log_path.display()))?;
        let bar = if terminal {
            let bar = ProgressBar::new_spinner().with_prefix(name.to_string());
            bar.set_style(style("{spinner} {prefix} [{elapsed}] {wide_msg:.dim}"));
            bar.enable_steady_tick(Duration::from_millis(100));
            Some(bar)
        } else {
            eprintln!("==> {name}");
            None
        };
        Ok(Self {
            name: name.to_string(),
            log_path,
            state: Mutex::new(State {
                log,
                tail: VecDeque::new(),
            }),
            bar,
            started: Instant::now(),
        })
    }

    /// Adds `text`, a line, to the log, and shows it as what the step is at.
    pub fn say(&self, text: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk must not hide what the step itself says.
        let _ = writeln!(state.log, "{text}");
        if text.trim().is_empty() {
            return;
        }
        if state.tail.len() == TAIL_LINES {
            state.tail.pop_front();
        }
        state
            .tail
            .push_back(text.chars().take(TAIL_WIDTH).collect());
        if let Some(bar) = &self.bar {
            let mut message = text;
            if let Some((done, total, what)) = ninja_progress(text) {
                if bar.length().is_none() {
                    bar.set_style(style(
                        "{spinner} {prefix} [{elapsed}] {bar:25} {pos}/{len} {wide_msg:.dim}",
                    ));
                }
                bar.set_length(total);
                bar.set_position(done);
                message = what;
            }
            bar.set_message(message.trim().to_string());
        }
    }

    /// Runs `command` with its output in the log, and no input.
    ///
    /// # Errors
    /// When it cannot be started, or fails.
    pub fn run(&self, command: &mut Command) -> Result<()> {
        self.say(&command_line(command));
        let (reader, writer) = io::pipe()?;
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let child = command.spawn().with_context(|| cannot_run(command));
        // `command` holds the pipe's write end, without which the reader sees the end of the output.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = child?;
        let read = self.log_lines(reader);
        if read.is_err() {
            let _ = child.kill();
        }
        let status = child.wait()?;
        read?;
        if !status.success() {
            bail!("{} failed ({status})", program(command));
        }
        Ok(())
    }

    /// Runs `command` with its standard error in the log and no input, and returns its standard output.
    ///
    /// # Errors
    /// When it cannot be started, or fails, or prints other than UTF-8.
    pub fn output(&self, command: &mut Command) -> Result<String> {
        self.say(&command_line(command));
        let output = command
            .stdin(Stdio::null())
            .output()
            .with_context(|| cannot_run(command))?;
        self.log_lines(output.stderr.as_slice())?;
        if !output.status.success() {
            bail!("{} failed ({})", program(command), output.status);
        }
        String::from_utf8(output.stdout)
            .with_context(|| format!("{} printed no UTF-8", program(command)))
    }

    fn log_lines(&self, output: impl Read) -> Result<()> {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line)? > 0 {
            self.say(String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
        Ok(())
    }

    fn heartbeat(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = state.tail.back().map_or("", String::as_str).trim();
        eprintln!("    {} … {}", elapsed(self.started), newest);
    }

    fn finish<T>(self, result: Result<T>) -> Result<T> {
        let time = elapsed(self.started);
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let terminal = self.bar.is_some();
        match result {
            Ok(value) => {
                if terminal {
                    eprintln!("✓ {} ({time})", self.name);
                } else {
                    eprintln!("    done in {time}");
                }
                Ok(value)
            }
            Err(error) => {
                if terminal {
                    eprintln!("✗ {} ({time})", self.name);
                } else {
                    eprintln!("    failed after {time}");
                }
                let state = self
                    .state
                    .into_inner()
                    .unwrap_or_else(PoisonError::into_inner);
                let log = LogEnd {
                    path: self.log_path,
                    lines: state.tail.into(),
                };
                Err(Failure::in_step(&self.name, &error, log).into())
            }
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates in this file are valid")
}

/// Takes a line as ninja prints it apart: `[12/345] Compiling x.o`.
fn ninja_progress(line: &str) -> Option<(u64, u64, &str)> {
    let (progress, what) = line.strip_prefix('[')?.split_once(']')?;
    let (done, total) = progress.split_once('/')?;
    Some((done.parse().ok()?, total.parse().ok()?, what))
}

/// "Build QEMU 7.2" as the name of a log file: `build-qemu-7.2.log`.
fn file_name(step: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '.' {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    step.chars().take(100).map(plain).collect::<String>() + ".log"
}

fn elapsed(since: Instant) -> String {
    let time = since.elapsed();
    match time.as_secs() {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn command_line(command: &Command) -> String {
    let arguments = command
        .get_args()
        .map(|argument| format!(" {}", argument.to_string_lossy()));
    format!("+ {}{}", program(command), arguments.collect::<String>())
}

fn cannot_run(command: &Command) -> String {
    format!("cannot run {}", program(command))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;
    use vgpu_terminal::describe;

    fn steps() -> (tempfile::TempDir, Steps) {
        let dir = tempfile::tempdir().unwrap();
        let steps = Steps::new(&dir.path().join("logs")).unwrap();
        (dir, steps)
    }

    #[test]
    fn a_failed_command_shows_its_last_lines_and_its_log() {
        let (dir, steps) = steps();
        let error = steps
            .step("Try the shell", |step| {
                let script = "seq 100; printf '%09999d\\n' 0; echo no such luck >&2; exit 3";
                step.run(Command::new("sh").args(["-c", script]))
            })
            .unwrap_err();
        let text = describe(&error);
        let log = dir.path().join("logs/try-the-shell.log");
        assert!(
            text.starts_with("error: Try the shell: sh failed (exit status: 3)\n"),
            "{text}"
        );
        assert!(text.contains("    | 100\n    | 000"), "{text}");
        assert!(text.contains("    | no such luck\n"), "{text}");
        assert!(text.len() < 1000, "a long line belongs in the log alone");
        assert!(
            text.contains(&format!("\nlog:   {}\nmend:  ", log.display())),
            "{text}"
        );
        assert!(
            !text.contains("| 80\n"),
            "only the end belongs in the message: {text}"
        );
        assert!(fs::read_to_string(log).unwrap().contains("\n80\n"));
    }

    #[test]
    fn a_missing_program_is_named() {
        let (_dir, steps) = steps();
        let error = steps
            .step("Try", |step| step.run(&mut Command::new("no-such-program")))
            .unwrap_err();
        assert!(
            describe(&error).starts_with("error: Try: cannot run no-such-program: No such file")
        );
    }

    #[test]
    fn output_is_returned_and_errors_are_logged() {
        let (_dir, steps) = steps();
        let script = "echo out; echo err >&2; exit $0";
        let run =
            |step: &Step, status| step.output(Command::new("sh").args(["-c", script, status]));
        assert_eq!(steps.step("Try", |step| run(step, "0")).unwrap(), "out\n");
        let text = describe(&steps.step("Try", |step| run(step, "1")).unwrap_err());
        assert!(text.contains("    | err\n"), "{text}");
    }

    #[test]
    fn the_value_and_the_error_of_the_work_pass_through() {
        let (_dir, steps) = steps();
        assert_eq!(steps.step("Count", |_| Ok(7)).unwrap(), 7);
        let error = steps
            .step("Count", |_| Err::<(), _>(anyhow!("cannot count")))
            .unwrap_err();
        assert_eq!(error.to_string(), "Count: cannot count");
    }

    #[test]
    fn the_progress_of_ninja_is_understood() {
        assert_eq!(
            ninja_progress("[12/345] Compiling C object x.o"),
            Some((12, 345, " Compiling C object x.o"))
        );
        assert_eq!(ninja_progress("[1/2"), None);
        assert_eq!(ninja_progress("ninja: no work to do."), None);
    }
}
