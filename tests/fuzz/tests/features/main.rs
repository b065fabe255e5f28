//! Inputs for the targets of a device with features that go far for the most part, as those of `generated` do for CUDA's.
//! `cargo xtask soak features-fuzz` has 5,000 times as many, and libFuzzer after them.

#[path = "../common/mod.rs"]
mod common;

use common::hold;
use fastrand::Rng;

/// Some bytes of any kind.
fn any(random: &mut Rng, most: usize, input: &mut Vec<u8>) {
    for _ in 0..random.usize(..=most) {
        input.push(random.u8(..));
    }
}

/// Bus mastering, a host that is ready, and all steps of a driver: see the target's operations.
const RUNNING: [u8; 7] = [9, 1, 6, 1, 0, 0, 5];

#[test]
fn mailboxes_hold() {
    hold("mailbox", 9_000, &mut |n, random, input| {
        if n % 4 != 0 {
            input.extend(RUNNING);
        }
        for _ in 0..random.usize(..12) {
            // A command of those that there are, with parameters of its size.
            let (command, size) = random
                .choice([
                    (0x10, 8),
                    (0x11, 0),
                    (0x20, 24),
                    (0x21, 4),
                    (0x30, 24),
                    (0x31, 8),
                ])
                .unwrap_or_default();
            if random.bool() {
                input.extend([2, command, random.u8(..), random.u8(..3), size]);
                // Most often what has to be 0 is.
                let zeros = match command {
                    0x20 if random.u8(..4) > 0 => 8,
                    0x30 if random.u8(..4) > 0 => 4,
                    _ => 0,
                };
                for place in 0..size {
                    let reserved = place + zeros >= size;
                    input.push(if reserved { 0 } else { random.u8(..) });
                }
            }
            any(random, 12, input);
        }
    });
}

/// A directory of a few segments, and what asks for them to be shared.
fn shared(random: &mut Rng, input: &mut Vec<u8>) {
    let count = random.u8(1..6);
    input.extend([0, random.u8(1..4), count]);
    for _ in 0..count {
        let page = match random.u8(..8) {
            0 => random.u16(..420),
            1 => random.u16(288..320),
            _ => random.u16(8..160),
        };
        input.extend(page.to_le_bytes());
        input.push(random.u8(..8));
    }
    input.push(255);
    // It changes meanwhile, now and then.
    if random.u8(..8) == 0 {
        input.extend([3, random.u8(..6)]);
    }
    // As one more channel, or to one.
    input.push(random.u8(4..7) | random.u8(..2) << 4);
}

#[test]
fn directories_hold() {
    hold("segments", 9_000, &mut |_, random, input| {
        for _ in 0..random.usize(1..10) {
            match random.u8(..3) {
                0 | 1 => {
                    shared(random, input);
                    // The daemon has done it.
                    input.push(0x1b);
                }
                _ => any(random, 6, input),
            }
        }
    });
}

#[test]
fn packets_hold() {
    hold("link", 1_800, &mut |n, random, input| {
        input.push((n % 2) as u8);
        for packet in 0..random.usize(1..12) {
            let kind = if packet == 0 && n % 8 != 0 {
                0
            } else {
                random.u8(..9)
            };
            let nature = random.u8(..2) << 5 | kind;
            input.push(if random.u8(..16) == 0 {
                nature
            } else {
                0x40 | nature
            });
            let files = [1, 2, 4].contains(&kind).then(|| random.u8(..4));
            input.extend(files);
            input.extend([0, random.u8(..2), u8::from(random.u8(..8) != 0)]);
            input.extend(random.u16(..300).to_le_bytes());
            input.push(random.u8(..3));
            let length = u32::from(random.u16(..)) << 12 | u32::from(random.u8(..16) == 0);
            input.extend(length.to_le_bytes());
            input.extend(random.u16(..).to_le_bytes());
            input.push(random.u8(..));
        }
    });
}
