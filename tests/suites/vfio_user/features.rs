//! A device with features, through a stock QEMU.

mod driver;
mod kills;
mod sanitized;
mod saved;
mod smi;

use anyhow::Result;
use rustix::process::Pid;
use vgpu_bed::daemon::Daemon;
use vgpu_bed::guest::GuestImage;
use vgpu_bed::machine::{Machine, MachineBuilder};

use crate::bed::{Bed, Served};
use crate::common::Place;
use crate::common::features::{FeaturesBed, boot, features_tests};

impl FeaturesBed for Bed {
    type Server = Served;

    fn new() -> Result<Self> {
        Self::new()
    }

    fn serve(&self, daemon: &Daemon) -> Result<Served> {
        self.serve(&daemon.arguments().each_ref().map(String::as_str))
    }

    fn image(&self) -> Result<GuestImage> {
        self.image_with_cuda()
    }

    fn with_features(&self, served: &Served, _: &Daemon, place: Place) -> MachineBuilder {
        self.machine(served, place)
    }

    fn process(served: &Served, _: &Machine) -> Pid {
        served.server.pid()
    }

    const BY_VFIO: bool = true;

    const ALONE: bool = true;

    fn stop(served: &mut Served) -> Result<String> {
        served.server.stop()?;
        Ok(served.server.log())
    }
}

features_tests!(crate::bed::Bed);

/// A server whose device has channels, and a machine with it.
fn start(bed: &Bed, daemon: &Daemon, place: Place) -> Result<(Served, Machine)> {
    let served = FeaturesBed::serve(bed, daemon)?;
    let machine = boot(bed, &served, daemon, place)?;
    Ok((served, machine))
}
