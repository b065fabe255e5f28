//! The engines that a worker may have: one row each.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Pid, getuid};
use vgpu_engine_cpu::{Config, CpuEngine};
use vgpu_engine_null::NullEngine;
use vgpu_engine_nvidia::{Config as DriverConfig, Device};
use vgpu_gate::Gate;
use vgpu_installed::Machine;
use vgpu_sandbox::{Policy, become_user};
use vgpu_worker::{
    CHANNEL_POLICY, DRIVER_POLICY, FilesKept, Options, POLICY, Service, keep_driver_files, log,
    serve, serve_channel,
};

use crate::cuda::{Cuda, MakeEngine};
use crate::echo::Echo;
use crate::shared::SharedGate;
use crate::tuning::Tuning;

/// What does the work, and what its process may do then.
struct Prepared {
    /// `None`: no CUDA is executed.
    make: Option<MakeEngine>,
    /// `None`: what any worker may that serves such an attachment.
    policy: Option<&'static Policy>,
    files: Option<FilesKept>,
    /// Whether the worker never sleeps.
    awake: bool,
}

impl Prepared {
    /// For what opens nothing.
    fn alone(make: Option<MakeEngine>) -> Self {
        Self {
            make,
            policy: None,
            files: None,
            awake: false,
        }
    }
}

/// A kind of engine.
#[derive(Clone, Copy, Debug)]
pub struct EngineKind {
    /// What `--engine` calls it.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// Gets ready to make one, in a worker that is not in its sandbox yet: here
    /// libraries are loaded and devices are opened. The error says why there is
    /// none.
    prepare: fn(&Tuning) -> Result<Prepared, String>,
}

/// What serves a virtual machine's channel beside [`ENGINES`], though it executes no CUDA: it proves the way there.
pub const ECHOES: [EngineKind; 2] = [
    EngineKind {
        name: "echo",
        about: "no CUDA: sends back what it gets, and hashes memory, for tests of the way to a guest",
        prepare: |_| Ok(Prepared::alone(None)),
    },
    EngineKind {
        name: "echo-awake",
        about: "the same, and never sleeps: a processor for each channel, for measurements",
        prepare: |_| {
            Ok(Prepared {
                awake: true,
                ..Prepared::alone(None)
            })
        },
    },
];

/// All kinds that execute CUDA; the first is the default.
pub const ENGINES: [EngineKind; 4] = [
    EngineKind {
        name: "cpu",
        about: "executes PTX on all processors, and checks every access to memory",
        prepare: |tuning| cpu(tuning, false),
    },
    EngineKind {
        name: "cpu-racecheck",
        about: "as cpu, and a kernel ends where its threads race in shared memory; slower",
        prepare: |tuning| cpu(tuning, true),
    },
    EngineKind {
        name: "nvidia",
        about: "an NVIDIA GPU, by the driver of this machine",
        prepare: |_| nvidia(&installed()),
    },
    EngineKind {
        name: "null",
        about: "memory is real, kernels do nothing: for tests and measurements",
        prepare: null,
    },
];

/// Device memory of the null engine, in bytes: as the CPU engine has, so that a
/// program that takes all of it leaves its worker what that needs (`POLICY`).
const NULL_MEMORY: u64 = 4 << 30;

fn cpu(tuning: &Tuning, race_check: bool) -> Result<Prepared, String> {
    let usual = Config::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let config = Config {
        memory: tuning.memory.unwrap_or(usual.memory),
        threads,
        race_check,
        kernel: tuning.kernel,
        ..usual
    };
    let make: MakeEngine = Box::new(move |addresses| {
        Ok(Box::new(CpuEngine::new(&Config {
            addresses,
            ..config
        })))
    });
    Ok(Prepared::alone(Some(make)))
}

fn null(tuning: &Tuning) -> Result<Prepared, String> {
    let memory = tuning.memory.unwrap_or(NULL_MEMORY);
    let make: MakeEngine =
        Box::new(move |(first, last)| Ok(Box::new(NullEngine::new(memory, first, last))));
    Ok(Prepared::alone(Some(make)))
}

/// The driver of this machine. By its name the linker may find our own library,
/// where that was put before it.
fn installed() -> DriverConfig {
    let usual = DriverConfig::default();
    let others = Machine::new("/").others();
    DriverConfig {
        library: others.into_iter().next().unwrap_or(usual.library),
        ..usual
    }
}

/// Opens the device while files can be opened, but no others than the driver's.
fn nvidia(config: &DriverConfig) -> Result<Prepared, String> {
    config.check().map_err(|error| error.to_string())?;
    let files = keep_driver_files(&config.library).map_err(|error| {
        format!("{error}\na worker with NVIDIA's driver needs it; use the CPU engine elsewhere")
    })?;
    let device = Device::open(config).map_err(|error| error.to_string())?;
    let make: MakeEngine = Box::new(move |addresses| {
        let engine = device.engine(addresses)?;
        engine.remarks().iter().for_each(log);
        Ok(Box::new(engine))
    });
    Ok(Prepared {
        make: Some(make),
        policy: Some(&DRIVER_POLICY),
        files: Some(files),
        awake: false,
    })
}

/// The worker's end of its gate, which the daemon gave it as its standard output. Nothing that is written there later, as
/// by a driver, is to reach the daemon.
fn gate() -> Result<SharedGate, String> {
    let told = |error: &dyn std::fmt::Display| format!("no gate: {error}");
    let stdout = std::io::stdout();
    let socket = stdout.as_fd().try_clone_to_owned();
    let socket = socket.map_err(|error| told(&error))?;
    let nowhere = File::options().write(true).open("/dev/null");
    let nowhere = nowhere.map_err(|error| told(&error))?;
    rustix::stdio::dup2_stdout(nowhere).map_err(|error| told(&error))?;
    let gate = Gate::connect(socket).map_err(|error| told(&error))?;
    Ok(SharedGate::new(gate))
}

/// Whose commands a worker executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// A program's on this machine.
    Local,
    /// Those of a channel of a virtual machine's guest.
    Channel,
}

/// A worker with a driver that is elsewhere than [`ENGINES`] looks for it;
/// otherwise as [`EngineKind::worker`].
#[must_use]
pub fn worker_with_driver(socket: OwnedFd, daemon: i32, config: &DriverConfig) -> i32 {
    run(|| nvidia(config), Attachment::Local, socket, daemon, None)
}

fn run(
    prepare: impl FnOnce() -> Result<Prepared, String>,
    attachment: Attachment,
    socket: OwnedFd,
    daemon: i32,
    user: Option<u32>,
) -> i32 {
    let daemon_user = user.map(|_| getuid().as_raw());
    let prepared = || {
        let user = user.map(become_user).transpose();
        let user = user.map_err(|error| error.to_string())?;
        Ok::<_, String>((user, gate()?, prepare()?))
    };
    let (user, gate, prepared) = match prepared() {
        Ok(prepared) => prepared,
        Err(why) => {
            log(why);
            return 1;
        }
    };
    let (service, shared): (Box<dyn Service>, _) = match prepared.make {
        Some(make) => (Box::new(Cuda::new(make).behind(gate.clone())), Some(gate)),
        None => (Box::new(Echo), None),
    };
    let options = Options {
        parent: Pid::from_raw(daemon),
        policy: prepared.policy.unwrap_or(match attachment {
            Attachment::Local => &POLICY,
            Attachment::Channel => &CHANNEL_POLICY,
        }),
        files: prepared.files,
        awake: prepared.awake,
        user,
        daemon_user,
        ..Options::default()
    };
    let served = match attachment {
        Attachment::Local => serve(socket, &options, service),
        Attachment::Channel => {
            if let Some(gate) = &shared {
                gate.outlive();
            }
            // What shares no engine needs no gate.
            let reconnect = move |socket| shared.as_ref().map_or(Ok(()), |it| it.reconnect(socket));
            serve_channel(socket, &options, service, reconnect)
        }
    };
    if let Err(error) = &served {
        log(error);
    }
    i32::from(served.is_err())
}

impl EngineKind {
    /// The kind of a name, [`ECHOES`] among them.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        let mut all = ENGINES.iter().chain(&ECHOES);
        all.find(|kind| kind.name == name)
    }

    /// A worker of a daemon, from its socket to its end; gives the process's
    /// status. `daemon` is the number of the process that started this one.
    #[must_use]
    pub fn worker(&self, attachment: Attachment, socket: OwnedFd, daemon: i32) -> i32 {
        self.tuned_worker(&Tuning::default(), attachment, socket, daemon, None)
    }

    /// The same, with an engine that is not as usual, and as a user that this process, which is root's, first becomes.
    #[must_use]
    pub fn tuned_worker(
        &self,
        tuning: &Tuning,
        attachment: Attachment,
        socket: OwnedFd,
        daemon: i32,
        user: Option<u32>,
    ) -> i32 {
        run(|| (self.prepare)(tuning), attachment, socket, daemon, user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_name_of_its_own() {
        for kind in ENGINES.iter().chain(&ECHOES) {
            let named = ENGINES.iter().chain(&ECHOES);
            let named = named.filter(|other| other.name == kind.name);
            assert_eq!(named.count(), 1, "{}", kind.name);
        }
        assert!(EngineKind::named("cuda").is_none());
    }
}
