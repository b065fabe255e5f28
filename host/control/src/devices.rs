//! What the control socket's clients get: the host's side of the devices.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use vgpu_device::{DeviceConfig, Effects};
use vgpu_runtime::Emulator;

use crate::Service;
use crate::attachment::Attachment;
use crate::protocol::{Counters, Error, Greeting, Info, Registers};

/// The devices of a process, as its control socket shows them.
#[derive(Debug)]
pub struct Devices {
    attachment: Attachment,
    /// With their configurations; a request names one by its place here.
    devices: Vec<(DeviceConfig, Arc<Emulator>)>,
    started: Instant,
    connected: Cell<bool>,
    shutdown: Cell<bool>,
}

impl Devices {
    /// These devices, which get into VMs by `attachment`.
    #[must_use]
    pub fn new(attachment: Attachment, devices: Vec<(DeviceConfig, Arc<Emulator>)>) -> Self {
        Self {
            attachment,
            devices,
            started: Instant::now(),
            connected: Cell::new(false),
            shutdown: Cell::new(false),
        }
    }

    /// Whether a VM has the devices.
    pub fn set_connected(&self, connected: bool) {
        self.connected.set(connected);
    }

    /// Whether a client asked for the end.
    #[must_use]
    pub fn shutdown_requested(&self) -> bool {
        self.shutdown.get()
    }

    fn count(&self) -> u32 {
        u32::try_from(self.devices.len()).unwrap_or(u32::MAX)
    }

    fn device(&self, device: u32) -> Result<&(DeviceConfig, Arc<Emulator>), Error> {
        usize::try_from(device)
            .ok()
            .and_then(|device| self.devices.get(device))
            .ok_or_else(|| Error::no_such_device(device, self.count()))
    }

    fn emulator(&self, device: u32) -> Result<&Emulator, Error> {
        self.device(device).map(|(_, emulator)| &**emulator)
    }
}

impl Service for Devices {
    fn greeting(&self) -> Greeting {
        Greeting::new(
            self.attachment.name(),
            env!("CARGO_PKG_VERSION"),
            self.count(),
        )
    }

    fn registers(&self, device: u32) -> Result<Registers, Error> {
        Ok(Registers::new(&self.emulator(device)?.registers()))
    }

    fn set_status(&self, device: u32, value: u32) -> Result<(), Error> {
        let set = self.emulator(device)?.set_status(value);
        let Effects {
            // They come of config space and of BAR0's guest, not of Status; only the guest's thread could act on them.
            bar0: _,
            bus_master: _,
            reset: _,
            doorbell: _,
            request: _,
            interrupt: _,
            revoke: _,
        } = set.map_err(|error| {
            Error::new(error.to_string(), "leave it to the driver in the guest")
        })?;
        Ok(())
    }

    fn counters(&self, device: u32) -> Result<Counters, Error> {
        Ok(self.emulator(device)?.counters().into())
    }

    fn trace_access(&self, device: u32, on: bool) -> Result<(), Error> {
        self.emulator(device)?.set_traced(on);
        Ok(())
    }

    fn info(&self, device: u32) -> Result<Info, Error> {
        let (config, emulator) = self.device(device)?;
        Ok(Info {
            connected: self.connected.get(),
            trace_access: emulator.traced(),
            uptime_seconds: self.started.elapsed().as_secs(),
            vendor_id: config.vendor_id.into(),
            device_id: config.device_id.into(),
            subsystem_vendor_id: config.subsystem_vendor_id.into(),
            subsystem_id: config.subsystem_id.into(),
            revision: config.revision,
            bar0_size: emulator.bar0_size(),
        })
    }

    fn shutdown(&self) -> Result<(), Error> {
        self.shutdown.set(true);
        Ok(())
    }
}
