//! A guest's segment directories, and what the daemon answers: what is shared is what a second reader finds, page by page.

mod guest;
mod reference;

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Arc, Mutex};

use vgpu_abi::link::{self, Message, Piece};
use vgpu_abi::segment::PAGE;
use vgpu_channels::{Channels, Daemon, Limits, Outcome};
use vgpu_device::{HostState, Request, Task};

use super::given::EVENT;
use crate::Input;
use guest::{Guest, PAGES};
use reference::{Asked, LIMITS, Reference};

/// What was sent last: the message, and its pages, as files and pages of them.
type Sent = Arc<Mutex<Option<(Message, Vec<(i32, u64)>)>>>;

/// A daemon's end that keeps what it gets, and holds its form against the rules.
#[derive(Debug)]
struct Recorder(Sent);

impl Daemon for Recorder {
    fn send(
        &mut self,
        message: &Message,
        pieces: &[Piece],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), rustix::io::Errno> {
        let files = message.files as usize;
        assert_eq!(message.pieces as usize, pieces.len());
        assert!(
            descriptors.len() < link::DESCRIPTORS,
            "one more is the list"
        );
        let events = descriptors.len() - files;
        assert_eq!(events, if message.kind == link::OPEN { 2 } else { 0 });
        let mut pages = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            assert!(piece.length > 0 && piece.length.is_multiple_of(PAGE));
            assert!(piece.offset.is_multiple_of(PAGE) && piece.reserved == 0);
            let file = descriptors[events..][piece.file as usize].as_raw_fd();
            let after = index.checked_sub(1).map(|before| pieces[before]);
            let joins = after.is_some_and(|before| {
                before.file == piece.file && before.offset + before.length == piece.offset
            });
            assert!(!joins, "neighbours are one piece");
            let first = piece.offset / PAGE;
            pages.extend((first..first + piece.length / PAGE).map(|page| (file, page)));
        }
        if !pieces.is_empty() {
            assert_eq!(message.length, pages.len() as u64 * PAGE);
        }
        *self.0.lock().expect("no panic") = Some((*message, pages));
        Ok(())
    }
}

/// Both sides, and what has to become of it.
struct Bed {
    channels: Channels,
    guest: Guest,
    reference: Reference,
    sent: Sent,
    number: u32,
}

impl Bed {
    fn new() -> Self {
        let limits = Limits {
            channels: LIMITS.0,
            regions: LIMITS.1,
            bytes: LIMITS.2,
        };
        Self {
            channels: Channels::new([1; 16], limits, Arc::clone(&EVENT)),
            guest: Guest::new(),
            reference: Reference::default(),
            sent: Sent::default(),
            number: 0,
        }
    }

    fn take_sent(&self) -> Option<(Message, Vec<(i32, u64)>)> {
        self.sent.lock().expect("no panic").take()
    }

    fn connect(&mut self) {
        let recorder = Recorder(Arc::clone(&self.sent));
        assert_eq!(self.channels.connected(Box::new(recorder)), None);
        let sent = self.take_sent().map(|(message, _)| message.kind);
        assert_eq!(sent, Some(link::ATTACH));
        self.reference.connected = true;
    }

    fn ask(&mut self, task: Task) {
        self.number = self.number.wrapping_add(1);
        let number = self.number;
        let expected = self.reference.request(number, task, &self.guest);
        self.guest.begin();
        let found = self.channels.request(Request { number, task }, &self.guest);
        let sent = self.take_sent();
        if self.guest.end() {
            // It has changed after it was read once.
            assert!(matches!(found, Some(Outcome::Complete(n, Err(_))) if n == number));
            assert_eq!(sent, None, "the daemon has heard of it");
            return self.reference.undo();
        }
        match expected {
            Ok(Asked::Nobody(answer)) => {
                assert_eq!(found, Some(Outcome::Complete(number, Ok(answer))));
            }
            Ok(Asked::Daemon(pages)) => {
                assert_eq!(found, None, "{task:?}");
                assert_eq!(sent.map(|(_, pages)| pages), Some(pages), "{task:?}");
            }
            Err(code) => assert_eq!(found, Some(Outcome::Complete(number, Err(code)))),
        }
    }

    /// The daemon, where there is one, says something; what it says may make no sense.
    fn hear(&mut self, message: &Message) {
        if !self.reference.connected {
            return;
        }
        let expected = self.reference.received(message);
        let found = self.channels.received(message, None).map_err(drop);
        // What a reset takes again is asked for again.
        let again = self.take_sent().map(|(message, _)| message.kind);
        assert_eq!(again, self.reference.take_again(), "{message:?}");
        assert_eq!(found, expected, "{message:?}");
    }

    fn holds(&self) {
        let held = self.reference.holds_nothing();
        assert_eq!(self.channels.holds_nothing(), held);
        let given_up = held && self.reference.resets == 0;
        assert_eq!(self.channels.are_given_up(), given_up);
    }
}

/// Segments of small numbers, which are most often good ones.
fn directory(input: &mut Input<'_>, guest: &mut Guest) -> (u64, u64) {
    let (at, count) = (u64::from(input.u8() % 4), input.u8() % 24);
    let mut length = 0;
    let mut words = vec![0; 2 + usize::from(count)];
    for word in &mut words[2..] {
        let (page, order) = (u64::from(input.u16()) % PAGES, input.u8() % 8);
        let order = order.saturating_sub(3);
        *word = (page * PAGE) | u64::from(order);
        length += PAGE << order;
    }
    let next = match input.u8() {
        next @ 0..8 => u64::from(next) * PAGE,
        _ => 0,
    };
    words[0] = u64::from(vgpu_abi::segment::MAGIC) | u64::from(count) << 32;
    words[1] = next;
    guest.write(at, 0, &words);
    (at * PAGE, length)
}

pub(super) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut bed = Bed::new();
    bed.connect();
    let ready = Message {
        kind: link::STATE,
        status: 1,
        ..Message::default()
    };
    bed.hear(&ready);
    let mut last = (0, 0);
    while !input.is_empty() {
        let op = input.u8();
        match op % 16 {
            0 | 1 => last = directory(&mut input, &mut bed.guest),
            2 => {
                let (page, word) = (input.u8(), input.u16());
                let value = input.u64();
                bed.guest.write(page.into(), word.into(), &[value]);
            }
            // It changes after it was read so many times.
            3 => bed.guest.change_after(input.u8() % 6),
            4..=6 => {
                let (directory, length) = match op & 0xc0 {
                    0xc0 => (input.u64(), input.u64()),
                    0x80 => (last.0, u64::from(input.u8()) * PAGE),
                    _ => last,
                };
                bed.ask(match op % 16 {
                    4 | 5 => Task::Open { directory, length },
                    _ => Task::Add {
                        channel: (op >> 4 & 3).into(),
                        directory,
                        length,
                    },
                });
            }
            7 if op & 0x10 != 0 => bed.ask(Task::Look {
                channel: (input.u8() % 6).into(),
            }),
            7 => bed.ask(Task::Close {
                channel: (op >> 4).into(),
            }),
            8 => bed.ask(Task::Delete {
                channel: (op >> 4).into(),
                region: (input.u8() % 5).into(),
            }),
            9 if op & 0x10 == 0 => bed.ask(Task::Start { page: input.u64() }),
            9 => bed.ask(Task::Start {
                page: u64::from(input.u16()) % PAGES * PAGE,
            }),
            10 => bed.ask(Task::Stop),
            // The daemon has done what it was asked for, or not.
            11 | 12 => {
                let done = bed.reference.answer((op >> 4).into());
                bed.hear(&done);
            }
            13 => {
                let kinds = [link::STATE, link::DONE, link::LOST, 0];
                let message = Message {
                    kind: kinds[usize::from(op >> 4) % 4],
                    of: (input.u8() % 9).into(),
                    status: (input.u8() % 3).into(),
                    channel: (input.u8() % 6).into(),
                    region: (input.u8() % 4).into(),
                    ..Message::default()
                };
                bed.hear(&message);
            }
            14 if op & 0x80 == 0 => {
                let number = bed.reference.revoked.wrapping_add(1);
                let expected = bed.reference.revoke(number);
                let found = bed.channels.revoke(number);
                let sent = bed.take_sent().map(|(message, _)| message.kind);
                assert_eq!(sent, bed.reference.take_again());
                assert_eq!(found, expected);
            }
            14 => {
                let expected = bed.reference.disconnected();
                assert_eq!(bed.channels.disconnected(), Some(expected));
                if op & 0x40 == 0 {
                    bed.connect();
                }
            }
            _ => {
                let first = u64::from(input.u16()) % PAGES * PAGE;
                let last = first + u64::from(input.u16()) * 16;
                let found = bed.channels.unmapped(first, last);
                assert_eq!(found, bed.reference.has_memory_in(first, last));
                bed.channels.ring((op >> 4).into());
            }
        }
        bed.holds();
    }
    let lost = bed.channels.disconnected();
    assert!(matches!(
        lost,
        Some(Outcome::State(HostState::Lost | HostState::NoDaemon, _))
    ));
    assert!(bed.channels.are_given_up());
}
