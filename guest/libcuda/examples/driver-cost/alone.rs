//! The same calls by the same library, whose records nobody reads meanwhile: its worker is a process of this machine, which
//! is stopped for as long as calls are measured. So the memory that they are written to is this program's alone.

use std::fs;
use std::path::PathBuf;

use libloading::Library;
use rustix::process::{Pid, Signal, kill_process};

use crate::cuda::{self, Cuda};

/// What workers are called, before the process of who started them.
const WORKER: &str = "vgpu:worker";

/// Calls before the worker is stopped: it looks for more, and does not sleep.
const AWAKE: usize = 50;

/// A session whose worker can be stopped.
pub(crate) struct Alone {
    pub(crate) cuda: Cuda,
    worker: Pid,
}

impl Alone {
    /// Opens a session by a copy of the library: it is another one, and has another session. The environment names a
    /// daemon of this machine, which has started this program.
    pub(crate) fn open(library: &Library) -> Self {
        let copy = std::env::temp_dir().join(format!("libcuda-alone-{}.so", std::process::id()));
        fs::copy(loaded(), &copy).unwrap();
        let opened = cuda::library(&copy);
        fs::remove_file(&copy).unwrap();
        // They have one name: another copy of it would be the same.
        let initialise = |of: &Library| {
            // SAFETY: it is not called.
            let symbol = unsafe { of.get::<unsafe extern "C" fn()>(b"cuInit") };
            *symbol.unwrap() as usize
        };
        assert_ne!(initialise(library), initialise(&opened));
        let cuda = Cuda::open(opened);
        let [worker] = workers()[..] else {
            panic!("{:?} in place of one worker", workers())
        };
        Self { cuda, worker }
    }

    /// Does something while the worker is stopped. It has done all that was sent before, and goes on afterwards.
    pub(crate) fn stopped<T>(&self, work: impl FnOnce(&Cuda) -> T) -> T {
        (0..AWAKE).for_each(|_| self.cuda.synchronize());
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

/// The file of the library that this process has.
fn loaded() -> PathBuf {
    let mapped = fs::read_to_string("/proc/self/maps").unwrap();
    let files = mapped
        .lines()
        .filter_map(|line| Some(&line[line.find('/')?..]));
    let mut files = files.filter(|it| it.contains("libcuda.so"));
    files.next().unwrap().into()
}

/// The workers of the daemon that has started this program.
fn workers() -> Vec<Pid> {
    let daemon = std::os::unix::process::parent_id().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let workers = processes.filter_map(|it| {
        let pid = it.file_name().to_str()?.parse().ok()?;
        let line = fs::read_to_string(it.path().join("cmdline")).ok()?;
        let words: Vec<_> = line.split_terminator('\0').collect();
        let ours = words.contains(&WORKER) && words.last() == Some(&&*daemon);
        ours.then(|| Pid::from_raw(pid)).flatten()
    });
    workers.collect()
}
