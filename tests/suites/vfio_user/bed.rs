//! A server, and machines of stock QEMU with its device.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use vgpu_bed::cache::Cache;
use vgpu_bed::firmware::Firmware;
use vgpu_bed::guest::GuestImage;
use vgpu_bed::machine::{Machine, MachineBuilder};
use vgpu_bed::server::{Server, qemu_device};
use vgpu_bed::steps::Steps;
use vgpu_conformance::Identity;
use vgpu_control::Client;
use vgpu_control::protocol::{Counters, Registers};

use crate::common::{
    Place, environment, image, image_with_cuda, image_with_driver, image_with_driver_on,
    image_with_driver_sanitized,
};

/// What every test here needs.
pub(crate) struct Bed {
    pub(crate) qemu: PathBuf,
    pub(crate) program: PathBuf,
    cache: Cache,
    steps: Steps,
}

impl Bed {
    pub(crate) fn new() -> Result<Self> {
        let cache = Cache::open()?;
        let steps = Steps::new(&cache.dir("logs/tests")?)?;
        Ok(Self {
            qemu: environment("VGPU_STUB_STOCK_QEMU")?,
            program: environment("VGPU_STUB_PROGRAMS")?.join("vgpu-stub"),
            cache,
            steps,
        })
    }

    /// The server, with a control socket.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Result<Served> {
        let folder = tempfile::Builder::new().prefix("vgpu-stub-").tempdir()?;
        let control = folder.path().join("control.sock");
        let arguments = ["--control".into(), control.clone().into_os_string()]
            .into_iter()
            .chain(arguments.iter().map(Into::into));
        Ok(Served {
            server: Server::start(&self.program, arguments)?,
            control,
            _folder: folder,
        })
    }

    pub(crate) fn steps(&self) -> &Steps {
        &self.steps
    }

    /// The guest with the project's programs.
    pub(crate) fn image(&self) -> Result<GuestImage> {
        image(&self.cache, &self.steps)
    }

    /// The guest with what uses a device with features.
    pub(crate) fn image_with_cuda(&self) -> Result<GuestImage> {
        image_with_cuda(&self.cache, &self.steps)
    }

    /// The same with the driver for it.
    pub(crate) fn image_with_driver(&self) -> Result<GuestImage> {
        image_with_driver(&self.cache, &self.steps)
    }

    /// The same on the kernel of another release.
    pub(crate) fn image_with_driver_on(&self, release: &str, headers: &str) -> Result<GuestImage> {
        image_with_driver_on(release, headers, &self.cache, &self.steps)
    }

    /// The same on a kernel that checks itself.
    pub(crate) fn image_with_driver_sanitized(&self) -> Result<GuestImage> {
        image_with_driver_sanitized(&self.cache, &self.steps)
    }

    /// The firmware of the project's own QEMU.
    pub(crate) fn seabios(&self) -> Result<Firmware> {
        Firmware::seabios(&self.cache, &self.steps)
    }

    /// A machine with the device at `place`.
    pub(crate) fn machine(&self, served: &Served, place: Place) -> MachineBuilder {
        self.machine_with(served, place, &[])
    }

    /// The same with more properties of QEMU's device.
    pub(crate) fn machine_with(
        &self,
        served: &Served,
        place: Place,
        properties: &[(&str, Value)],
    ) -> MachineBuilder {
        let machine = MachineBuilder::new(&self.qemu, place.machine(), &Firmware::own());
        place
            .port()
            .into_iter()
            .fold(machine, MachineBuilder::device)
            .device(&device(served.server.socket(), place, properties))
            .shared_memory()
    }

    /// A machine with the device that boots the guest.
    pub(crate) fn boot(&self, served: &Served, place: Place) -> Result<Machine> {
        self.machine(served, place).image(&self.image()?).start()
    }
}

/// QEMU's device for a server's socket.
fn device(socket: &Path, place: Place, properties: &[(&str, Value)]) -> String {
    let placed = place.properties().chain([("id", "vgpu".into())]);
    let mut all = properties.to_vec();
    for (name, value) in placed {
        all.push((name, value));
    }
    qemu_device(socket, &all)
}

/// The default device at `place`, as stock QEMU shows it.
pub(crate) fn identity(place: Place) -> Identity {
    Identity {
        by_vfio: true,
        ..place.identity()
    }
}

/// A running server.
pub(crate) struct Served {
    pub(crate) server: Server,
    pub(crate) control: PathBuf,
    _folder: tempfile::TempDir,
}

impl Served {
    pub(crate) fn control(&self) -> Result<Client> {
        Client::connect(&self.control, Duration::from_secs(10)).context("control socket")
    }

    pub(crate) fn registers(&self) -> Result<Registers> {
        Ok(self.control()?.registers(0)?)
    }

    pub(crate) fn counters(&self) -> Result<Counters> {
        Ok(self.control()?.counters(0)?)
    }
}
