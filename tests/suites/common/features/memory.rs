//! Who has a guest's memory: by a mapping, or by a descriptor.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, geteuid};
use vgpu_bed::machine::Machine;

/// How the file is called that QEMU makes of `memory-backend-memfd`.
const NAME: &str = "/memfd:memory-backend-memfd";

/// The memory of a machine: the file that it lies in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GuestRam {
    inode: u64,
}

/// A process has a file mapped where a line of its maps has this: the inode before the name (proc_pid_maps(5)).
fn inode_of(line: &str) -> Option<u64> {
    line.split_ascii_whitespace().nth(4)?.parse().ok()
}

impl GuestRam {
    pub(crate) fn of(machine: &Machine) -> Result<Self> {
        let maps = fs::read_to_string(format!("/proc/{}/maps", machine.pid()))?;
        let line = maps.lines().find(|line| line.contains(NAME));
        let inode = line.and_then(inode_of);
        Ok(Self {
            inode: inode.context("QEMU has no such memory")?,
        })
    }

    /// The processes that have some of it mapped.
    pub(crate) fn mapped_by(self) -> Vec<Pid> {
        let has = |process: &PathBuf| {
            let maps = fs::read_to_string(process.join("maps")).unwrap_or_default();
            maps.lines()
                .any(|line| line.contains(NAME) && inode_of(line) == Some(self.inode))
        };
        processes()
            .filter(|(_, path)| has(path))
            .map(|(pid, _)| pid)
            .collect()
    }

    /// The processes that have its file open.
    fn opened_by(self) -> Vec<Pid> {
        let is_it = |file: &PathBuf| {
            let named = fs::read_link(file).is_ok_and(|it| it.to_string_lossy().starts_with(NAME));
            named && fs::metadata(file).is_ok_and(|it| it.ino() == self.inode)
        };
        let has = |process: &PathBuf| {
            let files = fs::read_dir(process.join("fd"))
                .into_iter()
                .flatten()
                .flatten();
            files.map(|file| file.path()).any(|file| is_it(&file))
        };
        processes()
            .filter(|(_, path)| has(path))
            .map(|(pid, _)| pid)
            .collect()
    }

    /// Whether nobody has it but these processes, QEMU and the one that has the device: they, by descriptors alone, all the time.
    pub(crate) fn is_only_with(self, qemu: Option<Pid>, server: Option<Pid>) -> bool {
        let mapped = self.mapped_by().into_iter().all(|pid| Some(pid) == qemu);
        let opened = self.opened_by();
        mapped
            && opened
                .into_iter()
                .all(|pid| [qemu, server].contains(&Some(pid)))
    }

    /// That a test of it can fail: while records flow, a worker has it. It keeps its memory to itself, so root alone sees that.
    pub(crate) fn ensure_mapped_by(self, worker: Pid) -> Result<()> {
        let all = self.mapped_by();
        let seen = all.contains(&worker) || !geteuid().is_root();
        ensure!(seen, "worker {worker} has none of it: {all:?}");
        Ok(())
    }
}

/// All processes, with their folders. Those that end meanwhile have nothing.
fn processes() -> impl Iterator<Item = (Pid, PathBuf)> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        Some((Pid::from_raw(pid)?, entry.path()))
    })
}

/// How many descriptors a process has open.
pub(crate) fn descriptors(pid: Pid) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}
