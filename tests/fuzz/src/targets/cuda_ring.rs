//! A session's shared memory, in small, and two sides that write into it what
//! they like between two steps of the other.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use vgpu_ring::guest::{Answers, Command, Commands, Notices};
use vgpu_ring::host::{Host, Notifier};
use vgpu_ring::layout::{LINE, Layout, Ring};
use vgpu_ring::{Fault, Header, NO_SLOT, Next, PAD, PushError, Record, Slice, Wake};
use zerocopy::IntoBytes;

use crate::Input;

/// Records have at most 64 bytes, so that they wrap often.
const RING: Ring = Ring {
    tail: 0,
    head: 8,
    data: 128,
    size: 256,
};

/// The same the other way, with records of at most 32 bytes.
const NOTICES: Ring = Ring {
    tail: 56,
    head: 64,
    data: RING.data + RING.size,
    size: 128,
};

const REPLIES: usize = NOTICES.data + NOTICES.size;

static SMALL: Layout = Layout {
    commands: RING,
    notices: NOTICES,
    parked: 16,
    waiters: 24,
    fault: 32,
    held: 40,
    released: 48,
    replies: REPLIES,
    slots: 2,
    arena: REPLIES + 2 * LINE,
};

const WORDS: usize = SMALL.arena / 8 + 2;

type Words = [AtomicU64; WORDS];

struct Nobody;

impl Wake for &Nobody {
    fn wake(&self) {}
}

/// What a consumer has to make of the memory, written a second time, from the
/// words of the protocol: `Err` is its end.
struct Reference {
    ring: Ring,
    head: u64,
    seen: u64,
    over: bool,
}

impl Reference {
    const fn new(ring: Ring) -> Self {
        Self {
            ring,
            head: 0,
            seen: 0,
            over: false,
        }
    }

    fn next(&mut self, words: &Words) -> Result<Option<(Header, Vec<u8>)>, ()> {
        let found = if self.over { Err(()) } else { self.look(words) };
        self.over = found.is_err();
        found
    }

    fn look(&mut self, words: &Words) -> Result<Option<(Header, Vec<u8>)>, ()> {
        if self.head == self.seen {
            let tail = words[self.ring.tail / 8].load(Ordering::Relaxed);
            let more = tail.wrapping_sub(self.head);
            if more > self.ring.size as u64 || !tail.is_multiple_of(16) {
                return Err(());
            }
            self.seen = tail;
            if more == 0 {
                return Ok(None);
            }
        }
        let mut record = self.record(words)?;
        if record.0.op == PAD {
            let at = (self.head - u64::from(record.0.len)) as usize % self.ring.size;
            // It fills the ring's end, and a record follows.
            if at + record.0.len as usize != self.ring.size || self.head == self.seen {
                return Err(());
            }
            record = self.record(words)?;
            if record.0.op == PAD {
                return Err(());
            }
        }
        Ok(Some(record))
    }

    /// The record at the head.
    fn record(&mut self, words: &Words) -> Result<(Header, Vec<u8>), ()> {
        let at = self.head as usize % self.ring.size;
        let read = |at: usize| words[(self.ring.data + at) / 8].load(Ordering::Relaxed);
        let published = (self.seen - self.head) as usize;
        let longest = published.min(self.ring.size - at).min(self.ring.size / 4);
        let mut header = Header::default();
        let (first, second) = header.as_mut_bytes().split_at_mut(8);
        first.copy_from_slice(&read(at).to_le_bytes());
        second.copy_from_slice(&read(at + 8).to_le_bytes());
        let length = header.len as usize;
        if !(16..=longest).contains(&length) || !length.is_multiple_of(16) {
            return Err(());
        }
        self.head += length as u64;
        let payload = (at + 16..at + length).step_by(8);
        Ok((
            header,
            payload.flat_map(|at| read(at).to_le_bytes()).collect(),
        ))
    }
}

/// The memory as it has to be.
struct Shadow([u64; WORDS]);

impl Shadow {
    /// Whether nothing has changed since but in these places, of an offset and a
    /// size.
    fn changed_only(&mut self, words: &Words, places: &[(usize, usize)]) -> bool {
        for &(at, size) in places {
            let place = at / 8..(at + size) / 8;
            for (was, word) in self.0[place.clone()].iter_mut().zip(&words[place]) {
                *was = word.load(Ordering::Relaxed);
            }
        }
        // Without a branch for each, which a fuzzer would look at.
        let differ = |(was, word): (&u64, &AtomicU64)| was ^ word.load(Ordering::Relaxed);
        self.0
            .iter()
            .zip(words)
            .map(differ)
            .fold(0, |all, one| all | one)
            == 0
    }
}

thread_local! {
    static RECORD: RefCell<Box<Record>> = RefCell::new(Record::boxed());
}

/// Holds what a consumer takes against what it had to.
fn compare(
    next: impl FnOnce(&mut Record) -> Result<Next, Fault>,
    expected: &Result<Option<(Header, Vec<u8>)>, ()>,
) {
    RECORD.with_borrow_mut(|record| {
        let found = next(record);
        match (&found, expected) {
            (Ok(Next::Empty), Ok(None)) | (Err(_), Err(())) => {}
            (Ok(Next::Record), Ok(Some((header, payload)))) => {
                assert_eq!(record.header(), header);
                assert_eq!(record.payload(), payload);
            }
            _ => panic!("got {found:?} for {expected:?}"),
        }
    });
}

pub(super) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let words: Words = std::array::from_fn(|_| AtomicU64::new(0));
    let slice = Slice::new(words.as_slice(), &SMALL).expect("it is large enough");
    let mut host = Host::new(slice, &Nobody);
    let (mut commands, answers) = (Commands::new(slice), Answers::new(slice));
    let mut shadow = Shadow([0; WORDS]);
    let (mut notifier, mut notices) = (Notifier::new(slice), Notices::new(slice));
    let mut reference = Reference::new(RING);
    let mut of_notices = Reference::new(NOTICES);
    while !input.is_empty() {
        let step = input.u8();
        match step % 8 {
            // Somebody writes where it will.
            0 => {
                let n = usize::from(input.u8()) % WORDS;
                words[n].store(input.u64(), Ordering::Relaxed);
                shadow.changed_only(&words, &[(n * 8, 8)]);
            }
            // An index goes on, by a multiple of 16 or not.
            1 => {
                let indices = [RING.tail, RING.head, NOTICES.tail, NOTICES.head];
                let n = indices[usize::from(input.u8()) % 4] / 8;
                words[n].fetch_add(input.u8().into(), Ordering::Relaxed);
                shadow.changed_only(&words, &[(n * 8, 8)]);
            }
            // The worker sends a notice, as it should.
            2 | 3 if step & 8 != 0 => {
                let op = input.u16();
                let length = usize::from(input.u8()) % 32;
                let data = input.bytes(length);
                let sent = notifier.send(op, data);
                if data.len() > notifier.longest() {
                    assert_eq!(sent, Err(PushError::TooLong));
                }
                let own = [(NOTICES.tail, 8), (NOTICES.data, NOTICES.size)];
                assert!(shadow.changed_only(&words, &own));
            }
            // The program takes one.
            4..=6 if step & 8 != 0 => {
                compare(|record| notices.next(record), &of_notices.next(&words));
                assert!(shadow.changed_only(&words, &[(NOTICES.head, 8)]));
            }
            // The program sends a record, as it should.
            2 | 3 => {
                let command = Command {
                    op: input.u16(),
                    flags: input.u8(),
                    aux: input.u32(),
                };
                let slot = [NO_SLOT, 0, 1, 2][usize::from(input.u8()) % 4];
                let length = usize::from(input.u8()) % 64;
                let data = input.bytes(length);
                let position = commands.position();
                let sent = match slot {
                    NO_SLOT => commands.send(command, &[7], data, &&Nobody),
                    slot => commands.call(command, slot, &[7], data, &&Nobody),
                };
                assert_eq!(sent.is_ok(), commands.position() != position);
                if 24 + data.len() > RING.size / 4 {
                    assert_eq!(sent, Err(PushError::TooLong));
                }
                let own = [(RING.tail, 8), (RING.data, RING.size)];
                assert!(shadow.changed_only(&words, &own));
            }
            // The worker takes one.
            4..=6 => {
                compare(|record| host.next(record), &reference.next(&words));
                assert!(shadow.changed_only(&words, &[(RING.head, 8)]));
            }
            // It answers, and the program looks.
            _ => {
                let (slot, seq, status) = (input.u8(), input.u32(), input.u32().cast_signed());
                let length = usize::from(input.u8());
                let answer = input.bytes(length);
                let replied = host.answers().reply(slot, seq, status, answer);
                let there = usize::from(slot) < SMALL.slots;
                assert_eq!(replied.is_ok(), there && answer.len() <= LINE - 16);
                let place = (SMALL.replies + usize::from(slot) % 2 * LINE, LINE);
                assert!(shadow.changed_only(&words, &[place]));
                if replied.is_ok() {
                    let reply = answers.poll(slot, seq).expect("it was answered");
                    assert_eq!((reply.status, reply.inline()), (status, answer));
                }
            }
        }
        let seq = words[SMALL.replies / 8].load(Ordering::Relaxed) as u32;
        if let Some(reply) = answers.poll(0, seq) {
            assert!(reply.inline().len() <= LINE - 16);
        }
    }
}
