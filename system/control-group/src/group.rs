//! A group of processes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use crate::Error;

/// What all processes of a group may have together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of memory; `None`: as much as there is.
    pub memory: Option<u64>,
    /// Processes and their threads.
    pub tasks: u32,
}

/// A group. It stays when this value goes: [`Self::remove`] removes it.
#[derive(Clone, Debug)]
pub struct Group {
    pub(crate) path: PathBuf,
    pub(crate) controllers: Vec<&'static str>,
}

impl Group {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sets its bounds. What its processes have they keep, but for memory, which the kernel takes back or ends one of them.
    ///
    /// # Errors
    /// The system refuses.
    pub fn set(&self, bounds: Bounds) -> Result<(), Error> {
        let max = || "max".to_owned();
        for (controller, file, value) in [
            (
                "memory",
                "memory.max",
                bounds.memory.map_or_else(max, |it| it.to_string()),
            ),
            ("pids", "pids.max", bounds.tasks.to_string()),
        ] {
            if self.controllers.contains(&controller) {
                let file = self.path.join(file);
                fs::write(&file, value).map_err(Error::cannot("set", &file))?;
            }
        }
        Ok(())
    }

    /// Moves a process into it, with all its threads. What it starts later is there from the beginning.
    ///
    /// # Errors
    /// The system refuses: the process is gone, or the group is full.
    pub fn add(&self, process: u32) -> Result<(), Error> {
        let moved = fs::write(self.path.join("cgroup.procs"), process.to_string());
        moved.map_err(Error::cannot("move a process into", &self.path))
    }

    /// The processes that are in it.
    ///
    /// # Errors
    /// The system refuses, or it is gone.
    pub fn processes(&self) -> Result<Vec<u32>, Error> {
        let text = fs::read_to_string(self.path.join("cgroup.procs"));
        let text = text.map_err(Error::cannot("look into", &self.path))?;
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// Kills all that is in it, at once where the kernel can (Linux 5.14).
    ///
    /// # Errors
    /// The system refuses, or it is gone.
    pub fn kill(&self) -> Result<(), Error> {
        let file = self.path.join("cgroup.kill");
        if fs::exists(&file).unwrap_or(false) {
            return fs::write(&file, "1").map_err(Error::cannot("kill", &self.path));
        }
        for process in self.processes()? {
            let process = i32::try_from(process).ok().and_then(Pid::from_raw);
            if let Some(process) = process {
                // It may be gone by now.
                let _ = kill_process(process, Signal::KILL);
            }
        }
        Ok(())
    }

    /// Removes it. One that is gone already is removed.
    ///
    /// # Errors
    /// A process is still in it, or the system refuses.
    pub fn remove(&self) -> Result<(), Error> {
        match fs::remove_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(Error::cannot("remove", &self.path)),
        }
    }
}
