//! The model, shared by the threads of its process.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use vgpu_device::{Device, Effects, HostState, MailboxInUse, Refused, Register};

use crate::access::{Access, Kind, value};
use crate::counters::Counters;
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

/// How much of the device's state a change can have touched.
#[derive(Clone, Copy)]
enum Touched {
    All,
    /// What is behind an access to BAR0 of this offset and size.
    Bar0(u64, usize),
}

impl State {
    /// Counts and keeps a change, the one place for all of them.
    fn changed(&mut self, effects: &Effects, touched: Touched) {
        if effects.reset {
            count(&mut self.counters.resets);
        }
        let Some(keep) = &mut self.keep else {
            return;
        };
        match touched {
            Touched::Bar0(offset, size) if !effects.reset => {
                if let Some((at, part)) = self.device.saved_access(offset, size) {
                    return keep.keep(at, part);
                }
            }
            Touched::All | Touched::Bar0(..) => {}
        }
        keep.keep(0, &self.device.save());
    }
}

/// Where a device's state goes after each change, before the guest hears that
/// its access is done.
pub trait Keep: Send + fmt::Debug {
    /// Keeps a part of the [saved state](Device::save), which begins at byte `offset` of it; what was kept of the rest is as it
    /// was. The first call has all of it. Called within the guest's access: it must return at once.
    fn keep(&mut self, offset: usize, part: &[u8]);
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
        state.changed(&Effects::default(), Touched::All);
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

    /// A guest's write to config space; any length and alignment.
    pub fn config_write(&self, offset: u16, data: &[u8]) -> Effects {
        let mut state = self.lock();
        count(&mut state.counters.config_writes);
        let effects = state.device.config_write(offset, data);
        state.changed(&effects, Touched::All);
        drop(state);
        self.show(Kind::ConfigWrite, offset.into(), data, false);
        self.show_reset(&effects);
        effects
    }

    /// A guest's read of BAR0; 0 where the device takes no such access. Where
    /// the guest has switched memory decode off, nobody answers on the bus: it
    /// reads all ones, and nothing is counted or shown.
    pub fn bar0_read(&self, offset: u64, data: &mut [u8]) {
        let mut state = self.lock();
        if !state.device.memory_decoded() {
            return data.fill(0xff);
        }
        count(&mut state.counters.bar0_reads);
        let read = state.device.bar0_read(offset, data.len());
        if read.is_err() {
            count(&mut state.counters.refused_reads);
        }
        drop(state);
        data.fill(0);
        for (to, from) in data.iter_mut().zip(read.unwrap_or(0).to_le_bytes()) {
            *to = from;
        }
        self.show(Kind::Bar0Read, offset, data, read.is_err());
    }

    /// A guest's write to BAR0; changes nothing where the device takes no such
    /// access, or the guest has switched memory decode off.
    pub fn bar0_write(&self, offset: u64, data: &[u8]) -> Effects {
        let mut state = self.lock();
        if !state.device.memory_decoded() {
            return Effects::default();
        }
        count(&mut state.counters.bar0_writes);
        let written = state.device.bar0_write(offset, data.len(), value(data));
        match &written {
            Ok(effects) => state.changed(effects, Touched::Bar0(offset, data.len())),
            Err(Refused) => count(&mut state.counters.refused_writes),
        }
        drop(state);
        self.show(Kind::Bar0Write, offset, data, written.is_err());
        let effects = written.unwrap_or_default();
        self.show_reset(&effects);
        effects
    }

    /// Puts the device back to its power-on state.
    pub fn reset(&self) -> Effects {
        let mut state = self.lock();
        let effects = state.device.reset();
        state.changed(&effects, Touched::All);
        drop(state);
        self.show_reset(&effects);
        effects
    }

    /// A VM has got the device, which is in its power-on state then.
    pub fn connected(&self) -> Effects {
        count(&mut self.lock().counters.connections);
        self.reset()
    }

    /// Size of BAR0 in bytes.
    #[must_use]
    pub fn bar0_size(&self) -> u32 {
        self.lock().device.bar0_size()
    }

    /// The registers of BAR0 with their values, all at one moment.
    #[must_use]
    pub fn registers(&self) -> [(Register, u32); Register::ALL.len()] {
        let state = self.lock();
        Register::ALL.map(|register| (register, state.device.register(register)))
    }

    /// The host's write of the Status register.
    ///
    /// # Errors
    ///
    /// If a driver is present.
    pub fn set_status(&self, status: u32) -> Result<Effects, MailboxInUse> {
        let mut state = self.lock();
        let effects = state.device.set_status(status)?;
        state.changed(&effects, Touched::All);
        Ok(effects)
    }

    /// [`Device::complete`].
    pub fn complete(&self, number: u32, result: Result<Option<u32>, u16>) -> Effects {
        self.by_host(|device| device.complete(number, result))
    }

    /// [`Device::set_host_state`].
    pub fn set_host_state(&self, host: HostState, revoked: u32) -> Effects {
        self.by_host(|device| device.set_host_state(host, revoked))
    }

    /// [`Device::channel_lost`].
    pub fn channel_lost(&self) -> Effects {
        self.by_host(Device::channel_lost)
    }

    /// [`Device::memory_lost`].
    pub fn memory_lost(&self) -> Effects {
        self.by_host(Device::memory_lost)
    }

    fn by_host(&self, act: impl FnOnce(&mut Device) -> Effects) -> Effects {
        let mut state = self.lock();
        let effects = act(&mut state.device);
        state.changed(&effects, Touched::All);
        effects
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.lock().counters
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

    fn show_reset(&self, effects: &Effects) {
        if effects.reset && self.traced() {
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
