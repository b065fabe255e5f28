//! How long to look before sleeping.

use std::time::{Duration, Instant};

use vgpu_ring::Spin;

/// Looks that are made between two readings of the clock.
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
        std::hint::spin_loop();
        self.looks += 1;
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
        self.parked |= !again;
        again
    }
}
