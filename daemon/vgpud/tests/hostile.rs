//! Programs that write into their shared memory what they like, while a worker
//! reads it: they end their own session, and nothing else.

mod common;

use std::fs;
use std::thread;
use std::time::Duration;

use common::{Running, adopt_orphans, eventually, kill};
use vgpu_bed::soak;

/// Hostile sessions, where the test is no soak.
const SESSIONS: u32 = 12;
/// KiB that a process may have grown by: what its C library keeps.
const GROWTH: u64 = 2048;
/// Bytes that the workers' logs may have together at once, and more for each
/// second: see `vgpud/src/log.rs`.
const LOG: u64 = 64 << 10;

/// KiB of memory that are a process's own.
fn memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let value = line.unwrap().split_whitespace().nth(1).unwrap();
    value.parse().unwrap()
}

#[test]
fn hostile_programs_end_their_own_sessions() {
    adopt_orphans();
    let count = SESSIONS * soak::times();
    let start = std::time::Instant::now();
    let mut running = Running::start(&["beside", &count.to_string()]);
    running.wait_for("warm");
    let daemon = running.daemon.id();
    let (program, workers) = running.processes();
    // The first one is the neighbour's.
    let neighbour = *workers.iter().min().unwrap();
    let before = [daemon, neighbour].map(memory);
    let broken = running.wait_for("broken");
    println!("{broken} of {count} sessions were ended by their workers");
    let rounds = running.wait_for("over");
    println!("{rounds} rounds of the neighbour");
    assert!(rounds.parse::<u64>().unwrap() > 10);
    assert!(
        broken.parse::<u32>().unwrap() >= count / 4,
        "nothing was hostile"
    );
    eventually("a hostile session's worker stays", || {
        running.processes().1 == [neighbour]
    });
    thread::sleep(Duration::from_millis(50));
    let after = [daemon, neighbour].map(memory);
    println!("KiB before {before:?}, after {after:?}");
    for (before, after) in before.into_iter().zip(after) {
        assert!(after <= before + GROWTH, "{before} KiB grew to {after}");
    }
    let logged = running.logged();
    println!("{logged} bytes of log");
    assert!(
        logged <= LOG + (start.elapsed().as_secs() + 1) * (4 << 10),
        "{logged} bytes"
    );
    kill(program.unwrap());
    running.nothing_stays();
}
