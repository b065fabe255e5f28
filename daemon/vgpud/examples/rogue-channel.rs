//! A worker for tests that its guest has taken over: what it does to its daemon by the two sockets and the pages that it has.
//! In place of `vgpud channel KIND TUNING [USER] DAEMON`: of kind `echo` it is the genuine one, otherwise it does what the
//! number of its tuning says, once its channel is open.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use vgpu_abi::link::{DESCRIPTORS, DONE, LOST, Message, OPEN, WAY};
use vgpu_ledger::Ledger;
use vgpu_ring::Memory as _;
use vgpu_service::{Attachment, EngineKind, Tuning};
use vgpu_window::Window;

/// The gate's messages.
const WANT: u64 = 2;
const LEASE: u64 = 3;
const BACK: u64 = 4;
/// Of a lease that comes back: another is wanted.
const AGAIN: u64 = 1 << 32;

/// What it has.
struct Rogue {
    channel: OwnedFd,
    gate: OwnedFd,
    /// The session's page, and its machine's ledger.
    page: Window,
    ledger: Window,
    opened: Message,
}

impl Rogue {
    fn says(&self, words: [u64; 3]) {
        let _ = vgpu_packet::send(&self.gate, &words, &[]);
    }

    fn answers(&self, message: &Message, descriptors: &[BorrowedFd<'_>]) {
        let _ = vgpu_packet::send(&self.channel, message, descriptors);
    }

    fn done(&self) -> Message {
        Message {
            kind: DONE,
            of: OPEN,
            channel: self.opened.channel,
            ..Message::default()
        }
    }

    /// A packet that is no message.
    fn mumbles(socket: &OwnedFd, length: usize) {
        let _ = rustix::net::send(socket, &vec![0xff; length], rustix::net::SendFlags::empty());
    }
}

/// By their numbers, in milliseconds of a tuning's kernels.
const ACTS: [fn(&Rogue); 15] = [
    // Its daemon ends it for each of these.
    |it| it.answers(&it.done(), &[]),
    |it| {
        it.answers(
            &Message {
                kind: LOST,
                ..it.done()
            },
            &[],
        );
    },
    |it| {
        it.answers(
            &Message {
                kind: OPEN,
                ..it.done()
            },
            &[],
        );
    },
    |it| Rogue::mumbles(&it.channel, 3),
    |it| Rogue::mumbles(&it.channel, 5000),
    |it| it.answers(&it.done(), &[it.channel.as_fd(); DESCRIPTORS]),
    |it| {
        while vgpu_packet::send(&it.channel, &it.done(), &[it.gate.as_fd(); DESCRIPTORS]).is_ok() {}
    },
    |it| it.says([BACK, 7, 0]),
    |it| it.says([BACK | AGAIN, u64::MAX, 0]),
    |it| [(); 2].iter().for_each(|()| it.says([WANT, 0, 0])),
    |it| it.says([LEASE, 1, u64::MAX]),
    |it| Rogue::mumbles(&it.gate, 7),
    |it| {
        while vgpu_packet::send(&it.gate, &[WANT, 0, 0], &[it.gate.as_fd(); DESCRIPTORS]).is_ok() {}
    },
    // And not for these, which cost its own machine alone.
    |it| {
        for window in [&it.page, &it.ledger] {
            window
                .words()
                .iter()
                .for_each(|word| word.store(u64::MAX, Ordering::SeqCst));
        }
    },
    |it| {
        // Has a lease, and never gives it back.
        it.says([WANT, 0, 0]);
        it.ledger
            .words()
            .iter()
            .for_each(|word| word.store(0, Ordering::SeqCst));
    },
];

fn main() {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let kind = EngineKind::named(&words[0]).unwrap();
    let tuning: Tuning = words[1].parse().unwrap();
    let channel = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    if kind.name == "echo" {
        let user = (words.len() > 3).then(|| words[2].parse().unwrap());
        let daemon = words.last().unwrap().parse().unwrap();
        std::process::exit(kind.tuned_worker(&tuning, Attachment::Channel, channel, daemon, user));
    }
    let gate = std::io::stdout().as_fd().try_clone_to_owned().unwrap();
    let (_, shared) = vgpu_packet::receive::<[u64; 3]>(&gate, 2).unwrap();
    let map = |file: &OwnedFd, size| Window::map(file.as_fd(), size).unwrap();
    let receive = || vgpu_packet::receive::<Message>(&channel, DESCRIPTORS).unwrap();
    let (way, way_back) = receive();
    assert_eq!(way.kind, WAY);
    let (opened, memory) = receive();
    let rogue = Rogue {
        page: map(&shared[0], 8192),
        ledger: map(&shared[1], Ledger::<Window>::WORDS * 8),
        channel,
        gate,
        opened,
    };
    rogue.answers(&rogue.done(), &[]);
    drop((memory, way_back));
    thread::sleep(Duration::from_millis(20));
    let act = tuning.kernel.as_millis() as usize;
    ACTS[act - 1](&rogue);
    thread::sleep(Duration::from_secs(3600));
}
