//! Round trips, both sides polling: by the ring, and by a bare line of the same memory.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use vgpu_direct::{Channel, Registers};
use vgpu_ring::echo;
use vgpu_terminal::Failure;

use super::progress::Progress;
use super::report::Times;

/// A clock that costs more than this would be measured in place of the ring.
const DEAR: Duration = Duration::from_nanos(100);

/// Round trips between two readings of such a clock.
const BATCH: u64 = 32;

/// Round trips that only warm both sides up.
const WARM: u64 = 1000;

/// Rounds of a bare line for which the host is asked at a time.
const ROUNDS: u64 = 10_000;

/// How often it is asked once more, where it gave up.
const MORE: u64 = 10;

/// How long a round may take before the other side has given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the bare line lies in the arena.
const PLACE: usize = 0;

/// Measures calls that give their payload back.
pub(super) fn round_trips<R: Registers>(
    ring: &mut Channel<'_, R>,
    count: u64,
    progress: &mut Progress,
) -> Result<Times, Failure> {
    let mut one = |round: u64| -> Result<(), Failure> {
        let payload = [round, !round];
        let number = ring.call(echo::ECHO, 0, &payload)?;
        let answer = ring.answer(0, number)?;
        let same = answer.inline() == payload.map(u64::to_le_bytes).as_flattened();
        match answer.status == 0 && same {
            true => Ok(()),
            false => Err(ring.lost(&format!(
                "an echo came back as another, with status {}",
                answer.status
            ))),
        }
    };
    for round in 0..WARM {
        one(round)?;
    }
    let mut clock = Clock::new(count);
    for round in 0..count.next_multiple_of(clock.batch) {
        one(round)?;
        if clock.tick() {
            progress.show("round trips", round, count);
            clock.begin();
        }
    }
    Ok(clock.times())
}

/// Measures a word that goes to and fro with nothing around it; `None` where the host does not know of that. A host gives up
/// after a time, and one that shares its processor with this side has done little by then: what it did counts.
pub(super) fn bare<R: Registers>(
    ring: &mut Channel<'_, R>,
    count: u64,
    progress: &mut Progress,
) -> Result<Option<Times>, Failure> {
    let mut clock = Clock::new(count);
    let mut measured = 0;
    for _ in 0..count.div_ceil(ROUNDS) + MORE {
        if measured >= count {
            break;
        }
        let rounds = ROUNDS.min(count - measured);
        let rounds = rounds.next_multiple_of(clock.batch);
        match pass(ring, rounds, &mut clock)? {
            Some(done) => measured += done.min(rounds),
            None => return Ok(None),
        }
        progress.show("bare line", measured, count);
    }
    match clock.samples.is_empty() {
        false => Ok(Some(clock.times())),
        true => Err(ring.lost("the host passes no word to and fro")),
    }
}

/// Passes a word to and fro so often; gives how often the host says that it did, `None` where it knows of none.
fn pass<R: Registers>(
    ring: &mut Channel<'_, R>,
    rounds: u64,
    clock: &mut Clock,
) -> Result<Option<u64>, Failure> {
    let no_arena = || ring.lost("the slice has no arena");
    for place in [PLACE, PLACE + echo::LINE] {
        ring.arena_word(place)
            .ok_or_else(no_arena)?
            .store(0, Ordering::SeqCst);
    }
    let number = ring.call(echo::PINGPONG, 0, &[PLACE as u64, rounds])?;
    let no_arena = || ring.lost("the slice has no arena");
    let own = ring.arena_word(PLACE).ok_or_else(no_arena)?;
    let other = ring.arena_word(PLACE + echo::LINE).ok_or_else(no_arena)?;
    for round in 1..=rounds {
        // The first waits for the host to begin.
        if round == 2 {
            clock.begin();
        }
        own.store(round, Ordering::Release);
        let done = ring.until(PATIENCE, || match other.load(Ordering::Acquire) == round {
            true => Some(true),
            false => ring
                .poll(0, number)
                .map(|_| other.load(Ordering::Acquire) == round),
        })?;
        if done != Some(true) {
            break;
        }
        if round > 1 {
            clock.tick();
        }
    }
    let answer = ring.answer(0, number)?;
    match (answer.status, answer.inline().try_into()) {
        (0, Ok(bytes)) => Ok(Some(u64::from_le_bytes(bytes))),
        (0, Err(_)) => Err(ring.lost("the host answers with no number of rounds")),
        _ => Ok(None),
    }
}

/// Samples, each of a batch of round trips.
struct Clock {
    batch: u64,
    in_batch: u64,
    begun: Instant,
    samples: Vec<u64>,
}

impl Clock {
    fn new(count: u64) -> Self {
        let batch = match cost() > DEAR {
            true => BATCH,
            false => 1,
        };
        Self {
            batch,
            in_batch: 0,
            begun: Instant::now(),
            samples: Vec::with_capacity((count / batch) as usize + 1),
        }
    }

    /// A batch begins now.
    #[inline]
    fn begin(&mut self) {
        (self.in_batch, self.begun) = (0, Instant::now());
    }

    /// A round trip is done; gives whether that was the last of a batch, and the next has begun.
    #[inline]
    fn tick(&mut self) -> bool {
        self.in_batch += 1;
        if self.in_batch < self.batch {
            return false;
        }
        let now = Instant::now();
        let each = now.duration_since(self.begun).as_nanos() as u64 / self.batch;
        self.samples.push(each);
        (self.in_batch, self.begun) = (0, now);
        true
    }

    fn times(self) -> Times {
        Times::new(self.samples, self.batch)
    }
}

/// What a reading of the clock costs, most often.
fn cost() -> Duration {
    let mut costs: Vec<_> = (0..101)
        .map(|_| {
            let before = Instant::now();
            before.elapsed()
        })
        .collect();
    costs.sort_unstable();
    costs[50]
}
