//! Where everything lies in a session's slice. Offsets and sizes are in bytes.
//!
//! What lies in no part is reserved, and 0. What comes from the host are answers,
//! the fault, and notices, which are there before the answer that follows them.
//! Commands are done in their order, so that the command ring's head tells the
//! progress of every stream. An engine for which that does not hold needs words
//! for streams; they are to lie in what is reserved.

/// The bytes of a cache line, times two: the prefetcher of x86-64 fetches pairs.
pub const LINE: usize = 128;
/// What the offsets of records and their lengths are multiples of.
pub const ALIGN: usize = 16;
/// The default size of a slice: two chunks of 2 MiB.
pub const SLICE_SIZE: usize = 4 << 20;
/// The size of the pieces into which the arena is cut.
pub const ARENA_PIECE: usize = 512 << 10;
/// The number of reply slots.
pub const SLOTS: usize = 64;
/// The bytes of a reply that fit into its slot.
pub const INLINE_REPLY: usize = 112;

/// What a half's version begins with, its first four bytes: "VGPU".
pub const MAGIC: u32 = 0x5550_4756;
/// The version of the session ABI.
pub const SESSION_ABI: u32 = 5;

/// Which version the guest speaks, as [`crate::version`] has it. In no version does it lie elsewhere.
pub const GUEST_VERSION: usize = 0x0000;
/// Free-running count of the command bytes that the guest has published.
pub const COMMAND_TAIL: usize = 0x0080;
/// Free-running count of the command bytes that the host has consumed.
pub const COMMAND_HEAD: usize = 0x0100;
/// A u32 that is not 0: the host sleeps and wants to be woken. The u32 behind it counts
/// how often it has: the guest may ring once each time. A host that does not count has 0.
pub const HOST_PARKED: usize = 0x0180;
/// A u32, the number of guest threads that sleep and want to be woken, and behind it a
/// count as the host's.
pub const GUEST_WAITERS: usize = 0x0200;
/// The sticky fault of the session.
pub const HOST_FAULT: usize = 0x0280;
/// How many points of the commands the host has reached where it waits for the guest.
pub const HOST_HELD: usize = 0x0300;
/// How many of them the guest lets it go on from.
pub const GUEST_RELEASED: usize = 0x0380;
/// Free-running count of the notice bytes that the host has published.
pub const NOTICE_TAIL: usize = 0x0400;
/// Free-running count of the notice bytes that the guest has consumed.
pub const NOTICE_HEAD: usize = 0x0480;
/// Which version the host speaks, as [`crate::version`] has it. In no version does it lie elsewhere.
pub const HOST_VERSION: usize = 0x0500;
/// The reply slots.
pub const REPLIES: usize = 0x1000;
/// The notice ring.
pub const NOTICE_RING: usize = 0x1_0000;
/// The size of the notice ring.
pub const NOTICE_SIZE: usize = 64 << 10;
/// The command ring.
pub const COMMAND_RING: usize = 0x4_0000;
/// The size of the command ring.
pub const COMMAND_SIZE: usize = 256 << 10;
/// The arena: from here to the end of the slice.
pub const ARENA: usize = 0x10_0000;

/// A ring of records with one producer and one consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Where the producer's index lies.
    pub tail: usize,
    /// Where the consumer's index lies.
    pub head: usize,
    /// Where the records lie.
    pub data: usize,
    /// The bytes for records, a power of two.
    pub size: usize,
}

impl Ring {
    /// The length of the longest record, its header included. With a quarter
    /// of the ring, a record and the pad before it always fit.
    #[must_use]
    pub const fn longest_record(&self) -> usize {
        self.size / 4
    }
}

/// The offsets of a slice as the two halves use them. Sessions have
/// [`SESSION`]; models of the protocol have smaller ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// From the guest to the host.
    pub commands: Ring,
    /// From the host to the guest.
    pub notices: Ring,
    /// See [`HOST_PARKED`].
    pub parked: usize,
    /// See [`GUEST_WAITERS`].
    pub waiters: usize,
    /// See [`HOST_FAULT`].
    pub fault: usize,
    /// See [`HOST_HELD`].
    pub held: usize,
    /// See [`GUEST_RELEASED`].
    pub released: usize,
    /// The first reply slot; the others follow every [`LINE`] bytes.
    pub replies: usize,
    /// The number of reply slots, at most 255.
    pub slots: usize,
    /// Where the arena begins: the least size of a slice.
    pub arena: usize,
}

/// The layout of every session's slice.
pub const SESSION: Layout = Layout {
    commands: Ring {
        tail: COMMAND_TAIL,
        head: COMMAND_HEAD,
        data: COMMAND_RING,
        size: COMMAND_SIZE,
    },
    notices: Ring {
        tail: NOTICE_TAIL,
        head: NOTICE_HEAD,
        data: NOTICE_RING,
        size: NOTICE_SIZE,
    },
    parked: HOST_PARKED,
    waiters: GUEST_WAITERS,
    fault: HOST_FAULT,
    held: HOST_HELD,
    released: GUEST_RELEASED,
    replies: REPLIES,
    slots: SLOTS,
    arena: ARENA,
};

/// Who writes a part of the slice. Both can: the rest is protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// The guest's program.
    Guest,
    /// The host.
    Host,
    /// Both.
    Both,
}

/// A part of the slice.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// What it is called in documents.
    pub name: &'static str,
    /// Where it begins.
    pub offset: usize,
    /// How long it is. The arena's is the one of a slice of [`SLICE_SIZE`].
    pub size: usize,
    /// Who writes it.
    pub writer: Writer,
}

/// The whole slice, by offset.
pub const PARTS: &[Part] = &[
    part("guest version", GUEST_VERSION, LINE, Writer::Guest),
    part("command tail", COMMAND_TAIL, LINE, Writer::Guest),
    part("command head", COMMAND_HEAD, LINE, Writer::Host),
    part("host parked", HOST_PARKED, LINE, Writer::Host),
    part("guest waiters", GUEST_WAITERS, LINE, Writer::Guest),
    part("fault", HOST_FAULT, LINE, Writer::Host),
    part("held", HOST_HELD, LINE, Writer::Host),
    part("released", GUEST_RELEASED, LINE, Writer::Guest),
    part("notice tail", NOTICE_TAIL, LINE, Writer::Host),
    part("notice head", NOTICE_HEAD, LINE, Writer::Guest),
    part("host version", HOST_VERSION, LINE, Writer::Host),
    part("reply slots", REPLIES, SLOTS * LINE, Writer::Host),
    part("notice ring", NOTICE_RING, NOTICE_SIZE, Writer::Host),
    part("command ring", COMMAND_RING, COMMAND_SIZE, Writer::Guest),
    part("arena", ARENA, SLICE_SIZE - ARENA, Writer::Both),
];

const fn part(name: &'static str, offset: usize, size: usize, writer: Writer) -> Part {
    Part {
        name,
        offset,
        size,
        writer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other_on_lines_of_their_own() {
        for pair in PARTS.windows(2) {
            assert!(pair[0].offset + pair[0].size <= pair[1].offset, "{pair:?}");
        }
        for part in PARTS {
            assert_eq!(part.offset % LINE, 0, "{part:?}");
            assert!(part.offset + part.size <= SLICE_SIZE, "{part:?}");
        }
    }

    #[test]
    fn a_record_and_its_pad_fit_a_ring() {
        for (ring, longest) in [(SESSION.commands, 64 << 10), (SESSION.notices, 16 << 10)] {
            assert!(ring.size.is_power_of_two());
            assert!(2 * ring.longest_record() <= ring.size);
            assert_eq!(ring.longest_record(), longest);
        }
    }
}
