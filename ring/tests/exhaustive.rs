//! All states of a small ring, with all that the other side may say near it: what the code makes of them is what these
//! rules say, which are written down once more here. `cargo xtask prove` has all values.

use std::sync::atomic::{AtomicU64, Ordering};

use vgpu_ring::layout::{LINE, Layout, Ring};
use vgpu_ring::{
    Consumer, Fault, HEADER_SIZE, Header, Next, PAD, Producer, PushError, Record, Slice,
};
use zerocopy::FromZeros;

const SIZE: u64 = 256;
const LONGEST: u64 = SIZE / 4;
const RING: Ring = Ring {
    tail: 0,
    head: 8,
    data: 128,
    size: SIZE as usize,
};
static LAYOUT: Layout = Layout {
    commands: RING,
    notices: RING,
    parked: 16,
    waiters: 24,
    fault: 32,
    held: 40,
    released: 48,
    replies: 384,
    slots: 1,
    arena: 384 + LINE,
};

/// Where counts are: at their beginning, about to go round, and anywhere.
const BASES: [u64; 3] = [0, u64::MAX - 255, 0x1230];

fn memory() -> Vec<AtomicU64> {
    AtomicU64::new_vec_zeroed(LAYOUT.arena / 8).unwrap()
}

fn slice(memory: &[AtomicU64]) -> Slice<&[AtomicU64]> {
    Slice::new(memory, &LAYOUT).unwrap()
}

/// Every count of bytes done, and of bytes that are in the ring.
fn states(mut f: impl FnMut(u64, u64)) {
    for base in BASES {
        for place in (0..SIZE).step_by(16) {
            for used in (0..=SIZE).step_by(16) {
                f(base.wrapping_add(place), used);
            }
        }
    }
}

/// What lies near a count, and far from it.
fn near(count: u64) -> impl Iterator<Item = u64> {
    let near = (0..2 * SIZE).step_by(8).map(move |n| count.wrapping_add(n));
    let below = (1..64).step_by(7).map(move |n| count.wrapping_sub(n));
    near.chain(below)
        .chain([count ^ 1 << 63, count ^ 1 << 32, count.wrapping_add(3)])
}

#[test]
fn every_push() {
    let memory = memory();
    let (mut pushed, mut full, mut faults) = (0, 0, 0);
    states(|head, used| {
        let tail = head.wrapping_add(used);
        for length in [0, 1, 16, 17, 32, 47, 48, 49] {
            let whole = (HEADER_SIZE as u64 + length).next_multiple_of(16);
            let to_end = SIZE - tail % SIZE;
            let needed = if whole <= to_end {
                whole
            } else {
                to_end + whole
            };
            for said in near(head) {
                memory[RING.head / 8].store(said, Ordering::Relaxed);
                let mut producer = Producer::at(slice(&memory), RING, [tail, head]);
                let header = Header {
                    op: 1,
                    ..Header::default()
                };
                let got = producer.push(header, &[], &[0; 64][..length as usize]);
                let expected = match said.wrapping_sub(head) {
                    _ if whole > LONGEST => Err(PushError::TooLong),
                    // It does not even look.
                    _ if needed <= SIZE - used => Ok(()),
                    done if done > used || said % 16 != 0 => {
                        Err(PushError::Fault(Fault::Index { tail, head: said }))
                    }
                    done if needed <= SIZE - (used - done) => Ok(()),
                    _ => Err(PushError::Full),
                };
                assert_eq!(got, expected, "{head:#x} {used} {length} {said:#x}");
                let after = if got.is_ok() { needed } else { 0 };
                assert_eq!(producer.position(), tail.wrapping_add(after));
                match got {
                    Ok(()) => pushed += 1,
                    Err(PushError::Full) => full += 1,
                    Err(_) => faults += 1,
                }
            }
        }
    });
    assert!([pushed, full, faults].iter().all(|count| *count > 1000));
}

/// Every index that a producer may say, and every length of a record and of one behind a pad.
#[test]
fn every_take() {
    let memory = memory();
    let mut record = Record::boxed();
    let mut next = |head, said: u64, at: u64, len: u32, op: u16| {
        memory[RING.tail / 8].store(said, Ordering::Relaxed);
        let word = (RING.data as u64 + at % SIZE) / 8;
        memory[word as usize].store(u64::from(len) | u64::from(op) << 32, Ordering::Relaxed);
        let mut consumer = Consumer::at(slice(&memory), RING, [head; 3]);
        let got = consumer.next(&mut record);
        if got == Ok(Next::Record) {
            assert_eq!(record.payload().len() + HEADER_SIZE, len as usize);
            let [after, ..] = consumer.indices();
            assert_eq!(after, at.wrapping_add(len.into()));
        }
        got
    };
    states(|head, used| {
        if used == 0 {
            for said in near(head) {
                let expected = match said.wrapping_sub(head) {
                    0 => Ok(Next::Empty),
                    much if much > SIZE || said % 16 != 0 => Err(Fault::Index { tail: said, head }),
                    // Of no length.
                    _ => Err(Fault::Length { at: head, len: 0 }),
                };
                assert_eq!(
                    next(head, said, head, 0, 1),
                    expected,
                    "{head:#x} {said:#x}"
                );
            }
            return;
        }
        let said = head.wrapping_add(used);
        let to_end = SIZE - head % SIZE;
        let lengths = (0..=LONGEST + 16).chain([SIZE, 1 << 31, u64::MAX >> 32]);
        for len in lengths {
            let (at, short) = (head, len as u32);
            let fits = |room: u64| len >= 16 && len % 16 == 0 && len <= LONGEST.min(room);
            let length = Err(Fault::Length { at, len: short });
            let plain = match fits(used.min(to_end)) {
                true => Ok(Next::Record),
                false => length,
            };
            assert_eq!(
                next(head, said, at, short, 1),
                plain,
                "{head:#x} {used} {len}"
            );
            let pad = match fits(used.min(to_end)) {
                // It does not reach the end, or nothing is behind it.
                true if len != to_end || len == used => Err(Fault::Pad { at, len: short }),
                false => length,
                true => continue,
            };
            assert_eq!(
                next(head, said, at, short, PAD),
                pad,
                "{head:#x} {used} {len}"
            );
        }
        // A pad as it has to be, and what is behind it.
        if to_end > LONGEST || to_end >= used {
            return;
        }
        let start = head.wrapping_add(to_end);
        for len in (0..=LONGEST + 16).chain([SIZE]) {
            let header = to_end | u64::from(PAD) << 32;
            let word = (RING.data as u64 + head % SIZE) / 8;
            memory[word as usize].store(header, Ordering::Relaxed);
            let fits = len >= 16 && len % 16 == 0 && len <= LONGEST.min(used - to_end);
            let (at, len) = (start, len as u32);
            let (record, pad) = match fits {
                true => (Ok(Next::Record), Err(Fault::Pad { at, len })),
                false => (
                    Err(Fault::Length { at, len }),
                    Err(Fault::Length { at, len }),
                ),
            };
            assert_eq!(
                next(head, said, at, len, 1),
                record,
                "{head:#x} {used} {len}"
            );
            assert_eq!(
                next(head, said, at, len, PAD),
                pad,
                "{head:#x} {used} {len}"
            );
        }
    });
}
