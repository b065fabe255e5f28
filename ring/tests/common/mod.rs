//! Where things are in the slice of these tests.
#![allow(dead_code, reason = "each test uses a part of it")]

use vgpu_ring::layout::{LINE, Layout, Ring, SESSION};

/// A session's; Miri, which looks at each word whenever a slice is passed on, gets a
/// small one.
pub(crate) const LAYOUT: Layout = if cfg!(miri) { SMALL } else { SESSION };
pub(crate) const RING: Ring = LAYOUT.commands;
pub(crate) const LONGEST: usize = RING.longest_record();

const SMALL: Layout = Layout {
    commands: Ring {
        tail: LINE,
        head: 2 * LINE,
        data: 0x2800,
        size: 0x1000,
    },
    notices: Ring {
        tail: 8 * LINE,
        head: 9 * LINE,
        data: 0x3800,
        size: 0x400,
    },
    parked: 3 * LINE,
    waiters: 4 * LINE,
    fault: 5 * LINE,
    held: 6 * LINE,
    released: 7 * LINE,
    replies: 0x800,
    slots: 64,
    arena: 0x3c00,
};
