//! Whether a host that sleeps is woken by its doorbell, each time.

use std::time::{Duration, Instant};

use vgpu_direct::{Channel, Registers};
use vgpu_ring::echo;
use vgpu_terminal::Failure;

use super::progress::Progress;
use super::report::{Parks, Times};

/// How long a host may be awake that has nothing to do.
const SLEEPS: Duration = Duration::from_secs(2);

/// How long it may take to wake up.
const WAKES: Duration = Duration::from_secs(1);

/// Wakes the host so often. No parks where it does not sleep at all.
pub(super) fn wake<R: Registers>(
    ring: &mut Channel<'_, R>,
    parks: u64,
    progress: &mut Progress,
) -> Result<Parks, Failure> {
    let (mut late, mut samples) = (0, Vec::new());
    for park in 0..parks {
        let parked = ring.until(SLEEPS, || ring.is_parked().then_some(()))?;
        if parked.is_none() {
            break;
        }
        let start = Instant::now();
        // It rings, as the host is parked.
        let number = ring.call(echo::ECHO, 0, &[park])?;
        if ring.answer_within(WAKES, 0, number)?.is_none() {
            late += 1;
            ring.ring();
            ring.answer(0, number)?;
        }
        samples.push(start.elapsed().as_nanos() as u64);
        progress.show("wake-ups", park, parks);
    }
    let times = Times::new(samples, 1);
    Ok(Parks {
        count: times.count,
        late,
        p50_ns: times.p50_ns,
        p99_ns: times.p99_ns,
    })
}
