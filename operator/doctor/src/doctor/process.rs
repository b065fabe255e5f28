//! Processes of the host: QEMUs and emulators, by their arguments.

use std::path::{Path, PathBuf};

use super::host::Host;

/// A process, as /proc shows it to everybody.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
    /// Its program and its arguments.
    pub(super) words: Vec<String>,
    /// R, S, T … (proc(5), /proc/pid/stat).
    state: char,
}

impl Process {
    /// Every process, by ascending id.
    pub(super) fn all(host: &Host) -> Vec<Self> {
        let names = host.names("/proc");
        let pids = names.iter().filter_map(|name| name.parse().ok());
        let mut processes: Vec<Self> = pids.filter_map(|pid| Self::of(host, pid)).collect();
        processes.sort_unstable_by_key(|process| process.pid);
        processes
    }

    pub(super) fn of(host: &Host, pid: u32) -> Option<Self> {
        let folder = Path::new("/proc").join(pid.to_string());
        let words = host.bytes(folder.join("cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words);
        let stat = host.text(folder.join("stat")).ok()?;
        // The name before it, in parentheses, may have any characters.
        let (_, rest) = stat.rsplit_once(')')?;
        Some(Self {
            pid,
            words: words
                .trim_end_matches('\0')
                .split('\0')
                .map(str::to_owned)
                .collect(),
            state: rest.trim_start().chars().next()?,
        })
    }

    /// The name of its program.
    pub(super) fn name(&self) -> &str {
        let program = self.words.first().map_or("", String::as_str);
        program.rsplit('/').next().unwrap_or(program)
    }

    /// Whether it was stopped by a signal, or is held by a debugger.
    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }

    /// The values of an option, as `--name VALUE` and `--name=VALUE`.
    pub(super) fn values<'a>(&'a self, option: &'a str) -> impl Iterator<Item = &'a str> {
        let words = self.words.iter().enumerate();
        words.filter_map(move |(index, word)| match word.strip_prefix(option)? {
            "" => self.words.get(index + 1).map(String::as_str),
            rest => rest.strip_prefix('='),
        })
    }

    pub(super) fn value<'a>(&'a self, option: &'a str) -> Option<&'a str> {
        self.values(option).next()
    }

    /// Whether it is this program's subcommand.
    pub(super) fn is_subcommand(&self, subcommand: &str) -> bool {
        self.name() == "vgpu-stub" && self.words.get(1).is_some_and(|word| word == subcommand)
    }

    /// Where one of its file descriptors leads; known to its own user and to
    /// root.
    pub(super) fn descriptor(&self, host: &Host, number: u32) -> Option<PathBuf> {
        host.link(format!("/proc/{}/fd/{number}", self.pid))
    }
}
