//! One step of each half from any state, for random values near the ends of what there
//! can be: the rules of `steps/harness.rs`.

#[path = "steps/harness.rs"]
mod harness;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

thread_local! {
    static RANDOM: RefCell<fastrand::Rng> = const { RefCell::new(fastrand::Rng::with_seed(11)) };
    /// Values are near this one.
    static NEAR: Cell<u64> = const { Cell::new(0) };
    static PLACES: Cell<u32> = const { Cell::new(0) };
    static REACHED: RefCell<BTreeSet<u32>> = const { RefCell::new(BTreeSet::new()) };
}

fn any() -> u64 {
    RANDOM.with_borrow_mut(|random| match random.u8(..8) {
        0..4 => NEAR.get().wrapping_add(random.u64(..24) * 16),
        // A header, mostly of a length that fits.
        4 | 5 => (random.u64(..6) * 16) | (random.u64(..2) << 32),
        6 => random.u64(..1200),
        _ => random.u64(..),
    })
}

fn assume(holds: bool) -> bool {
    holds
}

fn places(count: u32) {
    PLACES.set(count);
}

fn reached(place: u32) {
    REACHED.with_borrow_mut(|reached| reached.insert(place));
}

#[test]
fn each_step_keeps_the_rules() {
    const TIMES: u32 = if cfg!(miri) { 200 } else { 200_000 };
    for (name, proof) in harness::ALL {
        for n in 0..TIMES {
            NEAR.set([0, u64::MAX - 255, 1 << 63, 0x1230][n as usize % 4] & !15);
            proof();
        }
        let reached = REACHED.take();
        let all: BTreeSet<_> = (0..PLACES.get()).collect();
        assert!(cfg!(miri) || reached == all, "{name}: {reached:?}");
    }
}
