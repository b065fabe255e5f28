//! What one processor does to the device.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fastrand::Rng;
use vgpu_conformance::guest::{Address, ConfigPorts};

use crate::places::Places;
use crate::registers::{BAR0, COMMAND, DEVICE_CONTROL, FUNCTION_LEVEL_RESET};
use crate::window::{MOST, Window};

/// How often Linux resets the function, as each time takes it 100 ms.
const RESETS: Duration = Duration::from_millis(700);

/// A kind of action: its name, how many of 1000 are of it, and how it is done.
type Action = (&'static str, u32, fn(&mut Attacker));

const ACTIONS: [Action; 9] = [
    ("config reads", 200, Attacker::read_config),
    ("config writes", 100, Attacker::write_config),
    ("absent functions", 20, Attacker::absent_function),
    ("loads", 250, Attacker::load),
    ("stores", 200, Attacker::store),
    ("locked additions", 50, Attacker::add),
    ("string instructions", 80, Attacker::string),
    ("moves and flips", 95, Attacker::configure),
    ("function level resets", 5, Attacker::reset),
];

/// One processor's part.
pub(crate) struct Attacker {
    random: Rng,
    device: Address,
    config: ConfigPorts,
    /// A function of the same device that does not exist.
    absent: ConfigPorts,
    places: Arc<Places>,
    /// Where BAR0 was.
    home: u32,
}

/// How often each of [`ACTIONS`] was done, and Linux's own resets.
pub(crate) type Counts = ([u64; ACTIONS.len()], u64);

impl Attacker {
    /// To be called on the thread that attacks.
    pub(crate) fn new(seed: u64, device: Address, places: &Arc<Places>, home: u32) -> Result<Self> {
        let ports = |address| ConfigPorts::open(address).context("no ports for this program");
        Ok(Self {
            random: Rng::with_seed(seed),
            device,
            config: ports(device)?,
            absent: ports(device.with_function(7))?,
            places: Arc::clone(places),
            home,
        })
    }

    /// Attacks until `end`.
    pub(crate) fn run(mut self, end: Instant) -> Counts {
        let mut counts = Counts::default();
        let mut reset = Instant::now() + RESETS;
        loop {
            let now = Instant::now();
            if now >= end {
                return counts;
            }
            if now >= reset {
                counts.1 += u64::from(self.reset_by_linux());
                reset = Instant::now() + RESETS;
            }
            // The clock costs as much as an access.
            for _ in 0..64 {
                let action = self.choose();
                ACTIONS[action].2(&mut self);
                counts.0[action] += 1;
            }
        }
    }

    fn choose(&mut self) -> usize {
        let total: u32 = ACTIONS.iter().map(|(_, weight, _)| weight).sum();
        let mut chosen = self.random.u32(..total);
        ACTIONS
            .iter()
            .position(|(_, weight, _)| match chosen.checked_sub(*weight) {
                Some(rest) => {
                    chosen = rest;
                    false
                }
                None => true,
            })
            .unwrap_or_default()
    }

    /// Registers are written more often than what lies around them.
    fn config_offset(&mut self) -> u16 {
        match self.random.bool() {
            true => self.random.u16(..0x80),
            false => self.random.u16(..0x100),
        }
    }

    /// A size of 1, 2 or 4 bytes.
    fn config_size(&mut self) -> usize {
        1 << self.random.u8(..3)
    }

    fn read_config(&mut self) {
        let (offset, size) = (self.config_offset(), self.config_size());
        self.config.read(offset, size);
    }

    fn write_config(&mut self) {
        let (offset, size) = (self.config_offset(), self.config_size());
        let value = self.random.u32(..);
        self.config.write(offset, size, value);
    }

    fn absent_function(&mut self) {
        let (offset, size) = (self.config_offset(), self.config_size());
        match self.random.bool() {
            true => drop(self.absent.read(offset, size)),
            false => drop(self.absent.write(offset, size, u32::MAX)),
        }
    }

    /// A window, most often BAR0's own, and an offset into it that may be
    /// near its end.
    fn window(&mut self, write: bool) -> (Arc<Window>, usize) {
        let windows = &self.places.windows;
        let mut window = &windows[0];
        if self.random.bool() {
            let other = &windows[self.random.usize(..windows.len())];
            if other.writable() || !write {
                window = other;
            }
        }
        (Arc::clone(window), self.random.usize(..window.size()))
    }

    fn load(&mut self) {
        let (window, offset) = self.window(false);
        window.load(offset, 1 << self.random.u8(..5));
    }

    fn store(&mut self) {
        let (window, offset) = self.window(true);
        window.store(offset, 1 << self.random.u8(..5), self.random.u64(..));
    }

    fn add(&mut self) {
        let (window, offset) = self.window(true);
        window.add(offset, 1 << self.random.u8(..4), self.random.u64(..));
    }

    fn string(&mut self) {
        let write = self.random.bool();
        let (window, offset) = self.window(write);
        let elements = (1 << self.random.u8(..4), self.random.usize(1..=MOST));
        window.string(offset, elements, self.random.bool(), write);
    }

    /// Puts BAR0 somewhere, or back, or flips memory decode, bus mastering and
    /// INTx while others access it.
    fn configure(&mut self) {
        match self.random.u8(..4) {
            0 => {
                let addresses = &self.places.addresses;
                let address = addresses[self.random.usize(..addresses.len())];
                self.config.write(BAR0, 4, address);
            }
            1 => {
                // A byte of it, so that it goes where nobody meant it to.
                let offset = BAR0 + self.random.u16(..4);
                let value = self.random.u32(..);
                self.config.write(offset, 1, value);
            }
            2 => {
                self.config.write(BAR0, 4, self.home);
                self.config.write(COMMAND, 2, 0x0002);
            }
            _ => {
                let command = self.random.u32(..) & 0x0406;
                self.config.write(COMMAND, 2, command);
            }
        }
    }

    fn reset(&mut self) {
        self.config.write(DEVICE_CONTROL, 2, FUNCTION_LEVEL_RESET);
    }

    /// Linux resets the function, and restores what it read before. It refuses
    /// while another processor has it do so.
    fn reset_by_linux(&mut self) -> bool {
        fs::write(self.device.sysfs().join("reset"), "1").is_ok()
    }
}

/// The counts of all processors, in words.
pub(crate) fn describe(all: &[Counts]) -> String {
    let mut lines: Vec<_> = ACTIONS
        .iter()
        .enumerate()
        .map(|(action, (name, ..))| {
            let count: u64 = all.iter().map(|counts| counts.0[action]).sum();
            format!("{count:>10} {name}")
        })
        .collect();
    let resets: u64 = all.iter().map(|counts| counts.1).sum();
    lines.push(format!("{resets:>10} resets by Linux"));
    lines.join("\n")
}
