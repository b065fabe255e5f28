//! Programs that write into their shared memory what they like, beside one that
//! does as it should.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use vgpu_cuda_wire::{Client, OPERATIONS};
use vgpu_ring::guest::Command as Record;
use vgpu_ring::layout::{
    ARENA, COMMAND_RING, COMMAND_SIZE, COMMAND_TAIL, HOST_FAULT, LINE, NOTICE_HEAD, NOTICE_RING,
    NOTICE_SIZE, REPLIES, SLICE_SIZE, SLOTS,
};
use vgpu_ring::{Memory, Wake};
use vgpu_transport::local::Name;
use vgpu_transport::{Error, Transport};

use crate::session::{MODULE, Session, Thread, launch};

/// How long a hostile session lasts at most.
const LONGEST: Duration = Duration::from_millis(20);

/// Uses a session until another process has had `count` hostile ones; then says
/// so, and waits.
pub(super) fn beside(name: Name, count: &str) -> Option<()> {
    let session = Session::open(name)?;
    session.begin().ok()?;
    let thread = Thread(&session, 0);
    let client = Client(thread);
    let pointer = client.memory_allocate(1 << 16).ok()?;
    let mut bad = Command::new(std::env::current_exe().ok()?)
        .args(["hostile", count])
        .spawn()
        .ok()?;
    let mut rounds: u64 = 0;
    let status = loop {
        rounds += 1;
        let sent = rounds.to_le_bytes().repeat(500);
        client.write(pointer, 0, &sent).ok()?;
        launch(thread, 100).ok()?;
        client.read_into(pointer, 0, 0, 0, sent.len() as u64).ok()?;
        let mut received = vec![0; sent.len()];
        assert!(session.answers.slice().arena_read(0, &mut received));
        assert!(sent == received, "round {rounds}");
        assert_eq!(session.answers.fault(), None);
        if let Some(status) = bad.try_wait().ok()? {
            break status;
        }
        if rounds.is_multiple_of(16) {
            // There are others on this machine.
            thread::sleep(Duration::from_millis(1));
        }
    };
    assert!(status.success(), "{status}");
    println!("over {rounds}");
    thread::sleep(Duration::from_secs(3600));
    Some(())
}

/// Hostile sessions, one after the other.
pub(super) fn sessions(name: Name, count: u32) -> Option<()> {
    let mut broken = 0;
    for n in 0..count {
        let seed = fastrand::u64(..);
        fastrand::seed(seed);
        println!("seed {seed}");
        let session = Session::open(name)?;
        session.begin().ok()?;
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let scribbler = scope.spawn(|| {
                fastrand::seed(seed + 1);
                while !over.load(Ordering::Relaxed) {
                    scribble(&session, n);
                }
            });
            let start = Instant::now();
            while start.elapsed() < LONGEST && send(&session) {}
            over.store(true, Ordering::Relaxed);
            scribbler.join().unwrap();
        });
        let lost = session.local.add_region(4096);
        broken += u32::from(matches!(lost, Err(Error::Lost(_))));
        if n == count / 4 {
            println!("warm");
        }
    }
    println!("broken {broken}");
    Some(())
}

/// A number that something may mean: of 32 bits, or any.
fn number(wild: bool) -> u64 {
    match fastrand::u8(0..if wild { 8 } else { 5 }) {
        0 => 0,
        1 => fastrand::u64(0..16),
        2 => MODULE,
        3 => fastrand::u64(0..1 << 20) & !15,
        4 => u64::from(fastrand::u32(..)),
        5 => (1 << 40) + (fastrand::u64(0..1 << 20) & !511),
        6 => u64::MAX - fastrand::u64(0..32),
        _ => fastrand::u64(..),
    }
}

/// Sends something that has the form of a record; `false` where the ring is of
/// no use any more.
fn send(session: &Session) -> bool {
    let (op, _) = OPERATIONS[fastrand::usize(0..OPERATIONS.len())];
    // Most have all that they need; what ends the session comes in time.
    let [few, rare, wild] = [0; 3].map(|_| fastrand::u8(..) == 0);
    let words: Vec<_> = (0..if few { 2 } else { 16 })
        .map(|_| number(wild))
        .collect();
    let command = Record {
        op,
        flags: fastrand::u8(..),
        aux: fastrand::u32(..),
    };
    let slot = if rare {
        0xfe
    } else {
        fastrand::u8(0..SLOTS as u8)
    };
    let mut commands = session.commands.lock().unwrap();
    let sent = commands.call(command, slot, &words, &[], &session.local);
    drop(commands);
    if fastrand::u8(0..32) == 0 {
        let _ = session.local.add_region(4096 * fastrand::usize(0..100));
        let _ = session.local.remove_region(fastrand::u32(0..4));
    }
    match sent {
        Ok(_) => true,
        Err(vgpu_ring::PushError::Full) => {
            session.local.wake();
            thread::yield_now();
            true
        }
        Err(_) => false,
    }
}

/// Writes somewhere. What breaks a session at once, indices and records, some
/// leave alone, by their number.
fn scribble(session: &Session, n: u32) {
    let words = session.local.slice().words();
    let at = match (fastrand::u8(0..4), n % 4) {
        // Indices, who is parked, the fault, points.
        (0, 0 | 1) => fastrand::usize(COMMAND_TAIL..NOTICE_HEAD + LINE),
        // Who is parked, and the fault.
        (0, _) => fastrand::usize(COMMAND_TAIL + 2 * LINE..HOST_FAULT + LINE),
        (1, _) => REPLIES + fastrand::usize(0..SLOTS * LINE),
        // The lengths of records and what is in them.
        (_, 2) if fastrand::bool() => NOTICE_RING + fastrand::usize(0..NOTICE_SIZE),
        (_, 0 | 2) => COMMAND_RING + fastrand::usize(0..COMMAND_SIZE),
        (2, 1) => COMMAND_RING + fastrand::usize(0..4096),
        _ => fastrand::usize(ARENA..SLICE_SIZE),
    } / 8;
    let value = number(true);
    match fastrand::u8(0..3) {
        // A part of it.
        0 => {
            let old = words[at].load(Ordering::Relaxed);
            words[at].store(old & !0xffff_ffff | value & 0xffff_ffff, Ordering::Relaxed);
        }
        _ => words[at].store(value, Ordering::Relaxed),
    }
    session.local.wake();
}
