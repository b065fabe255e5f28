//! A session that does nothing costs nothing: of its program, its worker and its
//! daemon no thread wakes up, and no processor time passes.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

use common::{Running, adopt_orphans, kill};

/// How long a session is watched.
const WATCHED: Duration = Duration::from_secs(2);
/// How long all of it may take to come to rest.
const SETTLE: Duration = Duration::from_millis(500);

/// How often each thread of a process was switched to or from, and the
/// processor time that it has had, in nanoseconds.
fn cost(process: u32) -> BTreeMap<String, String> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    threads
        .map(|thread| {
            let thread = thread.unwrap().path();
            let status = fs::read_to_string(thread.join("status")).unwrap();
            let name = status.lines().next().unwrap_or_default();
            let switches = status.lines().filter(|line| line.contains("_switches"));
            let switches: Vec<_> = switches.collect();
            // Time on a processor, time in a queue, times that it was run.
            let time = fs::read_to_string(thread.join("schedstat")).unwrap();
            let value = format!("{name} {switches:?} {time}");
            (thread.display().to_string(), value)
        })
        .collect()
}

#[test]
fn an_idle_session_costs_nothing() {
    adopt_orphans();
    let mut running = Running::start(&["idle"]);
    running.wait_for("idle");
    thread::sleep(SETTLE);
    let (program, workers) = running.processes();
    let mut processes = workers;
    processes.extend(program);
    processes.push(running.daemon.id());
    assert_eq!(processes.len(), 3);
    let costs = || processes.iter().copied().map(cost).collect::<Vec<_>>();
    let before = costs();
    // The program's four threads and its first; the worker's two, and its engine's.
    assert!(
        before.iter().map(BTreeMap::len).sum::<usize>() >= 8,
        "{before:#?}"
    );
    thread::sleep(WATCHED);
    assert_eq!(costs(), before);
    kill(program.unwrap());
    running.nothing_stays();
}
