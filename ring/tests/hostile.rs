//! The other side writes what it will, at any time: the consumer neither panics,
//! nor reads outside the ring, nor looks at more than one record's words per
//! call, and a broken protocol is a fault that stays.

mod common;

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use common::{LAYOUT, LONGEST, RING};
use vgpu_ring::host::Host;
use vgpu_ring::{Fault, Header, Memory, Next, Record, Slice, Wake, Word};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

thread_local! {
    static LOADS: Cell<usize> = const { Cell::new(0) };
}

/// A word that counts how often its thread reads any.
#[derive(FromZeros)]
#[repr(transparent)]
struct Counted(AtomicU64);

impl Word for Counted {
    fn load(&self, order: Ordering) -> u64 {
        LOADS.set(LOADS.get() + 1);
        self.0.load(order)
    }

    fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, order);
    }

    fn swap(&self, value: u64, order: Ordering) -> u64 {
        self.0.swap(value, order)
    }

    fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        self.0.fetch_add(value, order)
    }

    fn fence(order: Ordering) {
        std::sync::atomic::fence(order);
    }
}

#[derive(Clone, Copy)]
struct Ignored;

impl Wake for Ignored {
    fn wake(&self) {}
}

fn memory() -> Vec<Counted> {
    Counted::new_vec_zeroed(LAYOUT.arena / 8).unwrap()
}

fn put(memory: &[Counted], offset: usize, header: Header) {
    let words = <[u64; 2]>::read_from_bytes(header.as_bytes()).unwrap();
    for (n, word) in words.into_iter().enumerate() {
        memory[offset / 8 + n].store(word, Ordering::Relaxed);
    }
}

/// What the consumer makes of a tail and of the record at the ring's start.
fn verdict(tail: u64, header: Header) -> Result<Next, Fault> {
    let memory = memory();
    put(&memory, RING.data, header);
    memory[RING.tail / 8].store(tail, Ordering::Relaxed);
    let mut host = Host::new(Slice::new(memory.as_slice(), &LAYOUT).unwrap(), Ignored);
    let mut record = Record::boxed();
    let first = host.next(&mut record);
    if first.is_err() {
        // It stays, whatever comes.
        memory[RING.tail / 8].store(0, Ordering::Relaxed);
        assert_eq!(host.next(&mut record), first);
    }
    first
}

#[test]
fn each_inconsistency_is_a_fault() {
    let of = |len: u32, op: u16| Header {
        len,
        op,
        ..Header::default()
    };
    assert_eq!(verdict(32, of(32, 1)), Ok(Next::Record));
    let ring = RING.size as u64;
    for tail in [8, 17, ring + 16, 1 << 40, u64::MAX - 15, u64::MAX] {
        assert!(
            matches!(verdict(tail, of(32, 1)), Err(Fault::Index { .. })),
            "{tail:#x}"
        );
    }
    let longest = LONGEST as u32;
    for len in [
        0,
        1,
        8,
        15,
        24,
        48,
        longest + 16,
        1 << 31,
        u32::MAX,
        u32::MAX - 15,
    ] {
        assert!(
            matches!(verdict(32, of(len, 1)), Err(Fault::Length { .. })),
            "{len:#x}"
        );
    }
    // A pad that does not fill the ring; one that would has too great a length.
    assert!(matches!(verdict(64, of(32, 0)), Err(Fault::Pad { .. })));
    assert!(matches!(
        verdict(ring, of(ring as u32, 0)),
        Err(Fault::Length { .. })
    ));
}

#[test]
fn a_record_may_not_reach_past_the_end() {
    let memory = memory();
    let tail = &memory[RING.tail / 8];
    let mut host = Host::new(Slice::new(memory.as_slice(), &LAYOUT).unwrap(), Ignored);
    let mut record = Record::boxed();
    let part = LONGEST - 16;
    for n in 0..4 {
        let header = Header {
            len: part as u32,
            op: 1,
            ..Header::default()
        };
        put(&memory, RING.data + n * part, header);
        tail.store(((n + 1) * part) as u64, Ordering::Relaxed);
        assert_eq!(host.next(&mut record), Ok(Next::Record));
    }
    // 64 bytes are left before the end, and there is room for more behind it.
    put(
        &memory,
        RING.data + 4 * part,
        Header {
            len: 128,
            op: 1,
            ..Header::default()
        },
    );
    tail.store((4 * part + 128) as u64, Ordering::Relaxed);
    assert!(matches!(host.next(&mut record), Err(Fault::Length { .. })));
}

/// Writes what looks right for the most part, so that the consumer gets far.
fn scribble(memory: &[Counted], random: &mut fastrand::Rng) {
    match random.u8(..8) {
        0 => memory[random.usize(..memory.len())].store(random.u64(..), Ordering::Relaxed),
        1 => memory[RING.tail / 8].store(random.u64(..), Ordering::Relaxed),
        2..7 => {
            let tail = memory[RING.tail / 8].0.load(Ordering::Relaxed);
            let offset = (tail as usize % RING.size) & !15;
            let left = RING.size - offset;
            let (len, op) = match random.usize(1..LONGEST.min(4096) / 16) * 16 {
                len if len <= left => (len, random.u16(1..3)),
                _ => (left, 0),
            };
            let slot = random.u8(..);
            put(
                memory,
                RING.data + offset,
                Header {
                    len: len as u32,
                    op,
                    slot,
                    ..Header::default()
                },
            );
            memory[RING.tail / 8].store(tail.wrapping_add(len as u64), Ordering::Relaxed);
        }
        _ => {
            let offset = random.usize(..RING.size / 16) * 16;
            let len = match random.bool() {
                true => random.u32(..64) * 16,
                false => (RING.size - offset) as u32,
            };
            let header = Header {
                len,
                op: random.u16(..3),
                slot: random.u8(..),
                ..Header::default()
            };
            put(memory, RING.data + offset, header);
        }
    }
}

#[test]
fn a_thread_that_writes_everywhere_harms_nobody_else() {
    let enough = if cfg!(miri) { 1 } else { 300 };
    let memory = memory();
    let done = AtomicBool::new(false);
    let (mut records, mut faults) = (0_u64, 0_u64);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = fastrand::Rng::with_seed(7);
            while !done.load(Ordering::Relaxed) {
                scribble(&memory, &mut random);
            }
        });
        let slice = Slice::new(memory.as_slice(), &LAYOUT).unwrap();
        let mut record = Record::boxed();
        while records.min(faults) < enough {
            memory[RING.tail / 8].store(0, Ordering::Relaxed);
            let mut host = Host::new(slice, Ignored);
            for _ in 0..200 {
                LOADS.set(0);
                let found = host.next(&mut record);
                // Two headers, the words of a record, an index, a flag.
                assert!(LOADS.get() <= LONGEST / 8 + 8, "{}", LOADS.get());
                match found {
                    Ok(Next::Record) => {
                        records += 1;
                        let header = record.header();
                        assert_eq!(record.payload().len() + 16, header.len as usize);
                        let answers = host.answers();
                        let answered = answers.reply(header.slot, header.seq, 0, b"answer");
                        assert_eq!(answered.is_ok(), header.slot < 64);
                    }
                    Ok(Next::Empty) => {}
                    Err(_) => {
                        faults += 1;
                        break;
                    }
                }
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn memory_is_never_reached_past_its_end() {
    let memory = memory();
    let slice = memory.as_slice();
    let mut bytes = [1; 24];
    for (offset, len) in [
        (LAYOUT.arena, 1),
        (LAYOUT.arena - 8, 9),
        (usize::MAX, 1),
        (usize::MAX - 7, 16),
    ] {
        assert!(!slice.read(offset, &mut bytes[..len]), "{offset:#x}");
        assert!(!slice.write(offset, &bytes[..len]), "{offset:#x}");
    }
    assert!(slice.read(LAYOUT.arena, &mut []));
    assert!(slice.write(LAYOUT.arena - 1, &[5]));
    assert!(slice.read(LAYOUT.arena - 2, &mut bytes[..2]));
    assert_eq!(bytes[..2], [0, 5]);
}
