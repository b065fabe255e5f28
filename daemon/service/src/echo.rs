//! The service that proves a channel ([`vgpu_ring::echo`]): it needs no engine.

use std::hint::spin_loop;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Instant;

use vgpu_ring::Memory;
use vgpu_ring::echo::{
    ECHO, FILL, Fill, HASH, PINGPONG, PINGPONG_LIMIT, PingPong, Range, WRONG, hash, word,
};
use vgpu_ring::layout::{ARENA, INLINE_REPLY};
use vgpu_worker::{Context, Fatal, Request, Service};
use zerocopy::FromBytes;

/// Looks at a word between two at the clock.
const LOOKS: u32 = 1000;

/// Sends payloads back, hashes memory, fills it, and passes a word to and fro.
#[derive(Clone, Copy, Debug)]
pub struct Echo;

impl Service for Echo {
    fn handle(&mut self, request: Request<'_>, session: &Context<'_>) -> Result<(), Fatal> {
        let answer = match request.header.op {
            ECHO => {
                let payload = request.payload;
                return session.reply(&request, 0, &payload[..payload.len().min(INLINE_REPLY)]);
            }
            HASH => parse(request.payload).and_then(|range| fold(session, &range, None)),
            FILL => parse::<Fill>(request.payload)
                .and_then(|fill| fold(session, &fill.range, Some(fill.seed))),
            PINGPONG => parse(request.payload).and_then(|asked| passed(session, &asked)),
            _ => None,
        };
        match answer {
            Some(value) => session.reply(&request, 0, &value.to_le_bytes()),
            None => session.reply(&request, WRONG, &[]),
        }
    }
}

/// What a payload begins with; the rest is what fills a record up.
fn parse<T: FromBytes>(payload: &[u8]) -> Option<T> {
    Some(T::read_from_prefix(payload).ok()?.0)
}

/// The hash of a range, which is filled first where there is a seed.
fn fold(session: &Context<'_>, range: &Range, seed: Option<u64>) -> Option<u64> {
    let memory = match range.region {
        0 => session.slice.memory().clone(),
        region => session.regions.get(region)?,
    };
    let words = range.words(memory.words().len())?;
    let first = words.start as u64;
    let places = first..;
    let values = memory.words()[words]
        .iter()
        .zip(places)
        .map(|(at, place)| match seed {
            None => at.load(Relaxed),
            Some(seed) => {
                let value = word(seed, place);
                at.store(value, Relaxed);
                value
            }
        });
    Some(hash(values))
}

/// How often a word came and went.
fn passed(session: &Context<'_>, asked: &PingPong) -> Option<u64> {
    let arena = session.slice.memory().words().get(ARENA / 8..)?;
    let (guest, host) = asked.words(arena.len())?;
    Some(pass(arena.get(guest)?, arena.get(host)?, asked.rounds))
}

fn pass(guest: &AtomicU64, host: &AtomicU64, rounds: u64) -> u64 {
    let (start, mut looks) = (Instant::now(), 0_u32);
    let mut done = 0;
    while done < rounds {
        looks = (looks + 1) % LOOKS;
        match guest.load(Acquire) {
            round if round == done + 1 => {
                done = round;
                host.store(done, Release);
            }
            round if round == done => spin_loop(),
            _ => return done,
        }
        if looks == 0 && start.elapsed() >= PINGPONG_LIMIT {
            return done;
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_word_comes_and_goes() {
        let (guest, host) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            let host_side = scope.spawn(|| pass(&guest, &host, 100));
            for round in 1..=100 {
                guest.store(round, Release);
                while host.load(Acquire) != round {
                    spin_loop();
                }
            }
            assert_eq!(host_side.join().unwrap(), 100);
        });
    }

    #[test]
    fn a_host_gives_up_on_a_word_that_is_none_and_on_one_that_does_not_come() {
        let host = AtomicU64::new(0);
        assert_eq!(pass(&AtomicU64::new(2), &host, 9), 0);
        assert_eq!(pass(&AtomicU64::new(u64::MAX), &host, u64::MAX), 0);
        assert_eq!(host.load(Relaxed), 0);
        let start = Instant::now();
        assert_eq!(pass(&AtomicU64::new(1), &host, u64::MAX), 1);
        assert_eq!(host.load(Relaxed), 1);
        assert!(start.elapsed() >= PINGPONG_LIMIT);
        assert!(start.elapsed() < 2 * PINGPONG_LIMIT);
    }
}
