//! The same calls by the same library, whose records nobody reads meanwhile: its worker is a process of this machine, which
//! is stopped for as long as calls are measured. So the memory that they are written to is this program's alone.

use std::fs;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};

use crate::cuda::Cuda;

/// What workers of this machine are called.
const WORKER: &str = "vgpu:worker";

/// A session whose worker can be stopped.
pub(crate) struct Alone {
    pub(crate) cuda: Cuda,
    worker: Pid,
}

impl Alone {
    /// Opens a session by a copy of the library: it is another one, and has another session. The environment names a
    /// daemon of this machine.
    pub(crate) fn open() -> Self {
        let copy = std::env::temp_dir().join(format!("libcuda-alone-{}.so", std::process::id()));
        fs::copy(loaded(), &copy).unwrap();
        let before: Vec<_> = workers().collect();
        let cuda = Cuda::open(&copy);
        fs::remove_file(&copy).unwrap();
        let worker = workers().find(|it| !before.contains(it)).unwrap();
        Self { cuda, worker }
    }

    /// Does something while the worker is stopped. It has done all that was sent before, and goes on afterwards.
    pub(crate) fn stopped<T>(&self, work: impl FnOnce(&Cuda) -> T) -> T {
        self.cuda.synchronize();
        kill_process(self.worker, Signal::STOP).unwrap();
        while !self.is_stopped() {
            std::thread::yield_now();
        }
        let done = work(&self.cuda);
        kill_process(self.worker, Signal::CONT).unwrap();
        self.cuda.synchronize();
        done
    }

    fn is_stopped(&self) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/stat", self.worker.as_raw_pid()));
        // Its state follows its name.
        status.unwrap().split(") ").nth(1).unwrap().starts_with('T')
    }
}

/// The file of the library that this process has by its name.
fn loaded() -> PathBuf {
    // SAFETY: the library is the program's driver.
    let library = unsafe { libloading::Library::new("libcuda.so.1") }.unwrap();
    let mapped = fs::read_to_string("/proc/self/maps").unwrap();
    let mut files = mapped
        .lines()
        .filter_map(|line| line.find('/').map(|at| &line[at..]));
    let file = files.find(|it| it.contains("libcuda.so")).unwrap().into();
    drop(library);
    file
}

/// The workers of this machine.
fn workers() -> impl Iterator<Item = Pid> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.filter_map(|it| {
        let pid = it.file_name().to_str()?.parse().ok()?;
        let words = fs::read(it.path().join("cmdline")).ok()?;
        let named = words
            .split(|&byte| byte == 0)
            .any(|word| word == WORKER.as_bytes());
        named.then(|| Pid::from_raw(pid)).flatten()
    })
}
