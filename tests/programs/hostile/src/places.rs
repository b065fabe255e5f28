//! Where BAR0 is put: over everything that the guest's physical address space
//! has below 4 GiB. Memory there wins over a BAR, and interrupt controllers and
//! timers do, on every hypervisor; a guest that tries does not hurt itself.

use std::fs::{self, File};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustix::fs::{Mode, OFlags, open};
use vgpu_conformance::guest::Address;

use crate::window::Window;

/// Places that a guest's list of its address space may lack.
const FIXED: [u32; 8] = [
    0x0000_0000, // memory's first byte
    0x000a_0000, // VGA's
    0x000f_0000, // the firmware's
    0xfec0_0000, // the I/O APIC
    0xfed0_0000, // the HPET
    0xfee0_0000, // the local APICs
    0xff00_0000, // the firmware's flash, where there is one
    0xffff_f000, // the last page below 4 GiB
];

/// A page, and the smallest BAR.
pub(crate) const PAGE: u32 = 0x1000;
/// How far apart the places are that are tried for a hole.
const STEP: u32 = 0x1_0000;

/// Where BAR0 is put, and what is accessed there.
#[derive(Debug)]
pub(crate) struct Places {
    /// Where the BAR may go.
    pub(crate) addresses: Vec<u32>,
    /// BAR0 where it was, an address range that no device has, and the
    /// memory of devices without a driver, which are read only.
    pub(crate) windows: Vec<Arc<Window>>,
}

impl Places {
    /// Looks around.
    ///
    /// # Errors
    ///
    /// BAR0 cannot be mapped.
    pub(crate) fn find(device: Address, home: u32) -> Result<Self> {
        let ranges = ranges(&fs::read_to_string("/proc/iomem").context("no /proc/iomem")?);
        let own = resource(&device.sysfs(), 0, true)
            .context("BAR0 cannot be mapped; is a driver using the device, are you root?")?;
        ensure!(own.size() >= PAGE as usize, "BAR0 is less than a page");

        let mut addresses: Vec<u32> = FIXED.to_vec();
        addresses.extend(ranges.iter().map(|range| *range.start() & !(PAGE - 1)));
        let mut windows = vec![own];
        if let Some(hole) = hole(&ranges, home) {
            addresses.extend([hole, hole + PAGE]);
            // Two pages, so that accesses reach over the BAR's ends.
            windows.extend(physical(hole, 2 * PAGE as usize));
        }
        windows.extend(neighbours(device)?);
        addresses.sort_unstable();
        addresses.dedup();
        let windows = windows.into_iter().map(Arc::new).collect();
        Ok(Self { addresses, windows })
    }
}

/// All ranges below 4 GiB of a text like /proc/iomem that something uses; not
/// the windows of buses, which only say where devices may be.
fn ranges(iomem: &str) -> Vec<RangeInclusive<u32>> {
    let range = |line: &str| {
        let (range, name) = line.trim().split_once(" : ")?;
        let (first, last) = range.split_once('-')?;
        let parse = |text| u32::from_str_radix(text, 16).ok();
        (!name.starts_with("PCI Bus")).then_some(parse(first)?..=parse(last)?)
    };
    iomem.lines().filter_map(range).collect()
}

/// Two pages near `home` that nothing uses.
fn hole(ranges: &[RangeInclusive<u32>], home: u32) -> Option<u32> {
    (1..256)
        .filter_map(|step| (home & !(STEP - 1)).checked_sub(step * STEP))
        .find(|at| {
            let last = at + 2 * PAGE - 1;
            ranges
                .iter()
                .all(|range| last < *range.start() || *at > *range.end())
        })
}

/// Guest-physical memory. Kernels refuse some of it.
pub(crate) fn physical(address: u32, size: usize) -> Option<Window> {
    let flags = OFlags::RDWR | OFlags::SYNC | OFlags::CLOEXEC;
    let memory = open("/dev/mem", flags, Mode::empty()).ok()?;
    Window::map(&File::from(memory), address.into(), size, true).ok()
}

/// Memory BARs of devices that no driver uses.
fn neighbours(device: Address) -> Result<Vec<Window>> {
    let own = device.to_string();
    let mut windows = Vec::new();
    for entry in fs::read_dir("/sys/bus/pci/devices").context("no PCI")? {
        let entry = entry?;
        if entry.file_name() == *own || entry.path().join("driver").exists() {
            continue;
        }
        windows.extend((0..6).filter_map(|bar| resource(&entry.path(), bar, false)));
    }
    Ok(windows)
}

/// A device's BAR, if it is memory.
fn resource(sysfs: &Path, bar: u8, writable: bool) -> Option<Window> {
    const MEMORY: u64 = 0x200; // IORESOURCE_MEM of Linux's ioport.h
    let resources = fs::read_to_string(sysfs.join("resource")).ok()?;
    let line = resources.lines().nth(bar.into())?;
    let flags = line.split(' ').nth(2)?.trim_start_matches("0x");
    if u64::from_str_radix(flags, 16).ok()? & MEMORY == 0 {
        return None;
    }
    let file = File::options()
        .read(true)
        .write(writable)
        .open(sysfs.join(format!("resource{bar}")))
        .ok()?;
    let size = file.metadata().ok()?.len().min(1 << 20) as usize;
    Window::map(&file, 0, size, writable).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const IOMEM: &str = "\
00001000-0009fbff : System RAM
c0000000-febfffff : PCI Bus 0000:00
  febf0000-febf0fff : 0000:00:05.0
  febe0000-febe1fff : 0000:00:04.0
fee00000-fee00fff : Local APIC
100000000-13fffffff : System RAM
";

    #[test]
    fn what_uses_addresses_is_found() {
        let found = ranges(IOMEM);
        let expected = [
            0x1000..=0x9_fbff,
            0xfebf_0000..=0xfebf_0fff,
            0xfebe_0000..=0xfebe_1fff,
            0xfee0_0000..=0xfee0_0fff,
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_hole_is_where_nothing_is() {
        assert_eq!(hole(&ranges(IOMEM), 0xfebf_0000), Some(0xfebd_0000));
        let all = 0..=u32::MAX;
        assert_eq!(hole(&[all], 0xfebf_0000), None);
    }
}
