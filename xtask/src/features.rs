//! A guest that shares its memory with the host: `vgpud`, a server whose device has features, and a stock QEMU.

use std::path::PathBuf;

use anyhow::Result;
use vgpu_bed::cache::Cache;
use vgpu_bed::daemon::{Daemon, ECHO};
use vgpu_bed::firmware::Firmware;
use vgpu_bed::guest::GuestImage;
use vgpu_bed::machine::{Machine, MachineBuilder, MachineType};
use vgpu_bed::server::{Server, qemu_device};
use vgpu_bed::steps::Steps;
use vgpu_bed::stock_qemu::StockQemu;
use vgpu_bed::{ping, process};

use crate::{checkout, programs};

/// What runs in the guest and on the host.
pub(crate) struct Programs {
    pub(crate) stub: PathBuf,
    vgpu: PathBuf,
    vgpud: PathBuf,
}

impl Programs {
    /// Builds them, `vgpu` and `vgpud` with a profile of cargo's.
    ///
    /// # Errors
    ///
    /// One does not build.
    pub(crate) fn build(profile: &str, steps: &Steps) -> Result<Self> {
        steps.step("Build vgpu and vgpud", |step| {
            let mut cargo = process::cargo();
            cargo
                .current_dir(checkout())
                .args(["build", "--profile", profile])
                .args(["--package", "vgpu-command", "--bin", "vgpu"])
                .args(["--package", "vgpud", "--bin", "vgpud"]);
            step.run(&mut cargo)
        })?;
        let built = process::target(checkout()).join(profile);
        Ok(Self {
            stub: programs::build(steps)?,
            vgpu: built.join("vgpu"),
            vgpud: built.join("vgpud"),
        })
    }

    /// The guest with `vgpu`.
    ///
    /// # Errors
    ///
    /// What it has of Debian cannot be fetched.
    pub(crate) fn image(&self, cache: &Cache, steps: &Steps) -> Result<GuestImage> {
        ping::image(&self.vgpu, &[], cache, steps)
    }
}

/// A machine and who serves its channels.
pub(crate) struct Host {
    // Dropped, and so ended, in this order.
    pub(crate) machine: Machine,
    pub(crate) server: Server,
    pub(crate) daemon: Daemon,
}

impl Host {
    /// Starts all of it; the guest still boots then.
    ///
    /// # Errors
    ///
    /// One of them does not start.
    pub(crate) fn start(
        programs: &Programs,
        qemu: &StockQemu,
        machine: MachineType,
        image: &GuestImage,
    ) -> Result<Self> {
        let daemon = Daemon::start(&programs.vgpud, ECHO)?;
        let server = Server::start(&programs.stub, daemon.arguments())?;
        let machine = MachineBuilder::new(&qemu.path, machine, &Firmware::own())
            .shared_memory()
            .device(&qemu_device(server.socket(), &[]))
            .image(image)
            .start()?;
        Ok(Self {
            machine,
            server,
            daemon,
        })
    }
}
