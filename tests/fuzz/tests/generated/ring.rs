//! What the target `cuda-ring` reads: steps of both sides, and now and then one of somebody who
//! writes where it will.

use fastrand::Rng;

/// Bit 3 of a step: it is the worker's half, of notices.
const NOTICES: u8 = 8;

/// A word that somebody writes: an index, a header's first word, or any.
fn word(random: &mut Rng) -> u64 {
    match random.u8(..6) {
        0 => random.u64(..40) * 16,
        1 => u64::MAX - random.u64(..64),
        2 => random.u64(..600),
        3 | 4 => {
            let lengths = [
                0,
                8,
                15,
                16,
                24,
                32,
                48,
                64,
                80,
                128,
                256,
                u64::from(u32::MAX),
            ];
            random.choice(lengths).unwrap_or(0) | random.u64(..3) << 32
        }
        _ => random.u64(..),
    }
}

/// The length of data, mostly such as fits, and the data.
fn data(random: &mut Rng, longest: u8, input: &mut Vec<u8>) {
    let length = random.u8(..=longest);
    input.push(length);
    input.extend(std::iter::repeat_n(length, length.into()));
}

pub(crate) fn input(random: &mut Rng, input: &mut Vec<u8>) {
    let careful = random.u8(..4) > 0;
    for _ in 0..random.u8(4..20) {
        let notices = random.bool();
        let side = if notices { NOTICES } else { 0 };
        match random.u8(..16) {
            0..6 => {
                input.push(2 | side);
                input.extend(random.u16(..3).to_le_bytes());
                if !notices {
                    // Flags, `aux`, and the slot.
                    input.push(random.u8(..));
                    input.extend(random.u32(..).to_le_bytes());
                    input.push(random.u8(..4));
                }
                data(random, if notices { 20 } else { 44 }, input);
            }
            6..13 => input.push(4 | side),
            13 => {
                input.extend([7, random.u8(..3)]);
                input.extend(random.u32(..4).to_le_bytes());
                input.extend(random.u32(..).to_le_bytes());
                data(random, 116, input);
            }
            // In most inputs nobody disturbs but the last step.
            _ if careful => {}
            14 => {
                input.extend([
                    1,
                    random.u8(..4),
                    random.choice([8, 16, 32, 64, 255]).unwrap_or(1),
                ]);
            }
            _ => {
                input.extend([0, random.u8(..)]);
                input.extend(word(random).to_le_bytes());
            }
        }
    }
    // One of the four indices, or any word.
    let at = match random.usize(..5) {
        index @ 0..4 => [0, 1, 7, 8][index],
        _ => random.u8(..),
    };
    input.extend([0, at]);
    input.extend(word(random).to_le_bytes());
    input.extend([4, 4 | NOTICES, 4, 4 | NOTICES]);
}
