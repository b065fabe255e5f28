//! The engines that a worker may have: one row each.

use std::os::fd::OwnedFd;

use vgpu_engine::Engine;
use vgpu_engine_cpu::{Config, CpuEngine};
use vgpu_engine_null::NullEngine;
use vgpu_worker::{Options, log, serve};

use crate::Cuda;

/// Makes an engine whose device memory has addresses from the first on, and up
/// to the second.
pub type MakeEngine = Box<dyn FnOnce((u64, u64)) -> Box<dyn Engine>>;

/// A kind of engine.
#[derive(Clone, Copy, Debug)]
pub struct EngineKind {
    /// What `--engine` calls it.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// Gets ready to make one, in a worker that is not in its sandbox yet: here
    /// libraries are loaded and devices are opened. The error says why there is
    /// none. `None` where this build has no such engine.
    prepare: Option<fn() -> Result<MakeEngine, String>>,
}

/// All kinds; the first is the default.
pub const ENGINES: [EngineKind; 3] = [
    EngineKind {
        name: "cpu",
        about: "executes PTX on all processors, and checks every access to memory",
        prepare: Some(cpu),
    },
    EngineKind {
        name: "nvidia",
        about: "an NVIDIA GPU, by the driver of this machine",
        prepare: None,
    },
    EngineKind {
        name: "null",
        about: "memory is real, kernels do nothing: for tests and measurements",
        prepare: Some(null),
    },
];

/// Device memory of the null engine, in bytes: as a large GPU has.
const NULL_MEMORY: u64 = 80 << 30;

fn cpu() -> Result<MakeEngine, String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Box::new(move |addresses| {
        Box::new(CpuEngine::new(&Config {
            addresses,
            threads,
            ..Config::default()
        }))
    }))
}

fn null() -> Result<MakeEngine, String> {
    Ok(Box::new(|(first, last)| {
        Box::new(NullEngine::new(NULL_MEMORY, first, last))
    }))
}

impl EngineKind {
    /// The kind of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        ENGINES.iter().find(|kind| kind.name == name)
    }

    /// Whether this build has it.
    #[must_use]
    pub const fn is_built(&self) -> bool {
        self.prepare.is_some()
    }

    /// A worker of a daemon, from its socket to its end; gives the process's
    /// status. `daemon` is the number of the process that started this one.
    #[must_use]
    pub fn worker(&self, socket: OwnedFd, daemon: i32) -> i32 {
        let prepared = self.prepare.map(|prepare| prepare());
        let make = match prepared {
            Some(Ok(make)) => make,
            Some(Err(why)) => {
                log(why);
                return 1;
            }
            None => {
                log(format_args!("this build has no engine `{}`", self.name));
                return 1;
            }
        };
        let options = Options {
            parent: rustix::process::Pid::from_raw(daemon),
            ..Options::default()
        };
        let served = serve(socket, &options, Cuda::new(make));
        if let Err(error) = &served {
            log(error);
        }
        i32::from(served.is_err())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_name_of_its_own_and_the_default_is_built() {
        for kind in &ENGINES {
            let named = ENGINES.iter().filter(|other| other.name == kind.name);
            assert_eq!(named.count(), 1, "{}", kind.name);
        }
        assert!(ENGINES[0].is_built());
        assert!(EngineKind::named("cuda").is_none());
    }
}
