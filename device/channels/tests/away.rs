//! A daemon goes, and another one comes, or none does.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::io::{Errno, pwrite};
use vgpu_abi::link::{self, GRACE_MS, Message, Piece};
use vgpu_abi::mailbox::code;
use vgpu_abi::segment::MAGIC;
use vgpu_channels::{Channels, Daemon, Found, GuestMemory, Limits, Missing, Outcome, Way};
use vgpu_device::{HostState, Request, Task};

const MIB: u64 = 1 << 20;
const DIRECTORY: u64 = 0x1000;

/// 4 MiB of memory, with a directory of one segment of 4096 bytes.
struct Guest(Arc<OwnedFd>);

impl Guest {
    fn new() -> Self {
        let file = memfd_create("guest", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&file, 4 * MIB).unwrap();
        Self(Arc::new(file))
    }

    fn names(&self, address: u64) {
        let words = [u64::from(MAGIC) | 1 << 32, 0, address];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        pwrite(&*self.0, &bytes, DIRECTORY).unwrap();
    }
}

impl GuestMemory for Guest {
    fn find(&self, address: u64) -> Result<Found, Missing> {
        Ok(Found {
            file: Arc::clone(&self.0),
            offset: address,
            length: 4 * MIB - address,
        })
    }
}

#[derive(Debug, Clone, Default)]
struct Recorder(Arc<Mutex<Vec<(Message, usize)>>>);

impl Daemon for Recorder {
    fn send(
        &mut self,
        message: &Message,
        _: &[Piece],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), Errno> {
        self.0.lock().unwrap().push((*message, descriptors.len()));
        Ok(())
    }
}

/// A worker: what it was told by its way back, and whether it is there.
#[derive(Debug, Clone, Default)]
struct Worker(Arc<[AtomicBool; 2]>);

impl Worker {
    fn was_given_up(&self) -> bool {
        self.0[0].load(SeqCst)
    }

    fn ends(&self) {
        self.0[1].store(true, SeqCst);
    }
}

/// Its way back.
#[derive(Debug)]
struct Back(Worker, OwnedFd);

impl Way for Back {
    fn give_up(&self) {
        self.0.0[0].store(true, SeqCst);
    }

    fn is_gone(&self) -> bool {
        self.0.0[1].load(SeqCst)
    }

    fn file(&self) -> BorrowedFd<'_> {
        self.1.as_fd()
    }
}

struct Bed {
    guest: Guest,
    channels: Channels,
    recorder: Recorder,
    number: u32,
}

fn ready() -> Message {
    Message {
        kind: link::STATE,
        status: 1,
        ..Message::default()
    }
}

fn done(of: u32, channel: u32, region: u32, status: u32) -> Message {
    Message {
        kind: link::DONE,
        of,
        channel,
        region,
        status,
        ..Message::default()
    }
}

impl Bed {
    /// With channels that have a slice of a page each.
    fn with_channels(count: u32) -> (Self, Vec<Worker>) {
        let interrupt = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let limits = Limits {
            channels: 8,
            regions: 4,
            bytes: MIB,
        };
        let mut bed = Self {
            guest: Guest::new(),
            channels: Channels::new([7; 16], limits, Arc::new(interrupt)),
            recorder: Recorder::default(),
            number: 0,
        };
        assert_eq!(bed.connect(), Some(Outcome::State(HostState::Ready, 0)));
        let workers = (0..count).map(|channel| {
            bed.guest.names(u64::from(channel + 1) << 16);
            let open = Task::Open {
                directory: DIRECTORY,
                length: 4096,
            };
            assert_eq!(bed.ask(open), None);
            let worker = Worker::default();
            let socket = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
            let way: Box<dyn Way> = Box::new(Back(worker.clone(), socket));
            let opened = done(link::OPEN, channel, 0, 0);
            let opened = bed.channels.received(&opened, Some(way)).unwrap();
            assert_eq!(opened, Some(bed.completed(Ok(Some(channel)))));
            worker
        });
        let workers = workers.collect();
        bed.take_sent();
        (bed, workers)
    }

    fn connect(&mut self) -> Option<Outcome> {
        let recorder = Box::new(self.recorder.clone());
        assert_eq!(self.channels.connected(recorder), None);
        let sent = self.take_sent();
        assert_eq!(sent.last().map(|(it, _)| it.kind), Some(link::ATTACH));
        self.hear(&ready())
    }

    fn hear(&mut self, message: &Message) -> Option<Outcome> {
        self.channels.received(message, None).unwrap()
    }

    fn ask(&mut self, task: Task) -> Option<Outcome> {
        self.number += 1;
        let number = self.number;
        self.channels.request(Request { number, task }, &self.guest)
    }

    fn completed(&self, result: Result<Option<u32>, u16>) -> Outcome {
        Outcome::Complete(self.number, result)
    }

    fn take_sent(&mut self) -> Vec<(Message, usize)> {
        std::mem::take(&mut self.recorder.0.lock().unwrap())
    }

    /// What is sent, as kinds with channels and regions.
    fn sent(&mut self) -> Vec<(u32, u32, u32)> {
        let sent = self.take_sent().into_iter();
        sent.map(|(it, _)| (it.kind, it.channel, it.region))
            .collect()
    }
}

#[test]
fn the_next_daemon_is_lent_all_ways_and_nothing_is_lost() {
    let (mut bed, workers) = Bed::with_channels(3);
    for _ in 0..2 {
        assert_eq!(bed.channels.disconnected(), None);
        assert_eq!(bed.channels.attend(), None);
        assert!(!bed.channels.are_given_up());
        let open = Task::Open {
            directory: DIRECTORY,
            length: 4096,
        };
        assert_eq!(
            bed.ask(open),
            Some(Outcome::Complete(bed.number, Err(code::NOT_READY)))
        );
        // It is told that it is gone before it says anything, and then another comes.
        let recorder = Box::new(bed.recorder.clone());
        assert_eq!(bed.channels.connected(recorder), None);
        assert_eq!(bed.channels.disconnected(), None);
        bed.take_sent();
        assert_eq!(bed.connect(), None);
        let sent = bed.take_sent();
        let adopts: Vec<_> = sent
            .iter()
            .map(|(it, ways)| (it.kind, it.channel, *ways))
            .collect();
        let expected = [0, 1, 2].map(|channel| (link::ADOPT, channel, 1));
        assert_eq!(adopts, expected);
        for channel in [2, 0] {
            assert_eq!(bed.hear(&done(link::ADOPT, channel, 0, 0)), None);
        }
        assert!(bed.channels.received(&ready(), None).is_err());
        let last = bed.hear(&done(link::ADOPT, 1, 0, 0));
        assert_eq!(last, Some(Outcome::State(HostState::Ready, 0)));
        assert_eq!(bed.channels.attend(), None);
        let again = done(link::ADOPT, 1, 0, 0);
        assert!(bed.channels.received(&again, None).is_err());
    }
    assert!(!workers.iter().any(Worker::was_given_up));
    assert_eq!(
        bed.ask(Task::Look { channel: 1 }),
        Some(bed.completed(Ok(Some(1))))
    );
}

#[test]
fn the_page_comes_before_the_channels() {
    let (mut bed, _) = Bed::with_channels(0);
    assert_eq!(bed.ask(Task::Start { page: 0x3000 }), None);
    assert_eq!(
        bed.hear(&done(link::PAGE, 0, 0, 0)),
        Some(bed.completed(Ok(None)))
    );
    bed.guest.names(0x10000);
    assert_eq!(
        bed.ask(Task::Open {
            directory: DIRECTORY,
            length: 4096
        }),
        None
    );
    let worker = Worker::default();
    let socket = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    let way: Box<dyn Way> = Box::new(Back(worker, socket));
    let opened = bed
        .channels
        .received(&done(link::OPEN, 0, 0, 0), Some(way))
        .unwrap();
    assert_eq!(opened, Some(bed.completed(Ok(Some(0)))));
    bed.take_sent();
    assert_eq!(bed.channels.disconnected(), None);
    assert_eq!(bed.connect(), None);
    assert_eq!(bed.sent(), [(link::PAGE, 0, 0), (link::ADOPT, 0, 0)]);
    assert_eq!(bed.hear(&done(link::PAGE, 0, 0, 0)), None);
    let last = bed.hear(&done(link::ADOPT, 0, 0, 0));
    assert_eq!(last, Some(Outcome::State(HostState::Ready, 0)));
}

#[test]
fn all_is_lost_once_none_came_and_no_worker_is_left() {
    let (mut bed, workers) = Bed::with_channels(2);
    let start = Instant::now();
    assert_eq!(bed.channels.disconnected(), None);
    while !workers[0].was_given_up() {
        assert_eq!(bed.channels.attend(), None);
        assert!(start.elapsed() < Duration::from_secs(9));
        thread::sleep(Duration::from_millis(2));
    }
    assert!(start.elapsed() >= Duration::from_millis(GRACE_MS));
    assert!(workers[1].was_given_up() && bed.channels.is_settling());
    // They take a while.
    workers[0].ends();
    assert_eq!(bed.channels.attend(), None);
    assert!(!bed.channels.are_given_up());
    workers[1].ends();
    let lost = Some(Outcome::State(HostState::Lost, 0));
    assert_eq!(bed.channels.attend(), lost);
    assert_eq!(bed.channels.attend(), None);
    assert!(bed.channels.are_given_up());
    assert_eq!(bed.connect(), Some(Outcome::State(HostState::Ready, 0)));
    assert_eq!(bed.sent(), []);
}

#[test]
fn a_reset_without_a_daemon_ends_workers_and_says_so_when_they_have() {
    let (mut bed, workers) = Bed::with_channels(2);
    assert_eq!(bed.channels.disconnected(), None);
    assert_eq!(bed.channels.revoke(1), None);
    assert!(workers.iter().all(Worker::was_given_up));
    assert!(!bed.channels.are_given_up());
    // Another one before that, and the daemon, which has nothing to adopt.
    assert_eq!(bed.channels.revoke(2), None);
    workers.iter().for_each(Worker::ends);
    assert_eq!(
        bed.channels.attend(),
        Some(Outcome::State(HostState::Lost, 2))
    );
    assert_eq!(bed.connect(), Some(Outcome::State(HostState::Ready, 2)));
    assert_eq!(bed.sent(), []);
    // One that does not end is waited for a second at most.
    let (mut bed, _workers) = Bed::with_channels(1);
    assert_eq!(bed.channels.disconnected(), None);
    assert_eq!(bed.channels.revoke(1), None);
    let start = Instant::now();
    while bed.channels.attend().is_none() {
        thread::sleep(Duration::from_millis(2));
    }
    let took = start.elapsed();
    assert!((900..2000).contains(&took.as_millis()), "{took:?}");
}

#[test]
fn a_reset_while_the_next_daemon_adopts_is_that_daemons() {
    let (mut bed, _) = Bed::with_channels(2);
    assert_eq!(bed.channels.disconnected(), None);
    assert_eq!(bed.connect(), None);
    bed.take_sent();
    assert_eq!(bed.channels.revoke(1), None);
    assert_eq!(bed.sent(), [(link::RESET, 0, 0)]);
    assert_eq!(bed.hear(&done(link::ADOPT, 0, 0, 0)), None);
    assert_eq!(bed.hear(&done(link::ADOPT, 1, 0, 125)), None);
    let reset = bed.hear(&done(link::RESET, 0, 0, 0));
    assert_eq!(reset, Some(Outcome::State(HostState::Ready, 1)));
    assert!(bed.channels.are_given_up());
}

#[test]
fn a_worker_that_ends_or_is_refused_is_one_lost_channel() {
    let (mut bed, workers) = Bed::with_channels(3);
    assert_eq!(bed.channels.disconnected(), None);
    workers[0].ends();
    assert_eq!(bed.channels.attend(), Some(Outcome::Lost));
    assert_eq!(bed.channels.attend(), None);
    assert_eq!(
        bed.ask(Task::Look { channel: 0 }),
        Some(bed.completed(Ok(Some(0))))
    );
    assert_eq!(bed.connect(), None);
    assert_eq!(bed.sent(), [(link::ADOPT, 1, 0), (link::ADOPT, 2, 0)]);
    assert_eq!(bed.hear(&done(link::ADOPT, 1, 0, 28)), None);
    assert!(workers[1].was_given_up() && !workers[2].was_given_up());
    let last = bed.hear(&done(link::ADOPT, 2, 0, 0));
    assert_eq!(last, Some(Outcome::State(HostState::Ready, 0)));
    // It is lost once it is gone, and not given back before.
    assert_eq!(bed.channels.attend(), None);
    let close = Task::Close { channel: 1 };
    assert_eq!(bed.ask(close), Some(bed.completed(Err(code::HOST))));
    workers[1].ends();
    assert_eq!(bed.channels.attend(), Some(Outcome::Lost));
    assert_eq!(bed.ask(close), Some(bed.completed(Ok(None))));
    assert_eq!(bed.channels.attend(), None);
}

/// What a guest asked for as the daemon died, or asks for while there is none, is the next one's to do.
#[test]
fn what_was_not_answered_is_asked_again() {
    const NOENT: u32 = 2;
    let add = Task::Add {
        channel: 1,
        directory: DIRECTORY,
        length: 4096,
    };
    let delete = Task::Delete {
        channel: 1,
        region: 1,
    };
    let close = Task::Close { channel: 1 };
    let cases = [
        // A region that may be mapped, or not, is to be no more.
        (add, true, (link::DELETE, 1, 1), NOENT, Err(code::HOST)),
        (add, true, (link::DELETE, 1, 1), 0, Err(code::HOST)),
        (delete, true, (link::DELETE, 1, 1), NOENT, Ok(None)),
        (delete, false, (link::DELETE, 1, 1), 0, Ok(None)),
        (delete, false, (link::DELETE, 1, 1), 16, Err(code::HOST)),
        (close, true, (link::CLOSE, 1, 0), 0, Ok(None)),
        (close, false, (link::CLOSE, 1, 0), 0, Ok(None)),
    ];
    for (task, before, again, status, result) in cases {
        let (mut bed, _) = Bed::with_channels(2);
        bed.guest.names(0x90000);
        if matches!(task, Task::Delete { .. }) {
            assert_eq!(bed.ask(add), None);
            assert!(bed.hear(&done(link::ADD, 1, 1, 0)).is_some());
        }
        if before {
            assert_eq!(bed.ask(task), None);
        }
        assert_eq!(bed.channels.disconnected(), None);
        if !before {
            assert_eq!(bed.ask(task), None);
        }
        assert_eq!(bed.connect(), None);
        bed.take_sent();
        assert_eq!(bed.hear(&done(link::ADOPT, 0, 0, 0)), None);
        assert!(bed.hear(&done(link::ADOPT, 1, 0, 0)).is_some());
        assert_eq!(bed.sent(), [again], "{task:?}");
        let (of, channel, region) = again;
        let told = bed.hear(&done(of, channel, region, status));
        assert_eq!(told, Some(bed.completed(result)), "{task:?}");
    }
}

#[test]
fn what_was_to_be_opened_is_not() {
    let (mut bed, workers) = Bed::with_channels(1);
    bed.guest.names(0x90000);
    let open = Task::Open {
        directory: DIRECTORY,
        length: 4096,
    };
    assert_eq!(bed.ask(open), None);
    let failed = bed.completed(Err(code::HOST));
    assert_eq!(bed.channels.disconnected(), Some(failed));
    assert_eq!(bed.channels.attend(), None);
    assert!(!workers[0].was_given_up());
    // The guest's stop ends all.
    let (mut bed, workers) = Bed::with_channels(1);
    assert_eq!(bed.ask(Task::Stop), None);
    assert_eq!(bed.channels.disconnected(), None);
    assert!(workers[0].was_given_up());
    workers[0].ends();
    let lost = Some(Outcome::State(HostState::Lost, 0));
    assert_eq!(bed.channels.attend(), lost);
}
