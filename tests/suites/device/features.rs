//! A device with features, in QEMU itself.

mod kills;
mod memory;
mod saved;

use anyhow::Result;
use rustix::process::Pid;
use vgpu_bed::daemon::Daemon;
use vgpu_bed::guest::GuestImage;
use vgpu_bed::machine::{Machine, MachineBuilder};

use crate::bed::Bed;
use crate::common::features::{FeaturesBed, features_tests};
use crate::common::{Place, image_with_cuda};

impl FeaturesBed for Bed {
    type Server = ();

    fn new() -> Result<Self> {
        Self::new()
    }

    fn serve(&self, _: &Daemon) -> Result<()> {
        Ok(())
    }

    fn image(&self) -> Result<GuestImage> {
        image_with_cuda(&self.cache, &self.steps)
    }

    fn with_features(&self, (): &(), daemon: &Daemon, place: Place) -> MachineBuilder {
        let properties = format!(",{}", daemon.properties());
        self.with_device(place, &properties).shared_memory()
    }

    fn process((): &(), machine: &Machine) -> Pid {
        machine.pid()
    }

    const BY_VFIO: bool = false;

    // It emulates processors as well.
    const ALONE: bool = false;

    fn stop((): &mut ()) -> Result<String> {
        Ok(String::new())
    }
}

features_tests!(crate::bed::Bed);
