//! Where counters lie in a trace's memory, in words of 64 bits.

use vgpu_cuda_wire::{OPERATIONS, SYMBOLS};

use crate::reason::Reason;

/// The most calls that are kept one by one: the last ones.
pub const CALLS: usize = 1 << 16;

/// Words that belong together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) start: usize,
    pub(crate) length: usize,
}

/// What it is, and the build that made it.
pub(crate) const HEAD: Range = Range {
    start: 0,
    length: 2,
};
/// When it was made, by the system's monotonic clock.
pub(crate) const BEGAN: usize = 2;
/// How many processes opened it.
pub(crate) const PROCESSES: usize = 3;
/// The number of the next call.
pub(crate) const NEXT: usize = 4;
/// The device's name, in bytes up to a 0.
pub(crate) const DEVICE: Range = Range {
    start: 8,
    length: 32,
};

/// The words of a row, whatever it is of.
const ROW: usize = 8;
const FUNCTIONS: usize = 64;
const MESSAGES: usize = FUNCTIONS + SYMBOLS.len() * ROW;
const WAITS: usize = MESSAGES + OPERATIONS.len() * ROW;
const LOG: usize = WAITS + Reason::ALL.len() * ROW;
const WORDS: usize = LOG + CALLS * ROW;

/// Bytes of the whole.
pub(crate) const SIZE: usize = (WORDS * 8).next_multiple_of(4096);

pub(crate) fn head() -> [u64; 2] {
    [u64::from_le_bytes(*b"vgputrac"), TABLES]
}

/// Stands for the tables whose places are rows here.
const TABLES: u64 = {
    let mut hash = 0;
    let mut n = 0;
    while n < SYMBOLS.len() {
        hash = mix(hash, SYMBOLS[n].0.as_bytes());
        n += 1;
    }
    n = 0;
    while n < OPERATIONS.len() {
        hash = mix(hash, OPERATIONS[n].1.as_bytes());
        n += 1;
    }
    hash
};

/// FNV-1a, with a 0 behind the text.
const fn mix(hash: u64, text: &[u8]) -> u64 {
    let mut hash = hash ^ 0xcbf2_9ce4_8422_2325;
    let mut n = 0;
    while n < text.len() {
        hash = (hash ^ text[n] as u64).wrapping_mul(0x0100_0000_01b3);
        n += 1;
    }
    hash.wrapping_mul(0x0100_0000_01b3)
}

const fn row(start: usize) -> Range {
    Range { start, length: ROW }
}

pub(crate) fn function(number: usize) -> Option<Range> {
    (number < SYMBOLS.len()).then(|| row(FUNCTIONS + number * ROW))
}

pub(crate) fn message(number: usize) -> Option<Range> {
    (number < OPERATIONS.len()).then(|| row(MESSAGES + number * ROW))
}

pub(crate) fn wait(reason: Reason) -> Range {
    row(WAITS + reason as usize * ROW)
}

/// The place of the call of a number: that of one long before it.
pub(crate) fn call(number: u64) -> Range {
    row(LOG + (number % CALLS as u64) as usize * ROW)
}
