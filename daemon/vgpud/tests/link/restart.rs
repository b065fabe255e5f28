//! A daemon dies, and another one takes its place, or none does.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use vgpu_abi::link::{ADOPT, GRACE_MS, Message, VERSION};
use vgpu_ring::echo::Range;

use crate::common::{children, kill, runs, stop};
use crate::emulator::{Daemon, Emulator};
use crate::{RESET_ALL, errno, within_a_second};

fn workers(daemon: &Daemon) -> BTreeSet<u32> {
    children(daemon.child.id())
}

/// Kills a daemon and starts another, to which the emulator attaches.
fn restart(daemon: &mut Daemon, emulator: &mut Emulator) {
    daemon.kill();
    daemon.start_again();
    emulator.attach_again(daemon);
}

#[test]
fn a_worker_goes_on_without_its_daemon_and_with_the_next() {
    let mut daemon = Daemon::start();
    let mut emulator = Emulator::attach(&daemon);
    let mut guest = emulator.open(2);
    assert_eq!(emulator.add(2, 5, 1 << 20).0, 0);
    let range = Range {
        region: 5,
        length: 1 << 16,
        ..Range::default()
    };
    let filled = guest.hash(range, Some(42)).unwrap();
    let worker = *workers(&daemon).first().unwrap();
    for _ in 0..3 {
        daemon.kill();
        // Long enough that it sleeps, and is woken.
        guest.echoes();
        thread::sleep(Duration::from_millis(100));
        guest.echoes_after(Duration::ZERO);
        assert_eq!(guest.hash(range, None), Ok(filled));
        daemon.start_again();
        emulator.attach_again(&daemon);
        assert_eq!(emulator.adopt(2), 0, "{}", daemon.log());
        guest.echoes_after(Duration::ZERO);
        assert_eq!(guest.hash(range, None), Ok(filled));
        assert!(runs(worker));
        assert!(workers(&daemon).is_empty(), "it is no child of this one");
        assert_eq!(emulator.adopt(2), errno(Errno::EXIST));
    }
    // It has what it had: the region's number is taken, and is free once it is deleted.
    assert_eq!(emulator.add(2, 5, 4096).0, errno(Errno::EXIST));
    assert_eq!(emulator.delete(2, 5), 0);
    assert_eq!(emulator.add(2, 5, 4096).0, 0);
    guest.echoes();
    let start = Instant::now();
    assert_eq!(emulator.close(2), 0);
    assert!(!runs(worker) && start.elapsed() < Duration::from_secs(1));
    // New ones as ever.
    emulator.open(2).echoes();
    assert!(emulator.lost.is_empty());
}

#[test]
fn an_adopted_worker_that_dies_is_a_lost_channel_and_a_reset_takes_them_all() {
    let mut daemon = Daemon::start();
    let mut emulator = Emulator::attach(&daemon);
    let _first = emulator.open(0);
    let first = *workers(&daemon).first().unwrap();
    let mut guests: Vec<_> = (1..4).map(|channel| emulator.open(channel)).collect();
    let all = workers(&daemon);
    restart(&mut daemon, &mut emulator);
    for channel in 0..4 {
        assert_eq!(emulator.adopt(channel), 0, "{}", daemon.log());
    }
    kill(first);
    assert!(emulator.hear(Duration::from_secs(1)));
    assert_eq!(emulator.lost, [0]);
    guests.iter_mut().for_each(crate::emulator::Guest::echoes);
    // One that cannot even answer.
    stop(*all.last().unwrap());
    let start = Instant::now();
    assert_eq!(emulator.ask(&RESET_ALL, &[]), 0);
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(!all.iter().any(|&worker| runs(worker)));
    emulator.open(0).echoes();
    // So does the emulator's end.
    let last = *workers(&daemon).first().unwrap();
    restart(&mut daemon, &mut emulator);
    emulator.ways.drain(..4);
    assert_eq!(emulator.adopt(0), 0, "{}", daemon.log());
    drop(emulator);
    within_a_second("a worker stays", || !runs(last));
}

#[test]
fn a_daemon_that_is_asked_to_end_ends_adopted_workers() {
    let mut daemon = Daemon::start();
    let mut emulator = Emulator::attach(&daemon);
    let _guest = emulator.open(0);
    let worker = *workers(&daemon).first().unwrap();
    restart(&mut daemon, &mut emulator);
    assert_eq!(emulator.adopt(0), 0, "{}", daemon.log());
    let process = rustix::process::Pid::from_child(&daemon.child);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    daemon.child.wait().unwrap();
    assert!(!runs(worker));
}

#[test]
fn workers_that_no_daemon_adopts_end_in_time() {
    let mut daemon = Daemon::start();
    let mut emulator = Emulator::attach(&daemon);
    let mut guests = [1, 2, 3].map(|channel| emulator.open(channel));
    let workers = workers(&daemon);
    assert_eq!(workers.len(), 3);
    let start = Instant::now();
    daemon.kill();
    thread::sleep(Duration::from_millis(GRACE_MS - 500).saturating_sub(start.elapsed()));
    guests.iter_mut().for_each(crate::emulator::Guest::echoes);
    thread::sleep(Duration::from_millis(GRACE_MS + 500).saturating_sub(start.elapsed()));
    assert!(!workers.iter().any(|&worker| runs(worker)));
    // Who comes too late is told so.
    daemon.start_again();
    emulator.attach_again(&daemon);
    assert_eq!(emulator.adopt(1), errno(Errno::PIPE));
    emulator.open(1).echoes();
}

#[test]
fn workers_end_at_once_with_the_last_of_daemon_and_emulator() {
    // Whichever is first.
    for daemon_first in [true, false] {
        let mut daemon = Daemon::start();
        let mut emulator = Emulator::attach(&daemon);
        let _guests = [1, 2, 3].map(|channel| emulator.open(channel));
        let workers = workers(&daemon);
        if daemon_first {
            daemon.kill();
            assert!(workers.iter().all(|&worker| runs(worker)));
            drop(emulator);
        } else {
            stop(daemon.child.id());
            drop(emulator);
            daemon.kill();
        }
        within_a_second("a worker stays", || {
            !workers.iter().any(|&worker| runs(worker))
        });
    }
}

#[test]
fn what_a_machine_may_not_have_is_not_adopted() {
    let config = |folder: &Path, limits: &str| {
        let uid = rustix::process::getuid().as_raw();
        let uuid = uuid::Uuid::from_bytes(crate::emulator::this_machine());
        let text = format!("[[machine]]\nuuid = \"{uuid}\"\nuid = {uid}\n{limits}\n");
        let path = folder.join("config");
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    };
    let mut daemon = Daemon::with(|command, folder| {
        command.arg("--config").arg(folder.join("config"));
        config(folder, "");
    });
    let folder = daemon.path().parent().unwrap().to_owned();
    let mut emulator = Emulator::attach(&daemon);
    let mut guests = [0, 1, 2].map(|channel| emulator.open(channel));
    assert_eq!(emulator.add(1, 1, 4 << 20).0, 0);
    let all = workers(&daemon);
    // Two channels, and of 15 MiB those that have 4 and 8.
    config(&folder, "channels = 2\nmemory-mib = 15");
    restart(&mut daemon, &mut emulator);
    assert_eq!(emulator.adopt(0), 0, "{}", daemon.log());
    assert_eq!(emulator.adopt(1), 0, "{}", daemon.log());
    assert_eq!(emulator.adopt(2), errno(Errno::NOSPC));
    config(&folder, "memory-mib = 11");
    restart(&mut daemon, &mut emulator);
    assert_eq!(emulator.adopt(1), 0, "{}", daemon.log());
    // Its worker is gone by then.
    assert_eq!(emulator.adopt(0), errno(Errno::NOMEM), "{}", daemon.log());
    guests[1].echoes();
    // The third hears of no daemon.
    emulator.ways.retain(|(channel, _)| *channel == 1);
    within_a_second("a worker stays", || {
        all.iter().filter(|&&worker| runs(worker)).count() == 1
    });
}

/// An emulator that its guest has taken over, of the daemon's user, says anything.
#[test]
fn what_is_no_way_back_is_refused_and_nothing_stays() {
    let daemon = Daemon::start();
    let mut emulator = Emulator::attach(&daemon);
    thread::sleep(Duration::from_millis(200));
    let before = daemon.descriptors();
    let adopt = Message {
        kind: ADOPT,
        channel: 9,
        ..Message::default()
    };
    let file = tempfile::tempfile().unwrap();
    assert_eq!(emulator.ask(&adopt, &[file.as_fd()]), errno(Errno::INVAL));
    let (stream, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    assert_eq!(emulator.ask(&adopt, &[stream.as_fd()]), errno(Errno::INVAL));
    let far = Message {
        channel: 256,
        ..adopt
    };
    let (way, worker) = vgpu_packet::pair().unwrap();
    assert_eq!(emulator.ask(&far, &[way.as_fd()]), errno(Errno::INVAL));
    // Nobody answers: in time, whatever else there is.
    let start = Instant::now();
    emulator.send(&adopt, &[way.as_fd()]);
    emulator.open(1).echoes();
    assert_eq!(emulator.answer(&adopt), errno(Errno::TIMEDOUT));
    assert!(start.elapsed() < Duration::from_millis(2500));
    let (offer, sockets) = vgpu_packet::receive::<Message>(&worker, 1).unwrap();
    assert_eq!((offer.kind, offer.version), (ADOPT, VERSION));
    assert!(vgpu_poll::is_hung_up(&sockets[0]).unwrap(), "it is over");
    drop(sockets);
    // Whoever answers says what no worker says.
    for wrong in [
        adopt,
        Message {
            kind: vgpu_abi::link::DONE,
            of: ADOPT,
            ..adopt
        },
        Message {
            kind: vgpu_abi::link::HAS,
            region: 1,
            length: 4096,
            pieces: 1,
            ..adopt
        },
        Message {
            kind: vgpu_abi::link::HAS,
            length: 1,
            pieces: 1,
            ..adopt
        },
    ] {
        let (way, worker) = vgpu_packet::pair().unwrap();
        emulator.send(&adopt, &[way.as_fd()]);
        let (_, sockets) = vgpu_packet::receive::<Message>(&worker, 1).unwrap();
        vgpu_packet::send(&sockets[0], &wrong, &[]).unwrap();
        assert!(
            vgpu_packet::receive::<Message>(&worker, 0).is_err(),
            "it ends"
        );
        drop((worker, sockets));
        assert_ne!(emulator.answer(&adopt), 0, "{wrong:?}");
    }
    // A CLOSE while it is looked for.
    let (way, worker) = vgpu_packet::pair().unwrap();
    emulator.send(&adopt, &[way.as_fd()]);
    let (_, sockets) = vgpu_packet::receive::<Message>(&worker, 1).unwrap();
    let close = Message {
        kind: vgpu_abi::link::CLOSE,
        ..adopt
    };
    emulator.send(&close, &[]);
    assert!(vgpu_packet::receive::<Message>(&worker, 0).is_err());
    drop((worker, sockets, way));
    assert_eq!(emulator.answer(&adopt), errno(Errno::CANCELED));
    assert_eq!(emulator.answer(&close), 0);
    assert_eq!(emulator.ask(&RESET_ALL, &[]), 0);
    within_a_second("descriptors stay", || daemon.descriptors() == before);
}
