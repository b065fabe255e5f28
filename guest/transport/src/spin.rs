//! How long to look before sleeping.

use std::time::{Duration, Instant};

use vgpu_ring::Spin;

/// Looks that come one after the other: most answers of a host that is awake come meanwhile. A pause, or a reading of the
/// clock, takes longer than the answer on a processor that is emulated, and a pause may leave a virtual one.
const AT_ONCE: u32 = 256;

/// Looks after those that are made between two readings of the clock.
const LOOKS: u32 = 32;

/// Spins for a while.
#[derive(Clone, Copy, Debug)]
pub struct SpinFor {
    budget: Duration,
    end: Option<Instant>,
    looks: u32,
}

impl SpinFor {
    /// What a guest's thread spins by default: an answer of a host that is awake
    /// comes within a microsecond or two.
    pub const GUEST: Self = Self::new(Duration::from_micros(20));

    /// Spins so long.
    #[must_use]
    pub const fn new(budget: Duration) -> Self {
        Self {
            budget,
            end: None,
            looks: 0,
        }
    }
}

impl Spin for SpinFor {
    #[inline]
    fn again(&mut self) -> bool {
        self.looks = self.looks.wrapping_add(1);
        if self.end.is_none() && self.looks < AT_ONCE {
            return true;
        }
        std::hint::spin_loop();
        if !self.looks.is_multiple_of(LOOKS) {
            return true;
        }
        let now = Instant::now();
        now < *self.end.get_or_insert(now + self.budget)
    }
}

/// How a worker spins after its last record: longer while that pays.
#[derive(Clone, Copy, Debug)]
pub struct HostSpin {
    budget: Duration,
    current: SpinFor,
    parked: bool,
    awake: bool,
}

impl HostSpin {
    const LEAST: Duration = Duration::from_micros(50);
    const MOST: Duration = Duration::from_micros(200);

    /// Begins with the least.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            budget: Self::LEAST,
            current: SpinFor::new(Self::LEAST),
            parked: false,
            awake: false,
        }
    }

    /// Never parks: nobody has to ring, and a processor is busy all the time.
    #[must_use]
    pub const fn awake() -> Self {
        Self {
            awake: true,
            ..Self::new()
        }
    }

    /// To be called before each wait: learns from the last one.
    pub fn renew(&mut self) {
        self.budget = match self.parked {
            true => Self::LEAST,
            false => Self::MOST.min(self.budget * 2),
        };
        (self.current, self.parked) = (SpinFor::new(self.budget), false);
    }
}

impl Default for HostSpin {
    fn default() -> Self {
        Self::new()
    }
}

impl Spin for &mut HostSpin {
    #[inline]
    fn again(&mut self) -> bool {
        let again = !self.parked && self.current.again();
        self.parked |= !again && !self.awake;
        again || self.awake
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long it spins until it parks; `None` where it does not within so long.
    fn spins(mut spin: &mut HostSpin, limit: Duration) -> Option<Duration> {
        spin.renew();
        let start = Instant::now();
        while spin.again() {
            if start.elapsed() > limit {
                return None;
            }
        }
        Some(start.elapsed())
    }

    #[test]
    fn a_host_waits_for_the_next_record_and_longer_while_that_pays() {
        const LONG: Duration = Duration::from_secs(5);
        let mut spin = HostSpin::new();
        // Nothing that was waited for came.
        for _ in 0..3 {
            spins(&mut spin, LONG).unwrap();
            let after = spins(&mut spin, LONG).unwrap();
            assert!(after >= HostSpin::LEAST, "{after:?}");
        }
        // Each time something came.
        for _ in 0..4 {
            spin.renew();
            assert!((&mut spin).again());
        }
        let after = spins(&mut spin, LONG).unwrap();
        assert!(after >= HostSpin::MOST, "{after:?}");
        assert!(!(&mut spin).again(), "it stays parked");
    }

    #[test]
    fn one_that_is_awake_never_parks() {
        let mut spin = HostSpin::awake();
        assert_eq!(spins(&mut spin, 10 * HostSpin::MOST), None);
        assert!((&mut spin).again());
    }
}
