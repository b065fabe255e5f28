//! The device goes away, or is reset, while other processors read it.
//!
//! They only read: where each processor has a thread of QEMU's, under TCG, an
//! access under way while the memory map changes may go to another device
//! (QEMU 7.2 reads the I/O APIC, which lies behind BAR0).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use vgpu_conformance::guest::{Address, ConfigPorts, Ports};

use crate::places::{PAGE, physical};
use crate::processor::stay_on;
use crate::registers::{DEVICE_CONTROL, FUNCTION_LEVEL_RESET, Registers};
use crate::window::Window;

/// What the first processor does while the others read BAR0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Act {
    /// Ejects the device once, from bus 0 of QEMU's machine "pc"
    Eject,
    /// Resets its function again and again
    Reset,
    /// Nothing: the host may do something
    None,
}

/// The register that is read, and what is written there before.
const REQUEST_ID: usize = 0x10;
const MARK: u32 = 0x5a5a_a5a5;
/// What it may read: as written, as after a reset, and where nobody answers.
const VALUES: [u32; 3] = [MARK, 0, u32::MAX];

/// Reads of each processor before the act: then all are at work.
const WARM: u64 = 1000;
const PATIENCE: Duration = Duration::from_secs(20);

/// QEMU's ACPI hot-plug registers on "pc": which bus, and a bit per slot
/// (QEMU, docs/specs/acpi_pci_hotplug.rst).
const EJECT: u16 = 0xae08;
const SELECT_BUS: u16 = 0xae10;

/// Reads BAR0 from all processors but the first for `time`, while that one
/// acts.
///
/// # Errors
///
/// The act did nothing.
pub(crate) fn run(
    device: Address,
    act: Act,
    (processors, time): (usize, Duration),
    registers: &Registers,
) -> Result<()> {
    ensure!(
        processors > 1,
        "there is one processor; one acts while others read"
    );
    // Not by sysfs, whose mappings go away with the device.
    let bar0 = physical(registers.bar0(), PAGE as usize)
        .context("/dev/mem does not let BAR0 be mapped")?;
    bar0.store(REQUEST_ID, 4, MARK.into());
    let bar0 = Arc::new(bar0);
    let foreign = AtomicU64::new(0);
    let end = AtomicBool::new(false);
    let counts: Vec<AtomicU64> = (1..processors).map(|_| AtomicU64::new(0)).collect();
    thread::scope(|scope| {
        let threads: Vec<_> = (1..)
            .zip(&counts)
            .map(|(processor, count)| {
                let (bar0, foreign, end) = (Arc::clone(&bar0), &foreign, &end);
                scope.spawn(move || {
                    stay_on(processor)?;
                    read(&bar0, (count, foreign), end)
                })
            })
            .collect();
        let acted = stay_on(0)
            .and_then(|()| warm(&counts))
            .and_then(|()| act.run(device, registers, Instant::now() + time));
        end.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().expect("it does not panic")?;
        }
        acted
    })?;
    let total: u64 = counts
        .iter()
        .map(|count| count.load(Ordering::Relaxed))
        .sum();
    let foreign = foreign.into_inner();
    println!("{total} reads, {foreign} of them of what was never there");
    Ok(())
}

/// Reads until the end.
fn read(bar0: &Window, (count, foreign): (&AtomicU64, &AtomicU64), end: &AtomicBool) -> Result<()> {
    while !end.load(Ordering::Relaxed) {
        let value = bar0.read(REQUEST_ID).context("BAR0 has no Request ID")?;
        count.fetch_add(1, Ordering::Relaxed);
        if !VALUES.contains(&value) {
            foreign.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Waits until all processors read the device.
fn warm(counts: &[AtomicU64]) -> Result<()> {
    let patience = Instant::now() + PATIENCE;
    while counts
        .iter()
        .any(|count| count.load(Ordering::Relaxed) < WARM)
    {
        ensure!(
            Instant::now() < patience,
            "the other processors do not get to the device"
        );
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

impl Act {
    fn run(self, device: Address, registers: &Registers, end: Instant) -> Result<()> {
        let mut config = ConfigPorts::open(device).context("no ports for this program")?;
        match self {
            Self::Eject => {
                let mut ports = Ports::open(EJECT..SELECT_BUS + 4)?;
                ports.write32(SELECT_BUS, 0);
                ports.write32(EJECT, 1 << device.device());
                sleep_until(end);
                ensure!(
                    config.read(0x00, 4) == Some(u32::MAX),
                    "the device is still there"
                );
                println!("ejected");
            }
            Self::Reset => {
                let mut resets: u64 = 0;
                while Instant::now() < end {
                    config.write(DEVICE_CONTROL, 2, FUNCTION_LEVEL_RESET);
                    registers.write(&mut config);
                    resets += 1;
                }
                println!("{resets} function level resets");
            }
            Self::None => sleep_until(end),
        }
        Ok(())
    }
}

fn sleep_until(end: Instant) {
    thread::sleep(end.saturating_duration_since(Instant::now()));
}
