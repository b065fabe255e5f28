//! Every order in which the two halves can run, on a slice in small.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use loom::sync::atomic::AtomicU64;
use loom::sync::{Condvar, Mutex};
use loom::thread;
use vgpu_ring::guest::{Answers, Command, Commands, Notices};
use vgpu_ring::host::{Host, Notifier};
use vgpu_ring::layout::{Layout, Ring};
use vgpu_ring::wait::Looks;
use vgpu_ring::{Memory, Next, Park, PushError, Record, Slice, Wake, Word};

/// Rings of four records of 16 bytes, and one reply slot.
static SMALL: Layout = Layout {
    commands: Ring {
        tail: 0,
        head: 8,
        data: 64,
        size: 64,
    },
    notices: Ring {
        tail: 320,
        head: 328,
        data: 384,
        size: 64,
    },
    parked: 32,
    waiters: 40,
    fault: 48,
    held: 16,
    released: 24,
    replies: 192,
    slots: 1,
    arena: 448,
};

/// The checker takes an access that is sequentially consistent for one that is
/// not; its fences are what they should be, so one follows the exchange.
struct LoomWord(AtomicU64);

impl Word for LoomWord {
    fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    fn swap(&self, value: u64, order: Ordering) -> u64 {
        let before = self.0.swap(value, order);
        if order == Ordering::SeqCst {
            Self::fence(order);
        }
        before
    }

    fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, order);
    }

    fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        self.0.fetch_add(value, order)
    }

    fn fence(order: Ordering) {
        loom::sync::atomic::fence(order);
    }
}

#[derive(Clone)]
struct Words(Arc<Vec<LoomWord>>);

impl Memory for Words {
    type Word = LoomWord;

    fn words(&self) -> &[LoomWord] {
        &self.0
    }
}

fn slice() -> Slice<Words> {
    let words = (0..56).map(|_| LoomWord(AtomicU64::new(0))).collect();
    Slice::new(Words(Arc::new(words)), &SMALL).unwrap()
}

/// What an eventfd is: a count that a wake-up raises, and a sleep that ends
/// where it was raised since.
#[derive(Clone)]
struct Event(Arc<(Mutex<u64>, Condvar)>);

impl Event {
    fn new() -> Self {
        Self(Arc::new((Mutex::new(0), Condvar::new())))
    }
}

impl Wake for Event {
    fn wake(&self) {
        *self.0.0.lock().unwrap() += 1;
        self.0.1.notify_all();
    }
}

impl Park for Event {
    type Ticket = u64;
    type Lost = ();

    fn ticket(&self) -> u64 {
        *self.0.0.lock().unwrap()
    }

    fn park(&self, ticket: u64) -> Result<(), ()> {
        let mut count = self.0.0.lock().unwrap();
        while *count == ticket {
            count = self.0.1.wait(count).unwrap();
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

/// Three changes of the thread at any place find what more would find.
fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

const COMMAND: Command = Command {
    op: 1,
    flags: 0,
    aux: 0,
};

/// The next record's op and number, where there is one.
fn take<K: Wake + Clone>(host: &mut Host<Words, K>, record: &mut Record) -> Option<(u16, u32)> {
    match host.next(record).unwrap() {
        Next::Record => Some((record.header().op, record.header().seq)),
        Next::Empty => None,
    }
}

#[test]
fn what_is_published_is_complete() {
    model(|| {
        let slice = slice();
        let mut commands = Commands::new(slice.clone());
        let guest = thread::spawn(move || {
            for op in 1..=2 {
                commands
                    .send(Command { op, ..COMMAND }, &[], &[], &Nobody)
                    .unwrap();
            }
        });
        let mut host = Host::new(slice, Nobody);
        let mut record = Record::boxed();
        let mut expected = 1;
        for _ in 0..3 {
            if let Some((op, seq)) = take(&mut host, &mut record) {
                assert_eq!((u32::from(op), seq), (expected, expected));
                expected += 1;
            }
        }
        guest.join().unwrap();
        while let Some((op, _)) = take(&mut host, &mut record) {
            assert_eq!(u32::from(op), expected);
            expected += 1;
        }
        assert_eq!(expected, 3);
    });
}

#[test]
fn room_is_used_again_only_after_it_was_read() {
    model(|| {
        let slice = slice();
        let mut commands = Commands::new(slice.clone());
        let mut host = Host::new(slice, Nobody);
        for op in 1..=4 {
            commands
                .send(Command { op, ..COMMAND }, &[], &[], &Nobody)
                .unwrap();
        }
        let guest = thread::spawn(move || {
            // Full until the host has given room back.
            (5..=6)
                .map(|op| commands.send(Command { op, ..COMMAND }, &[], &[], &Nobody))
                .collect::<Vec<_>>()
        });
        let mut record = Record::boxed();
        for expected in 1..=4 {
            assert_eq!(
                take(&mut host, &mut record),
                Some((expected, u32::from(expected)))
            );
        }
        let sent = guest.join().unwrap();
        let later: Vec<_> = std::iter::from_fn(|| take(&mut host, &mut record)).collect();
        let expected: Vec<_> = (5..=6)
            .zip(&sent)
            .filter(|(_, sent)| **sent != Err(PushError::Full))
            .map(|(op, sent)| (op, sent.unwrap()))
            .collect();
        assert_eq!(later, expected);
    });
}

#[test]
fn a_parked_host_is_woken() {
    model(|| {
        let slice = slice();
        let doorbell = Event::new();
        let mut commands = Commands::new(slice.clone());
        let peer = doorbell.clone();
        let guest = thread::spawn(move || commands.send(COMMAND, &[], &[], &peer).unwrap());
        let mut host = Host::new(slice, Nobody);
        host.wait(&doorbell, Looks(0)).unwrap();
        let mut record = Record::boxed();
        assert_eq!(take(&mut host, &mut record), Some((1, 1)));
        guest.join().unwrap();
    });
}

/// It is rung once for each sleep: none of them is slept through for the ring of another.
#[test]
fn a_host_that_parks_again_is_woken_again() {
    model(|| {
        let slice = slice();
        let doorbell = Event::new();
        let mut commands = Commands::new(slice.clone());
        let peer = doorbell.clone();
        let guest = thread::spawn(move || {
            for _ in 0..2 {
                commands.send(COMMAND, &[], &[], &peer).unwrap();
            }
        });
        let mut host = Host::new(slice, Nobody);
        let mut record = Record::boxed();
        for seq in 1..=2 {
            host.wait(&doorbell, Looks(0)).unwrap();
            assert_eq!(take(&mut host, &mut record), Some((1, seq)));
        }
        guest.join().unwrap();
    });
}

#[test]
fn a_parked_guest_is_woken() {
    model(|| {
        let slice = slice();
        let (doorbell, interrupt) = (Event::new(), Event::new());
        let mut commands = Commands::new(slice.clone());
        let mut host = Host::new(slice.clone(), interrupt.clone());
        let seq = commands.call(COMMAND, 0, &[], &[], &doorbell).unwrap();
        let server = thread::spawn(move || {
            let mut record = Record::boxed();
            let (_, seq) = take(&mut host, &mut record).unwrap();
            host.answers().reply(0, seq, 5, b"answer").unwrap();
        });
        let answers = Answers::new(slice);
        let reply = answers
            .wait(&interrupt, Looks(0), || answers.poll(0, seq))
            .unwrap();
        assert_eq!((reply.status, reply.inline()), (5, &b"answer"[..]));
        server.join().unwrap();
    });
}

#[test]
fn a_guest_that_waits_for_room_is_woken() {
    model(|| {
        let slice = slice();
        let interrupt = Event::new();
        let mut commands = Commands::new(slice.clone());
        let mut host = Host::new(slice.clone(), interrupt.clone());
        for _ in 0..4 {
            commands.send(COMMAND, &[], &[], &Nobody).unwrap();
        }
        let server = thread::spawn(move || {
            let mut record = Record::boxed();
            // The first one's room is given back when the second is asked for.
            take(&mut host, &mut record).unwrap();
            take(&mut host, &mut record).unwrap();
        });
        let answers = Answers::new(slice);
        let room = || commands.send(COMMAND, &[], &[], &Nobody).ok();
        answers.wait(&interrupt, Looks(0), room).unwrap();
        server.join().unwrap();
    });
}

/// The host waits at a point: it does not go on before the guest has seen that it
/// is there and has let it go, and neither sleeps through the other's turn.
#[test]
fn a_host_that_holds_is_reached_and_released() {
    model(|| {
        let slice = slice();
        let (of_host, of_guest) = (Event::new(), Event::new());
        let turn = Arc::new(AtomicU64::new(0));
        let host = Host::new(slice.clone(), of_guest.clone());
        let server = thread::spawn({
            let (turn, of_host) = (Arc::clone(&turn), of_host.clone());
            move || {
                for point in 1..=2 {
                    // The checker knows of no order but that of the slice's words.
                    turn.store(2 * point - 1, Ordering::Relaxed);
                    host.answers().hold(point, &of_host, Looks(0)).unwrap();
                    assert_eq!(turn.load(Ordering::Relaxed), 2 * point);
                }
            }
        });
        let answers = Answers::new(slice);
        for point in 1..=2 {
            answers.reach(point, &of_guest, Looks(0)).unwrap();
            assert_eq!(turn.load(Ordering::Relaxed), 2 * point - 1);
            turn.store(2 * point, Ordering::Relaxed);
            answers.release(point, &of_host);
        }
        server.join().unwrap();
    });
}

/// Who has an answer finds the notices that were sent before it.
#[test]
fn a_notice_is_there_before_the_answer() {
    model(|| {
        let slice = slice();
        let mut commands = Commands::new(slice.clone());
        let mut host = Host::new(slice.clone(), Nobody);
        let seq = commands.call(COMMAND, 0, &[], &[], &Nobody).unwrap();
        let server = thread::spawn({
            let slice = slice.clone();
            move || {
                let mut record = Record::boxed();
                let (_, seq) = take(&mut host, &mut record).unwrap();
                Notifier::new(slice).send(7, &[]).unwrap();
                host.answers().reply(0, seq, 0, &[]).unwrap();
            }
        });
        let (answers, mut notices) = (Answers::new(slice.clone()), Notices::new(slice));
        if answers.poll(0, seq).is_some() {
            assert_ne!(answers.noticed(), 0);
            let mut record = Record::boxed();
            assert_eq!(notices.next(&mut record), Ok(Next::Record));
            assert_eq!(record.header().op, 7);
        }
        server.join().unwrap();
    });
}
