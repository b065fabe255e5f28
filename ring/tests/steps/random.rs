//! Random values, and places of a step that were come to. `cargo xtask prove` puts its own in place of
//! the functions that are not inlined.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

thread_local! {
    static RANDOM: RefCell<fastrand::Rng> = const { RefCell::new(fastrand::Rng::with_seed(11)) };
    /// Values are near this one.
    static NEAR: Cell<u64> = const { Cell::new(0) };
    static PLACES: Cell<u32> = const { Cell::new(0) };
    static REACHED: RefCell<BTreeSet<u32>> = const { RefCell::new(BTreeSet::new()) };
}

#[inline(never)]
pub(crate) fn any() -> u64 {
    RANDOM.with_borrow_mut(|random| match random.u8(..8) {
        0..4 => NEAR.get().wrapping_add(random.u64(..24) * 16),
        // A header, mostly of a length that fits.
        4 | 5 => (random.u64(..6) * 16) | (random.u64(..2) << 32),
        6 => random.u64(..1200),
        _ => random.u64(..),
    })
}

pub(crate) fn assume(holds: bool) -> bool {
    holds
}

#[inline(never)]
pub(crate) fn places(count: u32) {
    PLACES.set(count);
}

#[inline(never)]
pub(crate) fn reached(place: u32) {
    REACHED.with_borrow_mut(|reached| reached.insert(place));
}

/// Values are near this one from now on.
pub(crate) fn near(value: u64) {
    NEAR.set(value);
}

/// The places that were come to, and all that there are.
pub(crate) fn taken() -> (BTreeSet<u32>, BTreeSet<u32>) {
    (REACHED.take(), (0..PLACES.get()).collect())
}
