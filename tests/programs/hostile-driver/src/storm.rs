//! All at once, round after round: sessions that send what they like, slices that are overwritten meanwhile, regions that are
//! named, given back and taken again, a mailbox that is flooded; and each round ends in another way.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use vgpu_abi::bar0::{COMMAND, DATA, DATA_LENGTH, DOORBELL, DRIVER};
use vgpu_abi::features::driver;
use vgpu_abi::mailbox::{
    CHANNEL_CLOSE, CHANNEL_OPEN, CHANNEL_STATE, ECHO, INFO, REGION_ADD, REGION_DELETE, START,
};
use vgpu_direct::directory::{page, segments};
use vgpu_direct::{Channel, Device, Driver, HUGE, Pages, Registers};
use vgpu_ring::Memory;
use vgpu_ring::layout::SLICE_SIZE;
use vgpu_terminal::{Failure, OrMend};
use vgpu_window::Window;

use crate::guest::Guest;
use crate::resets::{function_level_reset, settled, without_bus_master};
use crate::sessions::{overwrite, send};

/// Sessions of a round, and pieces of memory beside theirs, of [`HUGE`] bytes each.
const SESSIONS: usize = 3;
const PIECES: usize = 4;

/// How much memory is in use at a time: that, a driver's directory, one for what is tried, and a piece that is exchanged.
pub(crate) const MEMORY: usize = SESSIONS * SLICE_SIZE + (PIECES + 3) * HUGE;

/// How long a round lasts, in milliseconds.
const ROUND: std::ops::Range<u64> = 20..400;

/// What ends a round.
type End = fn(&Device) -> io::Result<()>;

const ENDS: [(&str, End); 4] = [
    ("a function level reset", function_level_reset),
    ("the end of bus mastering", without_bus_master),
    ("the end of its driver", |device| {
        device.write(DRIVER, driver::RESET);
        Ok(())
    }),
    // The device is let go of then.
    ("the end of its time", |_| Ok(())),
];

const COMMANDS: [u32; 9] = [
    ECHO,
    INFO,
    START,
    CHANNEL_OPEN,
    CHANNEL_CLOSE,
    CHANNEL_STATE,
    REGION_ADD,
    REGION_DELETE,
    0x77,
];

/// Does so for some time; gives the number of rounds.
///
/// # Errors
/// The device is not ready again after a round; a signal came.
pub(crate) fn run(guest: &Guest<'_>, time: Duration) -> Result<u32, Failure> {
    let end = Instant::now() + time;
    let mut rounds = 0;
    while Instant::now() < end {
        let (name, end) = ENDS[fastrand::usize(..ENDS.len())];
        let ended = round(guest, end);
        ended.map_err(|failure| failure.with_code(1))?;
        rounds += 1;
        let state = settled(guest.device);
        if state != "ready" {
            let cause = format!("after {rounds} rounds, and {name}, the host is in {state}");
            let mend = "see in the logs of vgpud and of the emulator what hangs";
            return Err(Failure::new(cause, mend).with_code(1));
        }
    }
    Ok(rounds)
}

fn round(guest: &Guest<'_>, end: End) -> Result<(), Failure> {
    let mut bench = Storm {
        guest,
        driver: guest.driver()?,
        channels: Vec::new(),
        directory: guest.memory(HUGE)?,
        pieces: Vec::new(),
    };
    for _ in 0..SESSIONS {
        // A host that is short of time may refuse one.
        if let Ok(channel) = bench.driver.open(guest.memory(SLICE_SIZE)?) {
            bench.channels.push(channel);
        }
    }
    for _ in 0..PIECES {
        bench.pieces.push(guest.memory(HUGE)?);
    }
    bench.rage(Duration::from_millis(fastrand::u64(ROUND)), end)
}

/// A driver with what it works with. Dropped, the device is let go of before memory is.
struct Storm<'g, 'd> {
    driver: Driver<&'d Device>,
    channels: Vec<u32>,
    directory: Pages,
    pieces: Vec<Pages>,
    guest: &'g Guest<'d>,
}

impl Storm<'_, '_> {
    /// All at once, and the end while all are at it.
    fn rage(&mut self, time: Duration, end: End) -> Result<(), Failure> {
        let until = Instant::now() + time;
        let over = AtomicBool::new(false);
        let slices = self.channels.iter();
        let slices = slices.filter_map(|channel| self.driver.window(*channel, 0).cloned());
        let slices: Vec<Window> = slices.collect();
        let mut rings = Vec::new();
        for channel in &self.channels {
            rings.push(Channel::new(&self.driver, *channel)?);
        }
        let (over, slices) = (&over, &slices);
        thread::scope(|scope| {
            for (ring, slice) in rings.into_iter().zip(slices) {
                let seed = fastrand::u64(..);
                scope.spawn(move || {
                    fastrand::seed(seed);
                    send(ring, slice, over);
                });
            }
            let seed = fastrand::u64(..);
            scope.spawn(move || {
                fastrand::seed(seed);
                overwrite(slices, over);
            });
            let mut done = Ok(());
            while done.is_ok() && Instant::now() < until {
                done = disturb(
                    self.guest,
                    &self.driver,
                    &self.channels,
                    &self.directory,
                    &mut self.pieces,
                );
            }
            let ended = end(self.guest.device).or_mend("run it as root");
            over.store(true, Ordering::Relaxed);
            done.and(ended)
        })
    }
}

/// One act of whoever has the mailbox. What the device says to it is its affair.
fn disturb(
    guest: &Guest<'_>,
    driver: &Driver<&Device>,
    channels: &[u32],
    directory: &Pages,
    pieces: &mut [Pages],
) -> Result<(), Failure> {
    let mailbox = driver.mailbox();
    let at = directory.addresses()[0];
    let channel = channels
        .get(fastrand::usize(..=channels.len()))
        .copied()
        .unwrap_or(fastrand::u32(..300));
    let piece = fastrand::usize(..pieces.len());
    match fastrand::u8(0..8) {
        0 | 1 => {
            name(directory, &pieces[piece..=piece]);
            let _ = mailbox.add(channel, at, HUGE as u64);
        }
        2 => {
            // Whose length is another, or whose pages another channel has.
            name(directory, pieces);
            let _ = mailbox.add(channel, at, fastrand::u64(1..2 * PIECES as u64) << 20);
        }
        3 => {
            let _ = mailbox.delete(channel, fastrand::u32(..8));
        }
        4 if pieces[piece].is_huge() => {
            // Given back without a word to the host, for who takes one next. Small pages might be the kernel's next.
            name(directory, &pieces[piece..=piece]);
            let _ = mailbox.add(channel, at, HUGE as u64);
            pieces[piece] = guest.memory(HUGE)?;
        }
        5 => {
            name(directory, &pieces[..2]);
            let _ = mailbox.open(at, SLICE_SIZE as u64);
        }
        6 => {
            let _ = mailbox.close(channel);
        }
        _ => flood(guest.device),
    }
    Ok(())
}

/// Writes a directory of these, in this order.
fn name(directory: &Pages, pieces: &[Pages]) {
    let addresses: Vec<_> = pieces.iter().flat_map(Pages::addresses).copied().collect();
    let words = directory.window().words();
    for (to, from) in words.iter().zip(page(&segments(&addresses), 0)) {
        to.store(from, Ordering::Relaxed);
    }
}

/// Commands that nobody waits for, and doorbells of all channels.
fn flood(device: &Device) {
    for _ in 0..64 {
        device.write(DATA.start + fastrand::u64(..16) * 4, fastrand::u32(..));
        device.write(DATA_LENGTH, fastrand::u32(..48));
        device.write(COMMAND, COMMANDS[fastrand::usize(..COMMANDS.len())]);
        device.write(DOORBELL + fastrand::u64(..256) * 4, 1);
    }
}
