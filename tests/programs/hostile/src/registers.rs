//! The registers of the device that an attack changes, and how they are
//! brought back.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use vgpu_conformance::guest::ConfigPorts;

pub(crate) const COMMAND: u16 = 0x04;
pub(crate) const BAR0: u16 = 0x10;
pub(crate) const DEVICE_CONTROL: u16 = 0x48;
pub(crate) const FUNCTION_LEVEL_RESET: u32 = 1 << 15;

/// Offset and size of what a guest may change, in the order in which it is
/// written back: BAR0 has its address before the device decodes it.
const REGISTERS: [(u16, usize); 6] = [
    (0x0c, 1), // cache line size
    (0x0d, 1), // latency timer
    (BAR0, 4),
    (0x3c, 1), // interrupt line
    (DEVICE_CONTROL, 2),
    (COMMAND, 2),
];

/// How long a function may take after a reset (PCIe 4.0 section 6.6.2).
const RESET_TIME: Duration = Duration::from_millis(100);

/// Values of [`REGISTERS`].
pub(crate) struct Registers([u32; REGISTERS.len()]);

impl Registers {
    /// As they are.
    pub(crate) fn read(config: &mut ConfigPorts) -> Self {
        Self(REGISTERS.map(|(offset, size)| config.read(offset, size).unwrap_or(u32::MAX)))
    }

    /// The address of BAR0.
    pub(crate) fn bar0(&self) -> u32 {
        let bar0 = REGISTERS.iter().position(|(offset, _)| *offset == BAR0);
        bar0.map_or(0, |at| self.0[at] & !0xf)
    }

    /// Writes them back.
    pub(crate) fn write(&self, config: &mut ConfigPorts) {
        for ((offset, size), value) in REGISTERS.into_iter().zip(self.0) {
            config.write(offset, size, value);
        }
    }

    /// Resets the function, and writes them back.
    ///
    /// # Errors
    ///
    /// The device does not take them.
    pub(crate) fn restore(&self, config: &mut ConfigPorts) -> Result<()> {
        config.write(DEVICE_CONTROL, 2, FUNCTION_LEVEL_RESET);
        thread::sleep(RESET_TIME);
        self.write(config);
        for ((offset, size), value) in REGISTERS.into_iter().zip(self.0) {
            let found = config.read(offset, size).unwrap_or(u32::MAX);
            ensure!(
                found == value,
                "the device is not as it was: the register at {offset:#04x} has {found:#x}, not {value:#x}"
            );
        }
        Ok(())
    }
}
