//! What the control socket's clients get: the host's side of the device.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use vgpu_control::Service;
use vgpu_control::protocol::{Counters, Error, Greeting, Info, Registers};
use vgpu_device::DeviceConfig;
use vgpu_emulator::Emulator;

/// The process has one device.
const DEVICES: u32 = 1;

/// The process, as its control socket shows it.
#[derive(Debug)]
pub(crate) struct Control {
    emulator: Arc<Emulator>,
    config: DeviceConfig,
    started: Instant,
    /// Whether a VM has the device.
    pub(crate) connected: Cell<bool>,
    /// Whether a client asked for the end.
    pub(crate) shutdown: Cell<bool>,
}

impl Control {
    pub(crate) fn new(emulator: Arc<Emulator>, config: DeviceConfig) -> Self {
        Self {
            emulator,
            config,
            started: Instant::now(),
            connected: Cell::new(false),
            shutdown: Cell::new(false),
        }
    }

    fn emulator(&self, device: u32) -> Result<&Emulator, Error> {
        if device < DEVICES {
            Ok(&self.emulator)
        } else {
            Err(Error::no_such_device(device, DEVICES))
        }
    }
}

impl Service for Control {
    fn greeting(&self) -> Greeting {
        Greeting::new("vfio-user", env!("CARGO_PKG_VERSION"), DEVICES)
    }

    fn registers(&self, device: u32) -> Result<Registers, Error> {
        Ok(self.emulator(device)?.registers())
    }

    fn set_status(&self, device: u32, value: u32) -> Result<(), Error> {
        self.emulator(device)?.set_status(value);
        Ok(())
    }

    fn counters(&self, device: u32) -> Result<Counters, Error> {
        Ok(self.emulator(device)?.counters())
    }

    fn trace_access(&self, device: u32, on: bool) -> Result<(), Error> {
        self.emulator(device)?.set_traced(on);
        Ok(())
    }

    fn info(&self, device: u32) -> Result<Info, Error> {
        let emulator = self.emulator(device)?;
        Ok(Info {
            connected: self.connected.get(),
            trace_access: emulator.traced(),
            uptime_seconds: self.started.elapsed().as_secs(),
            vendor_id: self.config.vendor_id.into(),
            device_id: self.config.device_id.into(),
            subsystem_vendor_id: self.config.subsystem_vendor_id.into(),
            subsystem_id: self.config.subsystem_id.into(),
            revision: self.config.revision,
            bar0_size: emulator.bar0_size(),
        })
    }

    fn shutdown(&self) -> Result<(), Error> {
        self.shutdown.set(true);
        Ok(())
    }
}
