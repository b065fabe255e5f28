//! A device with features: a guest shares its memory with a daemon's worker. The same tests for each attachment, by
//! [`features_tests`].

pub(crate) mod conformance;
pub(crate) mod ends;
pub(crate) mod hostile;
pub(crate) mod interrupts;
pub(crate) mod memory;
pub(crate) mod qtest_driver;
pub(crate) mod sharing;

use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Pid;
use serde_json::Value;
use vgpu_bed::daemon::{Daemon, ECHO};
use vgpu_bed::guest::GuestImage;
use vgpu_bed::machine::{Machine, MachineBuilder};
use vgpu_bed::ping::VGPU;

use super::{Place, environment};

/// How an attachment brings a device with features into machines.
pub(crate) trait FeaturesBed: Sized {
    /// What serves the device beside QEMU, until it is dropped.
    type Server;

    fn new() -> Result<Self>;

    /// Starts that, for channels that the daemon serves.
    fn serve(&self, daemon: &Daemon) -> Result<Self::Server>;

    /// The guest with [`VGPU`].
    fn image(&self) -> Result<GuestImage>;

    /// A machine with the device at a place.
    fn with_features(&self, server: &Self::Server, daemon: &Daemon, place: Place)
    -> MachineBuilder;

    /// The process that has the device.
    fn process(server: &Self::Server, machine: &Machine) -> Pid;

    /// Whether QEMU reaches the device by vfio.
    const BY_VFIO: bool;

    /// Whether nothing but the device makes that process's memory grow.
    const ALONE: bool;

    /// Ends what serves the device, where that is a process of its own; what it has logged.
    fn stop(server: &mut Self::Server) -> Result<String>;
}

/// A bed with a daemon, and a machine with a device whose channels that serves.
pub(crate) struct Started<B: FeaturesBed> {
    // Dropped, and so ended, in this order.
    pub(crate) machine: Machine,
    pub(crate) server: B::Server,
    pub(crate) daemon: Daemon,
    pub(crate) bed: B,
}

impl<B: FeaturesBed> Started<B> {
    pub(crate) fn new(place: Place) -> Result<Self> {
        let (bed, daemon) = (B::new()?, daemon()?);
        let server = bed.serve(&daemon)?;
        Ok(Self {
            machine: boot(&bed, &server, &daemon, place)?,
            server,
            daemon,
            bed,
        })
    }

    /// Has another machine in place of one that has ended.
    pub(crate) fn machine_anew(&mut self, place: Place) -> Result<()> {
        self.machine = boot(&self.bed, &self.server, &self.daemon, place)?;
        Ok(())
    }

    /// The process that has the device.
    pub(crate) fn process(&self) -> Pid {
        B::process(&self.server, &self.machine)
    }
}

/// A machine with the device that boots the guest.
pub(crate) fn boot<B: FeaturesBed>(
    bed: &B,
    server: &B::Server,
    daemon: &Daemon,
    place: Place,
) -> Result<Machine> {
    let machine = bed.with_features(server, daemon, place);
    machine.image(&FeaturesBed::image(bed)?).start()
}

pub(crate) fn daemon() -> Result<Daemon> {
    daemon_with(ECHO)
}

pub(crate) fn daemon_with(engine: &str) -> Result<Daemon> {
    let programs = environment("VGPU_STUB_CUDA_PROGRAMS")?;
    Daemon::start(&programs.join("vgpud"), engine)
}

/// The tests that every attachment has to pass, or those that are named, on this bed.
macro_rules! features_tests {
    ($bed:ty) => {
        $crate::common::features::features_tests! { $bed:
            sharing {
                a_guest_shares_its_memory_on_q35: a_guest_shares_its_memory(Q35),
                a_guest_shares_its_memory_on_pc: a_guest_shares_its_memory(Pc),
            }
            conformance {
                pc_conforms: conforms(Pc),
                q35_conforms: conforms(Q35),
                a_root_port_conforms: conforms(RootPort),
            }
            ends {
                of_a_guest_that_is_reset: of_a_guest_that_is_reset(Q35),
                of_a_driver_whose_device_is_reset: of_a_driver_whose_device_is_reset(Pc),
                of_a_worker: of_a_worker(Q35),
                of_a_daemon: of_a_daemon(Pc),
                of_a_daemon_that_another_follows: of_a_daemon_that_another_follows(Q35),
            }
            interrupts {
                of_the_mailbox_on_pc: of_the_mailbox(Pc),
                of_the_mailbox_on_q35: of_the_mailbox(Q35),
            }
            hostile {
                a_hostile_driver_on_q35: withstands(Q35),
                a_hostile_driver_on_pc: withstands(Pc),
            }
        }
    };
    ($bed:ty: $($module:ident { $($name:ident: $test:ident($place:ident),)* })*) => {
        $(mod $module {
            use $crate::common::{Place, features};

            $(#[test]
            fn $name() -> anyhow::Result<()> {
                features::$module::$test::<$bed>(Place::$place)
            })*
        })*
    };
}
pub(crate) use features_tests;

/// What of a measurement is about data.
const STREAMS: [&str; 2] = ["to_host", "to_guest"];

/// What `vgpu ping` measured, in which all was well.
pub(crate) fn ping(machine: &mut Machine, arguments: &str) -> Result<Value> {
    let command = format!("{VGPU} ping --json {arguments}");
    let said = machine.guest()?.run_within(&command, MEASURED)?;
    println!("{}{}", said.stdout, said.stderr);
    let found: Value = serde_json::from_str(&said.success()?)?;
    let none = |of: &str, what: &str| found[of].is_null() || found[of][what] == 0;
    ensure!(none("parks", "late"), "a wake-up was late");
    for stream in STREAMS {
        ensure!(none(stream, "wrong"), "data was wrong");
    }
    Ok(found)
}

/// How long a measurement may take, on a busy machine or in a soak.
const MEASURED: Duration = Duration::from_secs(600);

/// Enough to see that it works.
pub(crate) const LITTLE: &str = "--region 4M --bytes 4M --count 100 --parks 2";
