//! Rings and slices that no guest's half would write.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use vgpu_direct::{Channel, HUGE};
use vgpu_ring::echo;
use vgpu_ring::layout::{
    COMMAND_HEAD, COMMAND_RING, COMMAND_SIZE, COMMAND_TAIL, GUEST_WAITERS, HOST_PARKED, REPLIES,
    SLICE_SIZE,
};
use vgpu_ring::{Memory, NO_SLOT};
use vgpu_terminal::Failure;

use crate::act::Act;
use crate::guest::{Bench, Guest};
use crate::outcome::outcome;

/// A channel whose worker has ended may be gone, or has yet to be closed.
const CLOSED: &[&str] = &["done", "ABSENT", "HOST"];

pub(crate) const ACTS: &[Act] = &[
    Act {
        name: "ring indices of every wrong kind",
        expected: CLOSED,
        run: |guest| {
            let tails = [1, 8, COMMAND_SIZE as u64 + 16, u64::MAX, 1 << 63, !0xf];
            let each = tails.map(|tail| {
                with_slice(guest, |words| {
                    words[COMMAND_TAIL / 8].store(tail, Ordering::Release);
                })
            });
            each.into_iter().collect()
        },
    },
    Act {
        name: "records of every wrong kind",
        expected: CLOSED,
        run: |guest| {
            // Length, and the op above it: none, shorter than a header, odd, too long, a pad that is none.
            let headers = [
                0,
                8,
                17 | 1 << 32,
                1 << 20 | 1 << 32,
                0xffff_fff0 | 1 << 32,
                32,
                16 | 0xffff << 32,
            ];
            let each = headers.map(|header| {
                with_slice(guest, |words| {
                    words[COMMAND_RING / 8].store(header, Ordering::Relaxed);
                    words[COMMAND_TAIL / 8].store(64, Ordering::Release);
                })
            });
            each.into_iter().collect()
        },
    },
    Act {
        name: "all of a slice overwritten at random while it is served",
        expected: CLOSED,
        run: |guest| {
            let each = (0..10).map(|_| with_slice(guest, overwrite));
            each.collect()
        },
    },
    Act {
        name: "a thread that changes records as they are read",
        expected: CLOSED,
        run: |guest| Ok(vec![with_slice(guest, race)?]),
    },
    Act {
        name: "ranges of regions that there are not",
        // Status other than 0, and the session goes on.
        expected: &["answered"],
        run: |guest| {
            let bench = guest.bench()?;
            let mut ring = Channel::new(&bench.driver, bench.channel)?;
            let ranges = [
                [1, 0, 8, 0],
                [u64::from(u32::MAX), 0, 8, 0],
                [0, SLICE_SIZE as u64, 8, 0],
                [0, u64::MAX - 7, 16, 0],
                [0, 4, 8, 0],
                [0, 0, 7, 0],
                [0, 0, u64::MAX - 7, 0],
                [0, 0, echo::LONGEST + 8, 0],
            ];
            let mut outcomes = Vec::new();
            for op in [echo::HASH, echo::FILL, 0xfff] {
                for range in ranges {
                    let number = ring.call(op, 0, &range)?;
                    let status = ring.answer(0, number)?.status;
                    outcomes.push(if status == 0 {
                        "done".to_owned()
                    } else {
                        "answered".to_owned()
                    });
                }
            }
            Ok(outcomes)
        },
    },
    Act {
        name: "slots that there are not",
        expected: CLOSED,
        run: |guest| {
            let each = [64, 200, NO_SLOT - 1].map(|slot| {
                let bench = guest.bench()?;
                let mut ring = Channel::new(&bench.driver, bench.channel)?;
                // Whether the session ends by it is the worker's affair.
                ring.call(echo::ECHO, slot, &[1])?;
                ring.ring();
                Ok(close(&bench))
            });
            each.into_iter().collect()
        },
    },
    Act {
        name: "a slice that is freed while it is served, and used again",
        expected: CLOSED,
        run: |guest| {
            // Only this guest's own memory is at stake, so the memory is freed to its pool, and taken from there again.
            let bench = guest.bench()?;
            let memory = guest.memory(SLICE_SIZE)?;
            let (directory, segments) = (
                &bench.directory,
                vgpu_direct::directory::segments(memory.addresses()),
            );
            let pages = vgpu_direct::directory::pages(&segments, directory.addresses());
            bench.write(&pages.unwrap_or_default());
            let mailbox = bench.driver.mailbox();
            let channel = mailbox.open(directory.addresses()[0], SLICE_SIZE as u64)?;
            if !memory.is_huge() {
                // Small pages would go to others.
                return Ok(vec![outcome(&mailbox.close(channel))]);
            }
            drop(memory);
            let again = guest.memory(SLICE_SIZE)?;
            overwrite(again.window().words());
            Ok(vec![outcome(&mailbox.close(channel))])
        },
    },
    Act {
        name: "regions deleted while the host writes to them",
        expected: &["done"],
        run: |guest| {
            let mut outcomes = Vec::new();
            for _ in 0..20 {
                let bench = guest.bench()?;
                bench.write(&bench.good());
                let mailbox = bench.driver.mailbox();
                let region =
                    mailbox.add(bench.channel, bench.directory.addresses()[0], HUGE as u64)?;
                let mut ring = Channel::new(&bench.driver, bench.channel)?;
                for piece in 0..400 {
                    let [region, offset, length] =
                        echo::Range::payload(region, (piece % 2) << 20, 1 << 20);
                    ring.send(echo::FILL, &[region, offset, length, piece])?;
                }
                outcomes.push(outcome(&mailbox.delete(bench.channel, region)));
            }
            Ok(outcomes)
        },
    },
];

/// Does something to the slice of a channel, rings, and closes it.
fn with_slice(guest: &Guest<'_>, act: impl FnOnce(&[AtomicU64])) -> Result<String, Failure> {
    let bench = guest.bench()?;
    let ring = Channel::new(&bench.driver, bench.channel)?;
    if let Some(slice) = bench.driver.window(bench.channel, 0) {
        act(slice.words());
    }
    ring.ring();
    thread::sleep(Duration::from_millis(5));
    Ok(close(&bench))
}

fn close(bench: &Bench<'_>) -> String {
    outcome(&bench.driver.mailbox().close(bench.channel))
}

/// Noise in indices, flags, slots and ring.
fn overwrite(words: &[AtomicU64]) {
    let places = [
        COMMAND_TAIL,
        COMMAND_HEAD,
        HOST_PARKED,
        GUEST_WAITERS,
        REPLIES,
        COMMAND_RING,
    ];
    let end = Instant::now() + Duration::from_millis(20);
    while Instant::now() < end {
        for _ in 0..64 {
            let place = places[fastrand::usize(..places.len())] / 8 + fastrand::usize(..512);
            words[place].store(fastrand::u64(..), Ordering::Relaxed);
        }
        let tail = fastrand::u64(..COMMAND_SIZE as u64) & !0xf;
        words[COMMAND_TAIL / 8].store(tail, Ordering::Release);
    }
}

/// Valid records, whose lengths and ops change all the while.
fn race(words: &[AtomicU64]) {
    let ring = &words[COMMAND_RING / 8..(COMMAND_RING + COMMAND_SIZE) / 8];
    let header = |len: u64| len | u64::from(echo::ECHO) << 32 | u64::from(NO_SLOT) << 56;
    let end = Instant::now() + Duration::from_millis(50);
    thread::scope(|scope| {
        scope.spawn(|| {
            while Instant::now() < end {
                let record = fastrand::usize(..ring.len() / 4) * 4;
                ring[record].store(header(fastrand::u64(..1 << 17)), Ordering::Relaxed);
                ring[record].store(header(32), Ordering::Relaxed);
            }
        });
        ring.iter()
            .step_by(4)
            .for_each(|word| word.store(header(32), Ordering::Relaxed));
        let mut tail = 0_u64;
        while Instant::now() < end {
            let head = words[COMMAND_HEAD / 8].load(Ordering::Acquire);
            if tail.wrapping_sub(head) + 32 <= COMMAND_SIZE as u64 {
                tail += 32;
                words[COMMAND_TAIL / 8].store(tail, Ordering::Release);
            }
        }
    });
}
