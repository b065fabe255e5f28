//! Resets and the end of bus mastering, in the middle of work.

use std::thread;
use std::time::Duration;

use vgpu_abi::bar0::{DRIVER, STATE};
use vgpu_abi::features::{driver, state};
use vgpu_direct::{Channel, Device, Registers};
use vgpu_ring::echo;
use vgpu_terminal::{Failure, OrMend};

use crate::act::Act;
use crate::guest::Guest;

const COMMAND: u64 = 0x04;
const BUS_MASTER: u16 = 1 << 2;
const BAR0: u64 = 0x10;
const DEVICE_CONTROL: u64 = 0x48;
const FUNCTION_LEVEL_RESET: u16 = 1 << 15;

/// How long a function may take after a reset (PCIe 4.0 section 6.6.2).
const RESET_TIME: Duration = Duration::from_millis(100);

/// How often the host is asked whether it is done, a millisecond apart: it has a second to give memory up.
const LOOKS: usize = 5000;

pub(crate) const ACTS: &[Act] = &[
    Act {
        name: "function level resets in the middle of a stream",
        expected: &["reset"],
        run: |guest| midstream(guest, function_level_reset),
    },
    Act {
        name: "bus mastering that ends in the middle of a stream",
        expected: &["reset"],
        run: |guest| midstream(guest, without_bus_master),
    },
    Act {
        name: "a driver that ends in the middle of a stream",
        expected: &["reset"],
        run: |guest| {
            midstream(guest, |device| {
                device.write(DRIVER, driver::RESET);
                Ok(())
            })
        },
    },
    Act {
        name: "a driver that comes and goes",
        expected: &["ready"],
        run: |guest| {
            for _ in 0..2000 {
                for step in [driver::PRESENT, driver::SETTLED, driver::RUN, driver::RESET] {
                    guest.device.write(DRIVER, step);
                }
            }
            Ok(vec![settled(guest.device)])
        },
    },
];

/// Resets the device by an act while its worker has much to do; it is then ready again, and has no driver.
fn midstream(
    guest: &Guest<'_>,
    act: fn(&Device) -> std::io::Result<()>,
) -> Result<Vec<String>, Failure> {
    let mut outcomes = Vec::new();
    for _ in 0..5 {
        let bench = guest.bench()?;
        let mut ring = Channel::new(&bench.driver, bench.channel)?;
        for piece in 0..200 {
            // Half of the arena, time and again.
            let [region, offset, length] = echo::Range::payload(0, 3 << 20, 1 << 20);
            ring.send(echo::FILL, &[region, offset, length, piece])?;
        }
        act(guest.device).or_mend("run it as root")?;
        let state = settled(guest.device);
        outcomes.push(match (guest.device.read(DRIVER), state.as_str()) {
            (driver::RESET, "ready") => "reset".to_owned(),
            (driver, _) => format!("DRIVER {driver}, {state}"),
        });
    }
    Ok(outcomes)
}

/// How the host is, once it is ready or had the time for it.
pub(crate) fn settled(device: &Device) -> String {
    for _ in 0..LOOKS {
        if device.read(STATE) == state::READY {
            return "ready".to_owned();
        }
        thread::sleep(Duration::from_millis(1));
    }
    format!("STATE {}", device.read(STATE))
}

/// Ends bus mastering, and begins it again: the next driver of this test needs it.
pub(crate) fn without_bus_master(device: &Device) -> std::io::Result<()> {
    let command = device.read_config(COMMAND)?;
    device.write_config(COMMAND, command & !BUS_MASTER)?;
    device.write_config(COMMAND, command | BUS_MASTER)
}

pub(crate) fn function_level_reset(device: &Device) -> std::io::Result<()> {
    let command = device.read_config(COMMAND)?;
    let bar = [device.read_config(BAR0)?, device.read_config(BAR0 + 2)?];
    let control = device.read_config(DEVICE_CONTROL)?;
    device.write_config(DEVICE_CONTROL, control | FUNCTION_LEVEL_RESET)?;
    thread::sleep(RESET_TIME);
    device.write_config(BAR0, bar[0])?;
    device.write_config(BAR0 + 2, bar[1])?;
    device.write_config(DEVICE_CONTROL, control)?;
    device.write_config(COMMAND, command)
}
