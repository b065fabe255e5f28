//! What has to hold of the ring's code for any values: of its indices, at any place of
//! their 64 bits, of what the other side writes, and of what is asked for. A function
//! begins with any state that there can be, does one step, and holds what comes out
//! against the rules, among them that the state is again one that there can be.

use core::sync::atomic::Ordering;

use vgpu_ring::layout::{INLINE_REPLY, LINE, Layout, Ring};
use vgpu_ring::{
    Consumer, Fault, HEADER_SIZE, Header, Memory, Next, PAD, Producer, PushError, Record, Replies,
    Slice, Word,
};

use crate::random::{any, assume, places, reached};

/// Records have at most 64 bytes: with more, there are only more paths through the loop
/// that copies them.
const RING: Ring = Ring {
    tail: 0,
    head: 8,
    data: 128,
    size: 256,
};
const REPLIES: usize = RING.data + RING.size;
const SLOTS: usize = 2;

static LAYOUT: Layout = Layout {
    commands: RING,
    notices: RING,
    parked: 16,
    waiters: 24,
    fault: 32,
    held: 40,
    released: 48,
    replies: REPLIES,
    slots: SLOTS,
    arena: REPLIES + SLOTS * LINE,
};

const WORDS: usize = LAYOUT.arena / 8;

/// Words that give any value whenever they are read, as the other side may write at any
/// time, and that one half alone writes, in its own places.
macro_rules! words {
    ($word:ident, $memory:ident, $own:expr) => {
        /// Its place alone counts.
        struct $word(#[allow(dead_code)] u64);

        static $memory: [$word; WORDS] = [const { $word(0) }; WORDS];

        impl $word {
            fn written(&self) {
                let offset = core::ptr::from_ref(self).addr() - $memory.as_ptr().addr();
                let own: fn(usize) -> bool = $own;
                assert!(own(offset), "written by another half");
            }
        }

        impl Word for $word {
            fn load(&self, _: Ordering) -> u64 {
                any()
            }

            fn store(&self, _: u64, _: Ordering) {
                self.written();
            }

            fn swap(&self, _: u64, _: Ordering) -> u64 {
                self.written();
                any()
            }

            fn fetch_add(&self, _: u64, _: Ordering) -> u64 {
                any()
            }

            fn fence(_: Ordering) {}
        }
    };
}

words!(ByProducer, PRODUCERS, |at| at == RING.tail
    || (RING.data..RING.data + RING.size).contains(&at));
words!(ByConsumer, CONSUMERS, |at| at == RING.head);
words!(ByHost, HOSTS, |at| (REPLIES..LAYOUT.arena).contains(&at));

fn slice<W: Word>(words: &'static [W]) -> Slice<&'static [W]> {
    Slice::new(words, &LAYOUT).expect("it is large enough")
}

/// Whether a producer and a consumer can be there.
fn possible(tail: u64, head: u64) -> bool {
    let aligned = tail.is_multiple_of(16) && head.is_multiple_of(16);
    aligned && tail.wrapping_sub(head) <= RING.size as u64
}

/// Where in the ring a count of bytes is.
fn place(count: u64) -> usize {
    count as usize % RING.size
}

/// A record is put where it fits, in one piece, behind a pad to the ring's end where need
/// be; or there is no room for it, or it is too long, or the consumer's index cannot be.
pub(crate) fn a_push_fits() {
    places(6);
    let (tail, head) = (any(), any());
    if !assume(possible(tail, head)) {
        return;
    }
    let length = any() as usize & 63;
    let whole = (HEADER_SIZE + length).next_multiple_of(16) as u64;
    let mut producer = Producer::at(slice(&PRODUCERS), RING, [tail, head]);
    let header = Header {
        op: 1,
        ..Header::default()
    };
    let pushed = producer.push(header, &[], &[0; 64][..length]);
    let [after, seen] = producer.indices();
    assert!(possible(after, seen));
    let to_end = (RING.size - place(tail)) as u64;
    let pad = if whole > to_end { to_end } else { 0 };
    match pushed {
        Ok(()) => {
            assert_eq!(after, tail.wrapping_add(pad + whole));
            assert!(place(tail.wrapping_add(pad)) as u64 + whole <= RING.size as u64);
            reached(if pad > 0 { 1 } else { 0 });
            // Counts go round.
            if after < tail {
                reached(2);
            }
        }
        Err(PushError::TooLong) => {
            assert!(whole > RING.longest_record() as u64 && after == tail);
            reached(3);
        }
        Err(PushError::Full) => {
            let room = RING.size as u64 - tail.wrapping_sub(seen);
            assert!(room < pad + whole && after == tail);
            reached(4);
        }
        Err(PushError::Fault(fault)) => {
            let Fault::Index {
                tail: own,
                head: new,
            } = fault
            else {
                panic!("{fault}");
            };
            // Back, past what was written, or where no record begins.
            let forward = new.wrapping_sub(head) <= tail.wrapping_sub(head);
            assert!(!forward || !new.is_multiple_of(16));
            assert!(own == tail && after == tail && seen == head);
            reached(5);
        }
    }
}

/// A record that is taken is whole, in one piece and in what was written; what is refused
/// is against the protocol, and is refused for good.
pub(crate) fn what_is_taken_is_whole() {
    places(6);
    let (head, tail, published) = (any(), any(), any());
    let behind = head.wrapping_sub(published);
    if !assume(possible(tail, head) && behind <= RING.size as u64) {
        return;
    }
    let mut consumer = Consumer::at(slice(&CONSUMERS), RING, [head, tail, published]);
    let mut record = Record::boxed();
    let found = consumer.next(&mut record);
    let [after, seen, told] = consumer.indices();
    let more = seen.wrapping_sub(after);
    match found {
        Ok(Next::Empty) => {
            assert!(head == tail && after == head && seen == head && told == head);
            reached(0);
        }
        Ok(Next::Record) => {
            assert!(possible(seen, after) && after.wrapping_sub(told) <= RING.size as u64);
            let (header, length) = (record.header(), record.payload().len() + HEADER_SIZE);
            assert!(header.len as usize == length && header.op != PAD);
            assert!(length <= RING.longest_record());
            let from = after.wrapping_sub(length as u64);
            assert!(place(from) + length <= RING.size);
            let skipped = from.wrapping_sub(head);
            assert!(skipped == 0 || place(head) as u64 + skipped == RING.size as u64);
            reached(if skipped > 0 { 2 } else { 1 });
            // What it has not looked for is not newer than what it was told before.
            assert!(head == tail || seen == tail);
        }
        Err(fault) => {
            match fault {
                Fault::Index {
                    tail: new,
                    head: own,
                } => {
                    assert!(own == head && !possible(new, head));
                    reached(3);
                }
                Fault::Length { at, len } => {
                    let left = seen.wrapping_sub(at).min((RING.size - place(at)) as u64);
                    let most = left.min(RING.longest_record() as u64);
                    let valid = len.is_multiple_of(16) && (16..=most).contains(&len.into());
                    assert!(!valid);
                    reached(4);
                }
                Fault::Pad { at, len } => {
                    // It does not reach the end, nothing follows, or one does.
                    let reaches = place(at) + len as usize == RING.size;
                    assert!(!reaches || more == 0 || place(at) == 0);
                    reached(5);
                }
            }
            assert!(consumer.next(&mut record) == Err(fault) && consumer.ready());
        }
    }
}

/// An answer goes into a slot that there is, if it fits.
pub(crate) fn an_answer_has_a_slot() {
    places(1);
    let (slot, seq, status) = (any() as u8, any() as u32, any() as i32);
    let replies = Replies::new(slice(&HOSTS));
    for length in [0, 1, 8, 63, INLINE_REPLY, INLINE_REPLY + 1] {
        let posted = replies.post(slot, seq, status, &[0; INLINE_REPLY + 1][..length]);
        let fits = usize::from(slot) < SLOTS && length <= INLINE_REPLY;
        assert_eq!(posted.is_ok(), fits);
    }
    reached(0);
}

/// What is found in a slot is no longer than a slot, whatever it says.
pub(crate) fn an_answer_is_no_longer_than_a_slot() {
    places(2);
    let (slot, seq) = (any() as u8, any() as u32);
    let replies = Replies::new(slice(&HOSTS));
    match replies.poll(slot, seq) {
        Some(reply) => {
            let length = reply.inline().len();
            assert!(length <= INLINE_REPLY && length <= reply.len as usize);
            assert!(usize::from(slot) < SLOTS);
            reached(0);
        }
        None => reached(1),
    }
}

/// A range of memory is reached if and only if all of it is there.
pub(crate) fn a_range_is_in_the_memory() {
    places(2);
    let offset = any() as usize;
    let memory: &[ByHost] = &HOSTS;
    for length in [1, 7, 8, 9, 24] {
        let inside = offset
            .checked_add(length)
            .is_some_and(|end| end <= WORDS * 8);
        assert_eq!(memory.read(offset, &mut [0; 24][..length]), inside);
        reached(u32::from(inside));
    }
    // What is empty reads nothing.
    let _ = memory.read(offset, &mut []);
}

/// All of them.
pub(crate) const ALL: &[(&str, fn())] = &[
    ("a_push_fits", a_push_fits),
    ("what_is_taken_is_whole", what_is_taken_is_whole),
    ("an_answer_has_a_slot", an_answer_has_a_slot),
    (
        "an_answer_is_no_longer_than_a_slot",
        an_answer_is_no_longer_than_a_slot,
    ),
    ("a_range_is_in_the_memory", a_range_is_in_the_memory),
];
