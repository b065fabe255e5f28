//! `vgpud link`, as the processes see it that have virtual machines' devices.

mod cage;
#[path = "../common/mod.rs"]
mod common;
mod emulator;
mod hostile;
mod restart;
mod rogue;
mod scrub;
mod shares;
mod version;

use std::fs;
use std::time::{Duration, Instant};

use common::{children, kill, runs, stop};
use emulator::{Daemon, Emulator};
use rustix::io::Errno;
use vgpu_abi::link::{ADD, Message, PAGE, RESET};
use vgpu_ring::Memory as _;
use vgpu_ring::echo::{LONGEST, Range, hash, word};
use vgpu_ring::layout::SLICE_SIZE;

pub(crate) const fn errno(errno: Errno) -> u32 {
    errno.raw_os_error().unsigned_abs()
}

/// Waits until something holds, for a second: what a daemon promises.
#[track_caller]
pub(crate) fn within_a_second(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(1), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

const RESET_ALL: Message = Message {
    kind: RESET,
    of: 0,
    status: 0,
    version: 0,
    channel: 0,
    region: 0,
    length: 0,
    pieces: 0,
    files: 0,
    machine: [0; 16],
};

#[test]
fn a_channel_echoes_over_memory_in_pieces_awake_and_asleep() {
    let daemon = Daemon::start();
    let mut emulator = Emulator::attach(&daemon);
    // First one whose interrupt is its own, then two that share it.
    emulator.open(7).echoes();
    assert_eq!(
        emulator.give_page(),
        errno(Errno::BUSY),
        "a channel is open"
    );
    assert_eq!(emulator.close(7), 0);
    assert_eq!(emulator.give_page(), 0);
    let mut guests = [200, 63].map(|channel| emulator.open(channel));
    for n in 0..40 {
        let spin = Duration::from_micros(if n < 20 { 1000 } else { 0 });
        if n % 10 == 0 {
            // The worker sleeps by then.
            std::thread::sleep(Duration::from_millis(5));
        }
        guests.iter_mut().for_each(|guest| guest.echoes_after(spin));
    }
    assert!(emulator.lost.is_empty());
}

#[test]
fn memory_is_filled_and_hashed_the_same_on_both_sides() {
    let daemon = Daemon::start();
    let mut emulator = Emulator::attach(&daemon);
    let mut guest = emulator.open(0);
    let (status, window) = emulator.add(0, 5, 2 << 20);
    assert_eq!(status, 0);
    let range = |region, offset, length| Range {
        region,
        offset,
        length,
        ..Range::default()
    };
    let here = |offset: u64, length: u64| {
        let words = &window.words()[offset as usize / 8..][..length as usize / 8];
        let words = words
            .iter()
            .map(|word| word.load(std::sync::atomic::Ordering::Relaxed));
        words.collect::<Vec<_>>()
    };
    // Across the edges of pieces.
    let (offset, length) = (LONGEST - 4096, LONGEST);
    let filled = guest.hash(range(5, offset, length), Some(42)).unwrap();
    let expected = (offset / 8..(offset + length) / 8).map(|place| word(42, place));
    assert_eq!(here(offset, length), expected.clone().collect::<Vec<_>>());
    assert_eq!(filled, hash(expected));
    assert!(window.write(offset as usize + 70_000, b"from here"));
    let changed = guest.hash(range(5, offset, length), None).unwrap();
    assert_eq!(changed, hash(here(offset, length)));
    assert_ne!(changed, filled);
    let arena = range(0, SLICE_SIZE as u64 - 4096, 4096);
    let filled = guest.hash(arena, Some(1)).unwrap();
    assert_eq!(guest.hash(arena, None), Ok(filled));
    for wrong in [
        range(1, 0, 8),
        range(5, 4, 8),
        range(5, (2 << 20) - 8, 16),
        range(5, 0, LONGEST + 8),
        range(0, SLICE_SIZE as u64, 8),
    ] {
        assert_eq!(guest.hash(wrong, None), Err(1), "{wrong:?}");
        assert_eq!(guest.hash(wrong, Some(0)), Err(1), "{wrong:?}");
    }

    assert_eq!(emulator.delete(0, 5), 0);
    let gone = guest.hash(range(5, 0, 8), None);
    assert_eq!(gone, Err(1), "it is there no more");
    let worker = children(daemon.child.id()).pop_first().unwrap();
    // Of an own user's process that keeps its memory to itself, root alone sees what it has mapped.
    if let Ok(maps) = fs::read_to_string(format!("/proc/{worker}/maps")) {
        let lines = maps.lines().filter(|line| line.contains("vgpu-test-ram"));
        assert_eq!(lines.count(), SLICE_SIZE / (64 << 10), "its slice alone");
    }
    for (answer, expected) in [
        (emulator.delete(0, 5), Errno::NOENT),
        (emulator.delete(0, 0), Errno::NOENT),
        (emulator.delete(9, 1), Errno::NOENT),
        (emulator.add(9, 1, 4096).0, Errno::NOENT),
        (emulator.add(0, 0, 4096).0, Errno::INVAL),
        (emulator.add(0, 257, 4096).0, Errno::NOSPC),
        (emulator.add(0, 1, 1 << 30).0, Errno::NOMEM),
    ] {
        assert_eq!(answer, errno(expected));
    }
    assert_eq!(emulator.add(0, 5, 4096).0, 0, "the number is free");
    assert_eq!(emulator.add(0, 5, 4096).0, errno(Errno::EXIST));
    guest.echoes();
}

#[test]
fn a_worker_that_dies_is_a_lost_channel_and_nothing_to_others() {
    let daemon = Daemon::start();
    let mut emulator = Emulator::attach(&daemon);
    let _lost = emulator.open(1);
    let worker = children(daemon.child.id()).pop_first().unwrap();
    let mut other = emulator.open(2);
    kill(worker);
    assert!(
        emulator.hear(Duration::from_secs(1)),
        "told within a second"
    );
    assert_eq!(emulator.lost, [1]);
    assert!(!runs(worker));
    other.echoes();
    assert_eq!(emulator.close(1), errno(Errno::NOENT));
    emulator.open(1).echoes();
    assert_eq!(emulator.close(1), 0);
    other.echoes();
}

/// A worker that is stopped answers nothing.
#[test]
fn a_worker_that_does_not_answer_is_killed() {
    let daemon = Daemon::start();
    let mut emulator = Emulator::attach(&daemon);
    let _guest = emulator.open(1);
    let worker = children(daemon.child.id()).pop_first().unwrap();
    let mut other = emulator.open(2);
    stop(worker);
    let pieces = emulator.ram.take(4096);
    let (message, list) = Emulator::about(ADD, &pieces);
    let [first, second] = [3, 4].map(|region| Message {
        channel: 1,
        region,
        ..message
    });
    emulator.send_about(&first, &[&list]);
    // One thing at a time; others go on.
    assert_eq!(emulator.ask_about(&second, &[&list]), errno(Errno::BUSY));
    other.echoes();
    assert_eq!(emulator.add(2, 1, 4096).0, 0);
    let start = Instant::now();
    assert_eq!(emulator.answer(&first), errno(Errno::TIMEDOUT));
    assert!(start.elapsed() < Duration::from_millis(1500));
    assert_eq!(emulator.lost, [1]);
    assert!(!runs(worker));
    other.echoes();
}

#[test]
fn a_reset_takes_all_channels_at_once() {
    let daemon = Daemon::start();
    let mut emulator = Emulator::attach(&daemon);
    assert_eq!(emulator.give_page(), 0);
    let _guests: Vec<_> = (0..8).map(|channel| emulator.open(channel)).collect();
    let workers = children(daemon.child.id());
    assert_eq!(workers.len(), 8);
    // One of them cannot even answer.
    stop(*workers.first().unwrap());
    let start = Instant::now();
    assert_eq!(emulator.ask(&RESET_ALL, &[]), 0);
    assert!(start.elapsed() < Duration::from_secs(1));
    // A process that is reaped has no memory.
    for worker in workers {
        assert!(!fs::exists(format!("/proc/{worker}")).unwrap());
    }
    assert!(emulator.lost.is_empty());
    // With the page: the interrupt is the channel's own again.
    let pieces = emulator.ram.take(4096);
    let (page, list) = Emulator::about(PAGE, &pieces);
    assert_eq!(emulator.ask_about(&page, &[&list]), 0);
    emulator.open(3);
    assert_eq!(emulator.ask(&RESET_ALL, &[]), 0);
    assert_eq!(emulator.ask(&RESET_ALL, &[]), 0, "of nothing");
}

#[test]
fn an_emulator_that_goes_takes_its_channels_and_can_come_back_at_once() {
    let daemon = Daemon::start();
    let mut emulator = Emulator::attach(&daemon);
    let _guests = [1, 2].map(|channel| emulator.open(channel));
    let workers = children(daemon.child.id());
    drop(emulator);
    // It is attached once no process has the machine's memory.
    let mut emulator = Emulator::attach(&daemon);
    assert!(!workers.iter().any(|&worker| runs(worker)));
    emulator.open(1).echoes();
}

#[test]
fn no_descriptor_is_left_of_many_channels() {
    let daemon = Daemon::start();
    let mut emulator = Emulator::attach(&daemon);
    // The connections that looked whether it listens are closed by then.
    std::thread::sleep(Duration::from_millis(200));
    let before = daemon.descriptors();
    for n in 0..100 {
        match n % 4 {
            0 => assert_eq!(emulator.give_page(), 0),
            1 => {
                emulator = {
                    drop(emulator);
                    Emulator::attach(&daemon)
                };
            }
            _ => {}
        }
        emulator.open(n);
        if n % 2 == 0 {
            assert_eq!(emulator.add(n, 1, 4096).0, 0);
            assert_eq!(emulator.close(n), 0);
        } else {
            assert_eq!(emulator.ask(&RESET_ALL, &[]), 0);
        }
    }
    assert_eq!(emulator.ask(&RESET_ALL, &[]), 0);
    within_a_second("descriptors stay", || daemon.descriptors() == before);
}
