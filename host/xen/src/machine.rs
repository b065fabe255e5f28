//! The devices of one domain, and what they answer to its requests.

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;

use rustix::io::Errno;
use vgpu_device::Effects;
use vgpu_pci::Slot;
use vgpu_runtime::Emulator;
use xen_dm::device_model::Range as IoRange;
use xen_dm::ioreq::{Kind, Request};

use crate::hypervisor::Hypervisor;
use crate::mapping::{Journal, Mapping};

/// What a read gives that nobody answers.
const NOBODY: u64 = u64::MAX;

/// Repeats of one request, at most: Xen makes them within a page.
pub(crate) const MAX_COUNT: u32 = 4096;

/// The devices of a domain.
#[derive(Debug)]
pub(crate) struct Machine {
    devices: Vec<Placed>,
}

/// A device in its slot.
#[derive(Debug)]
pub(crate) struct Placed {
    slot: Slot,
    emulator: Arc<Emulator>,
    /// The addresses that the guest wants BAR0 to answer.
    wanted: Option<Range<u64>>,
    /// Whether Xen sends accesses there.
    mapped: bool,
    /// Where the change of a mapping is written down while it is made.
    journal: Box<dyn Journal>,
}

impl Placed {
    /// A device that was here before, with what Xen may have mapped for it.
    pub(crate) fn new(
        slot: Slot,
        emulator: Arc<Emulator>,
        wanted: Option<Range<u64>>,
        journal: Box<dyn Journal>,
    ) -> Self {
        Self {
            slot,
            emulator,
            wanted,
            mapped: false,
            journal,
        }
    }

    fn unmap(&mut self, hypervisor: &mut dyn Hypervisor) {
        if let (true, Some(range)) = (self.mapped, io_range(self.wanted.as_ref())) {
            if let Err(errno) = hypervisor.map(range, false) {
                self.say(format!("cannot unmap {range:x?}: {errno}"));
            }
            self.mapped = false;
        }
    }

    fn say(&self, text: String) {
        self.emulator.log().guest_event(text);
    }
}

impl Machine {
    pub(crate) fn new(devices: Vec<Placed>) -> Self {
        Self { devices }
    }

    /// Brings Xen's mappings in line with what the devices want. `left` are
    /// the mappings that a dead server has left, in the order of the devices.
    ///
    /// Where the guest has put one BAR0 over another, Xen had one of them. It
    /// does not tell which, so that is settled again, in the order of the
    /// devices.
    pub(crate) fn take_over(&mut self, hypervisor: &mut dyn Hypervisor, left: &[Mapping]) {
        let overlaps: Vec<_> = self
            .devices
            .iter()
            .map(|it| self.overlaps(it, left))
            .collect();
        let mut stale = Vec::new();
        for ((device, left), overlaps) in self.devices.iter().zip(left).zip(&overlaps) {
            let ranges = [&left.old, &left.new].into_iter().flatten();
            stale.extend(ranges.filter(|it| *overlaps || Some(*it) != device.wanted.as_ref()));
        }
        // Xen has a set of addresses, not of ranges: a small one taken out of a large one would split it, and then the large
        // one is not to be had as a whole.
        stale.sort_by_key(|range| Reverse(range.end.saturating_sub(range.start)));
        for range in stale.into_iter().filter_map(|it| io_range(Some(it))) {
            // It may have been unmapped already.
            let _ = hypervisor.map(range, false);
        }
        for (device, overlaps) in self.devices.iter_mut().zip(overlaps) {
            if let Some(range) = io_range(device.wanted.as_ref()) {
                device.mapped = match hypervisor.map(range, true) {
                    Ok(()) => true,
                    // The dead server had mapped it.
                    Err(Errno::EXIST) => !overlaps,
                    Err(_) => false,
                };
            }
            device.journal.note(&Mapping {
                old: None,
                new: device.wanted.clone(),
            });
        }
    }

    /// Whether another device wants addresses that this one wants, or has left some.
    fn overlaps(&self, device: &Placed, left: &[Mapping]) -> bool {
        let others = self.devices.iter().zip(left);
        let mut theirs = others
            .filter(|(other, _)| other.slot != device.slot)
            .flat_map(|(other, left)| [&other.wanted, &left.old, &left.new])
            .flatten();
        device
            .wanted
            .as_ref()
            .is_some_and(|own| theirs.any(|it| own.start < it.end && it.start < own.end))
    }

    /// Does what a request asks for, and returns the value that it reads.
    pub(crate) fn emulate(
        &mut self,
        hypervisor: &mut dyn Hypervisor,
        request: &Request,
    ) -> Option<u64> {
        match request.kind {
            Kind::PciConfig | Kind::Memory => self.access(hypervisor, request),
            // No mapping of guest memory outlives its request, so there is
            // nothing to forget.
            Kind::Invalidate => None,
            Kind::Port | Kind::TimeOffset | Kind::Other(_) => request.read.then_some(NOBODY),
        }
    }

    fn access(&mut self, hypervisor: &mut dyn Hypervisor, request: &Request) -> Option<u64> {
        let size = match request.size {
            size @ (1 | 2 | 4 | 8) => size as usize,
            _ => return request.read.then_some(NOBODY),
        };
        if request.count > MAX_COUNT {
            return request.read.then_some(NOBODY);
        }
        let mut value = request.data;
        for index in 0..request.count {
            let offset = u64::from(index).wrapping_mul(size as u64);
            let step = |from: u64| match request.backwards {
                true => from.wrapping_sub(offset),
                false => from.wrapping_add(offset),
            };
            // A port is the same each time, and so is the register behind it.
            let address = match request.kind {
                Kind::Memory => step(request.address),
                _ => request.address,
            };
            let mut bytes = value.to_le_bytes();
            let data = bytes.get_mut(..size).unwrap_or_default();
            let pointer = step(request.data);
            if request.read {
                self.read(request.kind, address, data);
                if request.data_is_pointer {
                    // The guest loses what it has no memory for.
                    let _ = hypervisor.write_guest(pointer, data);
                } else {
                    value = vgpu_runtime::value(data);
                }
            } else {
                if request.data_is_pointer && hypervisor.read_guest(pointer, data).is_err() {
                    data.fill(0xff);
                }
                self.write(hypervisor, request.kind, address, data);
            }
        }
        (request.read && !request.data_is_pointer).then_some(value)
    }

    fn read(&self, kind: Kind, address: u64, data: &mut [u8]) {
        match self.find(kind, address) {
            Some((device, Place::Config(offset))) => device.emulator.config_read(offset, data),
            Some((device, Place::Bar0(offset))) => device.emulator.bar0_read(offset, data),
            None => data.fill(0xff),
        }
    }

    fn write(&mut self, hypervisor: &mut dyn Hypervisor, kind: Kind, address: u64, data: &[u8]) {
        let Some((device, place)) = self.find(kind, address) else {
            return;
        };
        let effects = match place {
            Place::Bar0(offset) => device.emulator.bar0_write(offset, data),
            Place::Config(offset) => device.emulator.config_write(offset, data),
        };
        let slot = device.slot;
        self.act(hypervisor, slot, effects);
    }

    /// Does what follows from a change of a device.
    fn act(&mut self, hypervisor: &mut dyn Hypervisor, slot: Slot, effects: Effects) {
        let Effects {
            bar0,
            // It reaches no guest memory on its own.
            bus_master: _,
            // All that it has here is its mapping.
            reset: _,
            // It has no features here.
            doorbell: _,
            request: _,
            interrupt: _,
            revoke: _,
        } = effects;
        let mut range = None;
        if bar0.update(&mut range) {
            self.move_bar0(hypervisor, slot, range);
        }
    }

    /// Follows a BAR0 that the guest has moved, enabled or disabled. Another
    /// device's may become free to be mapped by that.
    fn move_bar0(
        &mut self,
        hypervisor: &mut dyn Hypervisor,
        slot: Slot,
        range: Option<Range<u64>>,
    ) {
        if let Some(device) = self.devices.iter_mut().find(|device| device.slot == slot)
            && device.wanted != range
        {
            device.journal.note(&Mapping {
                old: device.wanted.clone(),
                new: range.clone(),
            });
            device.unmap(hypervisor);
            device.wanted = range;
        }
        for device in &mut self.devices {
            if device.mapped {
                continue;
            }
            let Some(range) = io_range(device.wanted.as_ref()) else {
                continue;
            };
            match hypervisor.map(range, true) {
                Ok(()) => device.mapped = true,
                // The guest has put it over another device of ours.
                Err(errno) => device.say(format!(
                    "slot {:#04x}: BAR0 cannot be mapped at {range:x?}: {errno}",
                    u8::from(device.slot)
                )),
            }
        }
        if let Some(device) = self.devices.iter_mut().find(|device| device.slot == slot) {
            let new = device.wanted.clone();
            device.journal.note(&Mapping { old: None, new });
        }
    }

    /// The device that an address belongs to, and where in it.
    fn find(&self, kind: Kind, address: u64) -> Option<(&Placed, Place)> {
        match kind {
            Kind::Memory => self.devices.iter().find_map(|device| {
                let range = device.wanted.as_ref().filter(|_| device.mapped)?;
                let offset = address.checked_sub(range.start)?;
                range
                    .contains(&address)
                    .then_some((device, Place::Bar0(offset)))
            }),
            _ => {
                let function = address >> 32;
                let register = u16::try_from(address & 0xffff_ffff).ok()?;
                self.devices
                    .iter()
                    .find(|device| u64::from(u8::from(device.slot)) << 3 == function)
                    .map(|device| (device, Place::Config(register)))
            }
        }
    }
}

/// Where in a device an access goes.
enum Place {
    Config(u16),
    Bar0(u64),
}

/// Xen's ranges include their last address.
fn io_range(range: Option<&Range<u64>>) -> Option<IoRange> {
    let range = range.filter(|range| !range.is_empty())?;
    Some(IoRange::Memory {
        first: range.start,
        last: range.end.saturating_sub(1),
    })
}
