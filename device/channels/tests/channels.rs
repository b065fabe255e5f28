//! What a guest shares, and what of it is refused.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::io::{Errno, pwrite};
use vgpu_abi::link::{self, Message, Piece};
use vgpu_abi::mailbox::code;
use vgpu_abi::segment::{MAGIC, PAGES_MAX, PER_PAGE, Segment};
use vgpu_channels::{Channels, Daemon, Found, GuestMemory, Limits, Missing, Outcome};
use vgpu_device::{HostState, Request, Task};

const MIB: u64 = 1 << 20;
const DIRECTORY: u64 = 0x1000;
/// Where memory is that no other process could map.
const PRIVATE: u64 = 64 * MIB;

/// Where pages are none of the file's.
const ODD: u64 = 96 * MIB;

/// 16 MiB at 0 in one file, in two parts that are no neighbours in it; 1 MiB more that cannot be shared.
struct Guest {
    file: Arc<OwnedFd>,
    /// A page that changes after it was read so many times.
    changes: Mutex<Option<(u64, u32)>>,
    /// How often it was asked.
    asked: AtomicU32,
}

impl Guest {
    fn new() -> Self {
        let file = memfd_create("guest", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&file, 32 * MIB).unwrap();
        Self {
            file: Arc::new(file),
            changes: Mutex::new(None),
            asked: AtomicU32::new(0),
        }
    }

    fn write(&self, address: u64, words: &[u64]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let found = self.find(address).unwrap();
        pwrite(&*self.file, &bytes, found.offset).unwrap();
    }

    /// A page of a directory, whatever it says.
    fn page(&self, address: u64, magic: u32, count: u32, next: u64, words: &[u64]) {
        let head = [u64::from(magic) | u64::from(count) << 32, next];
        self.write(address, &[&head, words].concat());
    }

    fn directory(&self, segments: &[(u64, u32)]) {
        let words: Vec<_> = segments
            .iter()
            .map(|&(at, order)| at | u64::from(order))
            .collect();
        self.page(DIRECTORY, MAGIC, words.len() as u32, 0, &words);
    }
}

impl GuestMemory for Guest {
    fn find(&self, address: u64) -> Result<Found, Missing> {
        self.asked.fetch_add(1, Relaxed);
        if let Some((page, reads)) = &mut *self.changes.lock().unwrap()
            && *page == address
        {
            match reads.checked_sub(1) {
                Some(left) => *reads = left,
                None => drop(pwrite(&*self.file, &[0xff], address + 16)),
            }
        }
        let (offset, length) = match address {
            _ if address < 8 * MIB => (address, 8 * MIB - address),
            _ if address < 16 * MIB => (address + 8 * MIB, 16 * MIB - address),
            _ if (PRIVATE..PRIVATE + MIB).contains(&address) => return Err(Missing::NotShared),
            _ if (ODD..ODD + MIB).contains(&address) => (address - ODD + 512, ODD + MIB - address),
            _ => return Err(Missing::NotMemory),
        };
        Ok(Found {
            file: Arc::clone(&self.file),
            offset,
            length,
        })
    }
}

type Sent = Arc<Mutex<Vec<(Message, Vec<Piece>, usize)>>>;

#[derive(Debug, Clone, Default)]
struct Recorder(Sent);

impl Daemon for Recorder {
    fn send(
        &mut self,
        message: &Message,
        pieces: &[Piece],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), Errno> {
        let mut sent = self.0.lock().unwrap();
        sent.push((*message, pieces.to_vec(), descriptors.len()));
        Ok(())
    }
}

struct Bed {
    guest: Guest,
    channels: Channels,
    sent: Sent,
    number: u32,
}

impl Bed {
    fn new() -> Self {
        let interrupt = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let limits = Limits {
            channels: 2,
            regions: 3,
            bytes: 8 * MIB,
        };
        let mut channels = Channels::new([7; 16], limits, Arc::new(interrupt));
        let recorder = Recorder::default();
        let sent = Arc::clone(&recorder.0);
        assert_eq!(channels.connected(Box::new(recorder)), None);
        let mut bed = Self {
            guest: Guest::new(),
            channels,
            sent,
            number: 0,
        };
        assert_eq!(bed.last().0.kind, link::ATTACH);
        let ready = Message {
            kind: link::STATE,
            status: 1,
            ..Message::default()
        };
        let outcome = bed.channels.received(&ready, None).unwrap();
        assert_eq!(outcome, Some(Outcome::State(HostState::Ready, 0)));
        bed
    }

    fn last(&self) -> (Message, Vec<Piece>, usize) {
        self.sent.lock().unwrap().last().unwrap().clone()
    }

    fn ask(&mut self, task: Task) -> Option<Outcome> {
        self.number += 1;
        let number = self.number;
        self.channels.request(Request { number, task }, &self.guest)
    }

    fn open(&mut self, length: u64) -> Option<Outcome> {
        let directory = DIRECTORY;
        self.ask(Task::Open { directory, length })
    }

    fn refused(&mut self, length: u64) -> u16 {
        match self.open(length) {
            Some(Outcome::Complete(number, Err(code))) if number == self.number => code,
            other => panic!("{other:?}"),
        }
    }

    /// The daemon has done the last thing that it was asked for.
    fn done(&mut self, status: u32) -> Option<Outcome> {
        let (asked, ..) = self.last();
        let done = Message {
            kind: link::DONE,
            of: asked.kind,
            status,
            channel: asked.channel,
            region: asked.region,
            ..Message::default()
        };
        self.channels.received(&done, None).unwrap()
    }
}

#[test]
fn a_channel_gets_the_pieces_that_the_segments_name() {
    let mut bed = Bed::new();
    // Two neighbours, and a segment over the place where the file goes on elsewhere.
    bed.guest
        .directory(&[(2 * MIB, 0), (2 * MIB + 4096, 0), (4 * MIB, 11)]);
    // A segment of 8 MiB at 4 MiB is no aligned one, and need not be.
    assert_eq!(bed.refused(8 * MIB + 8192), code::LIMIT);
    bed.guest
        .directory(&[(2 * MIB, 0), (2 * MIB + 4096, 0), (7 * MIB, 9)]);
    let length = 8192 + 2 * MIB;
    assert_eq!(bed.open(length), None);
    let (message, pieces, descriptors) = bed.last();
    assert_eq!((message.kind, message.length), (link::OPEN, length));
    assert_eq!((message.pieces, message.files, descriptors), (3, 1, 3));
    let pieces: Vec<_> = pieces.iter().map(|it| (it.offset, it.length)).collect();
    assert_eq!(pieces, [(2 * MIB, 8192), (7 * MIB, MIB), (16 * MIB, MIB)]);
    // One thing at a time.
    assert_eq!(bed.refused(length), code::NOT_READY);
    bed.number -= 1;
    assert_eq!(
        bed.done(0),
        Some(Outcome::Complete(bed.number, Ok(Some(0))))
    );
    // The same memory is not shared twice, in part neither.
    bed.guest.directory(&[(2 * MIB + 4096, 0)]);
    assert_eq!(bed.refused(4096), code::OVERLAP);
    assert!(bed.channels.unmapped(0, 2 * MIB));
    assert!(!bed.channels.unmapped(3 * MIB, 4 * MIB));
}

#[test]
fn what_is_no_directory_is_refused() {
    let mut bed = Bed::new();
    let segment = Segment::word(2 * MIB, 0).unwrap();
    for (magic, count, next, word, expected) in [
        (MAGIC + 1, 1, 0, segment, code::DIRECTORY),
        (MAGIC, 0, 0, segment, code::DIRECTORY),
        (MAGIC, PER_PAGE + 1, 0, segment, code::DIRECTORY),
        (MAGIC, 1, 8, segment, code::DIRECTORY),
        (MAGIC, 1, DIRECTORY, segment, code::DIRECTORY),
        (MAGIC, 1, 20 * MIB, segment, code::NOT_MEMORY),
        (MAGIC, 1, 0, segment | 19, code::DIRECTORY),
        (MAGIC, 1, 0, segment | 1, code::DIRECTORY),
        (MAGIC, 1, 0, 20 * MIB, code::NOT_MEMORY),
        (MAGIC, 1, 0, !0xfff, code::DIRECTORY),
        (MAGIC, 1, 0, PRIVATE, code::NOT_SHARED),
        (MAGIC, 2, 0, segment, code::DIRECTORY),
    ] {
        bed.guest
            .page(DIRECTORY, magic, count, next, &[word, segment]);
        assert_eq!(
            bed.refused(4096),
            expected,
            "{magic:#x} {count} {next:#x} {word:#x}"
        );
    }
    // One that leads to itself is not followed for ever.
    bed.guest.page(DIRECTORY, MAGIC, 1, DIRECTORY, &[segment]);
    bed.guest.asked.store(0, Relaxed);
    assert_eq!(bed.refused(4096), code::DIRECTORY);
    assert!(bed.guest.asked.load(Relaxed) <= PAGES_MAX);
    bed.guest.page(DIRECTORY, MAGIC, 2, 0, &[segment, segment]);
    assert_eq!(bed.refused(8192), code::OVERLAP);
    bed.guest.directory(&[(2 * MIB, 0)]);
    for length in [0, 4097, 8192, !0xfff] {
        let code = bed.refused(length);
        assert!(
            [code::PARAMETERS, code::DIRECTORY, code::LIMIT].contains(&code),
            "{length:#x}: {code}"
        );
    }
    for directory in [0, 8, PRIVATE, u64::MAX] {
        let length = 4096;
        let outcome = bed.ask(Task::Open { directory, length });
        assert!(
            matches!(outcome, Some(Outcome::Complete(_, Err(_)))),
            "{directory:#x}"
        );
    }
    assert_eq!(
        bed.last().0.kind,
        link::ATTACH,
        "the daemon has heard of none"
    );
    assert!(bed.channels.holds_nothing());
}

#[test]
fn what_is_no_whole_page_of_a_file_is_refused() {
    let mut bed = Bed::new();
    let refused = |outcome| match outcome {
        Some(Outcome::Complete(_, Err(code))) => code,
        other => panic!("{other:?}"),
    };
    for (page, expected) in [
        (8, code::PARAMETERS),
        (20 * MIB, code::NOT_MEMORY),
        (PRIVATE, code::NOT_SHARED),
        (ODD, code::NOT_MEMORY),
    ] {
        assert_eq!(
            refused(bed.ask(Task::Start { page })),
            expected,
            "{page:#x}"
        );
    }
    bed.guest.directory(&[(ODD, 0)]);
    assert_eq!(bed.refused(4096), code::NOT_MEMORY);
    assert!(bed.channels.holds_nothing());
    let page = 2 * MIB;
    assert_eq!(bed.ask(Task::Start { page }), None);
}

#[test]
fn a_directory_that_changes_while_it_is_read_is_refused() {
    let mut bed = Bed::new();
    bed.guest.directory(&[(2 * MIB, 0)]);
    *bed.guest.changes.lock().unwrap() = Some((DIRECTORY, 1));
    assert_eq!(bed.refused(4096), code::DIRECTORY);
}

#[test]
fn scattered_memory_has_a_limit() {
    let mut bed = Bed::new();
    // Each second page, in a chain of pages: 2,000 pieces are allowed.
    let pages: Vec<_> = (0..1000).map(|n| 4 * MIB + n * 8192).collect();
    for (n, words) in pages.chunks(500).enumerate() {
        let at = DIRECTORY + n as u64 * 4096;
        let next = if n == 0 { at + 4096 } else { 0 };
        bed.guest.page(at, MAGIC, words.len() as u32, next, words);
    }
    assert_eq!(bed.open(1000 * 4096), None);
    assert_eq!(bed.last().1.len(), 1000);
}

#[test]
fn regions_have_numbers_of_their_own_and_go_when_the_daemon_has_done_it() {
    let mut bed = Bed::new();
    bed.guest.directory(&[(2 * MIB, 8)]);
    assert_eq!(bed.open(MIB), None);
    let _ = bed.done(0);
    bed.guest.directory(&[(3 * MIB, 8)]);
    let add = Task::Add {
        channel: 0,
        directory: DIRECTORY,
        length: MIB,
    };
    assert_eq!(bed.ask(add), None);
    assert_eq!(
        bed.done(0),
        Some(Outcome::Complete(bed.number, Ok(Some(1))))
    );
    let refused = |bed: &mut Bed, task| match bed.ask(task) {
        Some(Outcome::Complete(_, Err(code))) => code,
        other => panic!("{other:?}"),
    };
    for (channel, region) in [(0, 0), (0, 2), (1, 1), (u32::MAX, u32::MAX)] {
        let task = Task::Delete { channel, region };
        assert_eq!(refused(&mut bed, task), code::ABSENT, "{channel} {region}");
    }
    assert_eq!(refused(&mut bed, Task::Close { channel: 9 }), code::ABSENT);
    let delete = Task::Delete {
        channel: 0,
        region: 1,
    };
    assert_eq!(bed.ask(delete), None);
    assert!(bed.channels.unmapped(3 * MIB, 3 * MIB), "not yet");
    assert_eq!(bed.done(0), Some(Outcome::Complete(bed.number, Ok(None))));
    assert!(!bed.channels.unmapped(3 * MIB, 3 * MIB));
    assert_eq!(bed.ask(Task::Close { channel: 0 }), None);
    assert_eq!(bed.done(0), Some(Outcome::Complete(bed.number, Ok(None))));
    assert!(bed.channels.are_given_up());
}

#[test]
fn a_daemon_that_refuses_leaves_nothing() {
    let mut bed = Bed::new();
    bed.guest.directory(&[(2 * MIB, 8)]);
    assert_eq!(bed.open(MIB), None);
    assert_eq!(
        bed.done(22),
        Some(Outcome::Complete(bed.number, Err(code::HOST)))
    );
    assert!(bed.channels.holds_nothing());
    // Of its limits the guest is told: ENOMEM, ENOSPC; EPERM is a quarantine.
    for (errno, code) in [(12, code::LIMIT), (28, code::LIMIT), (1, code::HOST)] {
        assert_eq!(bed.open(MIB), None);
        let told = Some(Outcome::Complete(bed.number, Err(code)));
        assert_eq!(bed.done(errno), told, "{errno}");
        assert!(bed.channels.holds_nothing());
    }
    // Nobody waits for anything now.
    assert!(
        bed.channels
            .received(
                &Message {
                    kind: link::DONE,
                    ..Message::default()
                },
                None
            )
            .is_err()
    );
    assert!(
        bed.channels
            .received(
                &Message {
                    kind: 99,
                    ..Message::default()
                },
                None
            )
            .is_err()
    );
}

#[test]
fn a_channel_that_lost_its_worker_is_closed_without_the_daemon() {
    let mut bed = Bed::new();
    bed.guest.directory(&[(2 * MIB, 8)]);
    assert_eq!(bed.open(MIB), None);
    let _ = bed.done(0);
    let look = |bed: &mut Bed, channel| match bed.ask(Task::Look { channel }) {
        Some(Outcome::Complete(_, result)) => result,
        other => panic!("{other:?}"),
    };
    assert_eq!(look(&mut bed, 0), Ok(Some(1)));
    assert_eq!(look(&mut bed, 1), Err(code::ABSENT));
    let lost = Message {
        kind: link::LOST,
        ..Message::default()
    };
    assert_eq!(bed.channels.received(&lost, None), Ok(Some(Outcome::Lost)));
    assert_eq!(look(&mut bed, 0), Ok(Some(0)));
    let sent = bed.sent.lock().unwrap().len();
    let closed = bed.ask(Task::Close { channel: 0 });
    assert_eq!(closed, Some(Outcome::Complete(bed.number, Ok(None))));
    assert_eq!(bed.sent.lock().unwrap().len(), sent);
}

#[test]
fn a_reset_is_over_when_the_daemon_has_done_the_last_one() {
    let mut bed = Bed::new();
    assert_eq!(
        bed.channels.revoke(1),
        Some(Outcome::State(HostState::Ready, 1))
    );
    bed.guest.directory(&[(2 * MIB, 8)]);
    assert_eq!(bed.open(MIB), None);
    assert_eq!(bed.channels.revoke(2), None, "the daemon has to do it");
    assert!(!bed.channels.are_given_up());
    assert_eq!(bed.channels.revoke(3), None, "it is in work");
    // What was asked for before is of no interest.
    let stale = Message {
        kind: link::DONE,
        of: link::OPEN,
        ..Message::default()
    };
    assert_eq!(bed.channels.received(&stale, None), Ok(None));
    assert_eq!(bed.refused(MIB), code::NOT_READY);
    // A process that has not ended in time may still have it.
    let sent = bed.sent.lock().unwrap().len();
    assert_eq!(bed.done(110), None);
    assert_eq!(
        bed.sent.lock().unwrap().len(),
        sent + 1,
        "it is asked again"
    );
    assert!(!bed.channels.are_given_up());
    assert_eq!(bed.done(0), Some(Outcome::State(HostState::Ready, 3)));
    assert!(bed.channels.are_given_up());
}

/// The daemon answers each reset once: one that is taken for another's would be a breach.
#[test]
fn a_driver_that_stops_and_goes_at_once_is_one_reset() {
    let mut bed = Bed::new();
    bed.guest.directory(&[(2 * MIB, 8)]);
    assert_eq!(bed.open(MIB), None);
    let _ = bed.done(0);
    assert_eq!(bed.ask(Task::Stop), None);
    let sent = bed.sent.lock().unwrap().len();
    assert_eq!(bed.channels.revoke(1), None);
    assert_eq!(bed.sent.lock().unwrap().len(), sent);
    assert!(!bed.channels.are_given_up());
    assert_eq!(bed.done(0), Some(Outcome::State(HostState::Ready, 1)));
    assert_eq!(bed.open(MIB), None);
    assert_eq!(
        bed.done(0),
        Some(Outcome::Complete(bed.number, Ok(Some(0))))
    );
}

#[test]
fn without_a_daemon_all_is_lost_and_another_may_come() {
    let mut bed = Bed::new();
    bed.guest.directory(&[(2 * MIB, 8)]);
    assert_eq!(bed.open(MIB), None);
    assert_eq!(
        bed.channels.disconnected(),
        Some(Outcome::State(HostState::Lost, 0))
    );
    assert!(bed.channels.are_given_up());
    assert_eq!(bed.refused(MIB), code::NOT_READY);
    assert_eq!(bed.channels.connected(Box::new(Recorder::default())), None);
}
