//! What the server takes: system calls, memory, time to start.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use vgpu_abi::bar0;
use vgpu_abi::features::driver;
use vgpu_bed::host_packages::{Package, ensure as install};
use vgpu_bed::server::Server;

use crate::bed::{Bed, Served};
use crate::common::{HOME, Place, QtestTarget};

/// A server with a VM whose BAR0 is in place.
fn connected(bed: &Bed, arguments: &[&str]) -> Result<(Served, QtestTarget)> {
    let served = bed.serve(arguments)?;
    let machine = bed.machine(&served, Place::Q35).qtest().start()?;
    Ok((served, QtestTarget::new(machine, Place::Q35)?))
}

/// strace on all threads of a process.
struct Trace {
    strace: Child,
    /// Kept open for what else it says.
    _stderr: BufReader<ChildStderr>,
}

impl Trace {
    fn attach(pid: Pid, output: &std::path::Path) -> Result<Self> {
        let mut strace = Command::new("strace")
            .args(["-f", "-p", &pid.as_raw_pid().to_string(), "-o"])
            .arg(output)
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run strace")?;
        // It says so once it has all threads.
        let mut said = String::new();
        let mut stderr = BufReader::new(strace.stderr.take().context("no stderr")?);
        stderr.read_line(&mut said)?;
        ensure!(said.contains("attached"), "strace says {said:?}");
        Ok(Self {
            strace,
            _stderr: stderr,
        })
    }

    fn detach(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.strace), Signal::INT)?;
        self.strace.wait()?;
        Ok(())
    }
}

/// How often each system call was entered. Lines are `PID name(…`, and
/// `PID <... name resumed>…` for the rest of one that was interrupted.
fn calls(log: &str) -> BTreeMap<&str, usize> {
    let mut calls = BTreeMap::new();
    for line in log.lines() {
        let (_, call) = line.trim_start().split_once(' ').unwrap_or_default();
        if let Some((name, _)) = call.trim_start().split_once('(')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        {
            *calls.entry(name).or_default() += 1;
        }
    }
    calls
}

/// Does `access` many times, and returns how often the server received and
/// sent. It makes no other system call.
fn receives_and_sends(
    arguments: &[&str],
    accesses: usize,
    access: impl Fn(&mut QtestTarget) -> Result<()>,
) -> Result<(usize, usize)> {
    let bed = Bed::new()?;
    install(&[Package::program("strace", "strace")], bed.steps())?;
    let (served, mut target) = connected(&bed, arguments)?;
    access(&mut target)?;
    let output = served.server.folder().join("strace.log");
    let trace = Trace::attach(served.server.pid(), &output)?;
    for _ in 0..accesses {
        access(&mut target)?;
    }
    trace.detach()?;
    let log = fs::read_to_string(&output)?;
    let mut calls = calls(&log);
    println!("{accesses} accesses: {calls:?}");
    let mut take = |name| calls.remove(name).unwrap_or_default();
    let counts = (take("recvmsg"), take("sendto"));
    // What the other threads wait in all the time.
    let waiting = ["ppoll", "futex", "restart_syscall"];
    for (name, count) in calls {
        assert!(waiting.contains(&name) && count <= 3, "{name}: {count}");
    }
    Ok(counts)
}

#[test]
fn a_bar0_read_is_one_receive_and_one_send() -> Result<()> {
    const READS: usize = 500;
    let (receives, sends) = receives_and_sends(&[], READS, |target| {
        let value = target.machine.qtest()?.memory_read(HOME.into(), 4)?;
        ensure!(value == 0, "{value:#x}");
        Ok(())
    })?;
    assert_eq!(sends, READS);
    // The one that waits at the beginning, and the one at the end.
    assert!((READS..=READS + 1).contains(&receives), "{receives}");
    Ok(())
}

/// QEMU waits for no answer to a write, so several may come at once.
#[test]
fn a_bar0_write_is_at_most_one_receive() -> Result<()> {
    const WRITES: usize = 500;
    let (receives, sends) = receives_and_sends(&[], WRITES, |target| {
        target.machine.qtest()?.memory_write(HOME.into(), 4, 1)
    })?;
    assert_eq!(sends, 0);
    assert!((1..=WRITES + 1).contains(&receives), "{receives}");
    Ok(())
}

/// Nor does one that rings nothing where the device has features, and a driver runs.
#[test]
fn with_features_it_is_no_more() -> Result<()> {
    const READS: usize = 300;
    let features = ["--device", "features=on"];
    let (receives, sends) = receives_and_sends(&features, READS, |target| {
        let qtest = target.machine.qtest()?;
        let at = |offset: u64| u64::from(HOME) + offset;
        for step in [driver::PRESENT, driver::SETTLED, driver::RUN] {
            qtest.memory_write(at(bar0::DRIVER), 4, step.into())?;
        }
        for (offset, size) in [
            (bar0::REQUEST_ID, 4),
            (bar0::DATA.start, 8),
            (bar0::MSIX_TABLE.start, 8),
            // No doorbell: there is no such channel.
            (bar0::DOORBELLS.end - 4, 4),
        ] {
            qtest.memory_write(at(offset), size, 1)?;
        }
        let now = qtest.memory_read(at(bar0::DRIVER), 4)?;
        ensure!(now == u64::from(driver::RUN), "DRIVER is {now}");
        Ok(())
    })?;
    assert_eq!(sends, READS);
    assert!((READS..=8 * READS + 1).contains(&receives), "{receives}");
    Ok(())
}

/// A process's proportional set size in KiB.
fn memory(pid: Pid) -> Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let kib = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .context("no Pss")?;
    Ok(kib.trim().parse()?)
}

#[test]
fn it_holds_under_3_mib_with_its_guard() -> Result<()> {
    const LIMIT: u64 = 3 * 1024;
    let bed = Bed::new()?;
    let (served, mut target) = connected(&bed, &[])?;
    served.counters()?;
    for _ in 0..100 {
        target.machine.qtest()?.memory_read(HOME.into(), 4)?;
    }
    let server = memory(served.server.pid())?;
    let guard = memory(served.server.guard()?)?;
    println!("proportional set size: {server} KiB, and {guard} KiB of its guard");
    assert!(server + guard < LIMIT, "{server} KiB and {guard} KiB");
    Ok(())
}

/// The fastest start counts: others wait for what else the computer does.
#[test]
fn it_can_be_ready_within_10_ms() -> Result<()> {
    const STARTS: usize = 20;
    let bed = Bed::new()?;
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let started = Instant::now();
        let mut server = Server::start(&bed.program, [""; 0])?;
        times.push(started.elapsed());
        server.stop()?;
    }
    let fastest = times.iter().min().context("no start")?;
    println!("ready after {fastest:?} (fastest of {STARTS})");
    assert!(*fastest < Duration::from_millis(10), "{times:?}");
    Ok(())
}
