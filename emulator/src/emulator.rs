//! The model, shared by the threads of its process.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use vgpu_control::protocol::{Counters, Registers};
use vgpu_device::{Device, Host, Register, STATE_SIZE};

use crate::access::{Access, Kind, value};
use crate::log::Log;

/// A device that one thread serves to the guest while others look at it.
///
/// The lock is held while the model works, and never across a system call, so
/// a guest's access waits for nothing but another such moment.
#[derive(Debug)]
pub struct Emulator {
    state: Mutex<State>,
    trace: AtomicBool,
    log: Log,
}

#[derive(Debug)]
struct State {
    device: Device,
    counters: Counters,
    keep: Option<Box<dyn Keep>>,
}

impl State {
    fn keep(&mut self) {
        if let Some(keep) = &mut self.keep {
            keep.keep(&self.device.save());
        }
    }
}

/// Where a device's state goes after each change, before the guest hears that
/// its access is done.
pub trait Keep: Send + fmt::Debug {
    /// Keeps it. Called within the guest's access: it must return at once.
    fn keep(&mut self, state: &[u8; STATE_SIZE]);
}

impl Emulator {
    /// Serves this device. Its accesses go to `log` where they are traced.
    #[must_use]
    pub fn new(device: Device, trace: bool, log: Log) -> Self {
        Self {
            state: Mutex::new(State {
                device,
                counters: Counters::default(),
                keep: None,
            }),
            trace: AtomicBool::new(trace),
            log,
        }
    }

    /// Has the device's state kept from now on.
    #[must_use]
    pub fn with_keep(self, keep: Box<dyn Keep>) -> Self {
        let mut state = self.lock();
        state.keep = Some(keep);
        state.keep();
        drop(state);
        self
    }

    /// A guest's read of config space; any length and alignment.
    pub fn config_read(&self, offset: u16, data: &mut [u8]) {
        let mut state = self.lock();
        count(&mut state.counters.config_reads);
        state.device.config_read(offset, data);
        drop(state);
        self.show(Kind::ConfigRead, offset.into(), data, false);
    }

    /// A guest's write to config space; any length and alignment. `host` hears
    /// what follows from it.
    pub fn config_write(&self, offset: u16, data: &[u8], host: &mut dyn Host) {
        let mut state = self.lock();
        count(&mut state.counters.config_writes);
        let mut host = Resets { host, count: 0 };
        state.device.config_write(offset, data, &mut host);
        let resets = host.count;
        state.counters.resets = state.counters.resets.wrapping_add(resets);
        state.keep();
        drop(state);
        self.show(Kind::ConfigWrite, offset.into(), data, false);
        if resets > 0 {
            self.show_reset();
        }
    }

    /// A guest's read of BAR0; 0 where the device takes no such access.
    pub fn bar0_read(&self, offset: u64, data: &mut [u8]) {
        let mut state = self.lock();
        count(&mut state.counters.bar0_reads);
        let before = state.device.refused().reads;
        let read = state.device.bar0_read(offset, data.len());
        let refused = state.device.refused().reads != before;
        drop(state);
        data.fill(0);
        for (to, from) in data.iter_mut().zip(read.to_le_bytes()) {
            *to = from;
        }
        self.show(Kind::Bar0Read, offset, data, refused);
    }

    /// A guest's write to BAR0; changes nothing where the device takes no such
    /// access.
    pub fn bar0_write(&self, offset: u64, data: &[u8]) {
        let mut state = self.lock();
        count(&mut state.counters.bar0_writes);
        let before = state.device.refused().writes;
        state.device.bar0_write(offset, data.len(), value(data));
        let refused = state.device.refused().writes != before;
        state.keep();
        drop(state);
        self.show(Kind::Bar0Write, offset, data, refused);
    }

    /// Puts the device back to its power-on state.
    pub fn reset(&self, host: &mut dyn Host) {
        let mut state = self.lock();
        count(&mut state.counters.resets);
        state.device.reset(host);
        state.keep();
        drop(state);
        self.show_reset();
    }

    /// A VM has got the device, which is in its power-on state then.
    pub fn connected(&self, host: &mut dyn Host) {
        count(&mut self.lock().counters.connections);
        self.reset(host);
    }

    /// Whether the guest lets the device answer memory accesses.
    #[must_use]
    pub fn memory_decoded(&self) -> bool {
        self.lock().device.memory_decoded()
    }

    /// Size of BAR0 in bytes.
    #[must_use]
    pub fn bar0_size(&self) -> u32 {
        self.lock().device.bar0_size()
    }

    /// The registers of BAR0, all at one moment.
    #[must_use]
    pub fn registers(&self) -> Registers {
        let state = self.lock();
        let register = |register| state.device.register(register);
        Registers {
            command: register(Register::Command),
            status: register(Register::Status),
            data_offset: register(Register::DataOffset),
            data_length: register(Register::DataLength),
            request_id: register(Register::RequestId),
        }
    }

    /// The host's write of the Status register.
    pub fn set_status(&self, status: u32) {
        let mut state = self.lock();
        state.device.set_status(status);
        state.keep();
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let state = self.lock();
        let refused = state.device.refused();
        Counters {
            refused_reads: refused.reads,
            refused_writes: refused.writes,
            ..state.counters
        }
    }

    /// Whether accesses go to the log.
    #[must_use]
    pub fn traced(&self) -> bool {
        self.trace.load(Relaxed)
    }

    /// Shows accesses in the log from now on, or no longer.
    pub fn set_traced(&self, on: bool) {
        self.trace.store(on, Relaxed);
    }

    /// The log, for what else there is to say.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    fn show(&self, kind: Kind, offset: u64, data: &[u8], refused: bool) {
        if self.traced() {
            self.log.access(Access::new(kind, offset, data, refused));
        }
    }

    fn show_reset(&self) {
        if self.traced() {
            self.log.access(Access::RESET);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The model does not panic, and has no half-done state in between.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(counter: &mut u64) {
    *counter = counter.wrapping_add(1);
}

/// Counts what it passes on.
struct Resets<'a> {
    host: &'a mut dyn Host,
    count: u64,
}

impl Host for Resets<'_> {
    fn bar_mapped(&mut self, index: u8, range: Option<std::ops::Range<u64>>) {
        self.host.bar_mapped(index, range);
    }

    fn bus_master(&mut self, enabled: bool) {
        self.host.bus_master(enabled);
    }

    fn interrupt_raised(&mut self, vector: u16) {
        self.host.interrupt_raised(vector);
    }

    fn reset_done(&mut self) {
        count(&mut self.count);
        self.host.reset_done();
    }
}
