//! How often somebody wakes up: who does nothing should not.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Pid;

use crate::machine::Machine;

/// What a guest's device interrupts it for, and its program.
const INTERRUPTS: &str = "interrupts";
const PROGRAM: &str = "program";

/// What of `/proc/PID/status` says that a thread slept, or was taken off a processor: it woke as often.
const SWITCHES: [&str; 2] = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"];

/// What the driver's names in `/proc/interrupts` begin with.
const DRIVER: &str = "vgpu";

/// How often each was woken, by what it is.
#[derive(Debug, Clone)]
pub struct Woken {
    /// Before it was watched.
    pub begun: BTreeMap<String, u64>,
    /// While it was.
    pub times: BTreeMap<String, u64>,
}

/// Watches processes of this machine, and in the guest a program and the interrupts of its driver, for a while.
///
/// # Errors
/// When one of them is gone.
pub fn watch(
    machine: &mut Machine,
    program: u32,
    processes: &[(&str, Pid)],
    time: Duration,
) -> Result<Woken> {
    let mut begun = in_guest(machine, program)?;
    begun.extend(here(processes)?);
    thread::sleep(time);
    let mut after = here(processes)?;
    after.extend(in_guest(machine, program)?);
    let since = begun.iter().map(|(name, then)| {
        let now = after.get(name).copied().unwrap_or_default();
        let times = now.checked_sub(*then);
        Ok((name.clone(), times.context("a thread has ended")?))
    });
    Ok(Woken {
        times: since.collect::<Result<_>>()?,
        begun,
    })
}

fn here(processes: &[(&str, Pid)]) -> Result<BTreeMap<String, u64>> {
    let each = processes.iter().map(|(name, pid)| {
        let mut all = 0;
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let status = fs::read_to_string(thread?.path().join("status"))?;
            all += switches(&status)?;
        }
        Ok(((*name).to_owned(), all))
    });
    each.collect()
}

fn in_guest(machine: &mut Machine, program: u32) -> Result<BTreeMap<String, u64>> {
    let mut ask = |command: &str| machine.guest()?.run(command)?.success();
    let status = ask(&format!("cat /proc/{program}/task/*/status"))?;
    let counted = [
        (INTERRUPTS, interrupts(&ask("cat /proc/interrupts")?)?),
        (PROGRAM, switches(&status)?),
    ];
    Ok(counted.map(|(name, times)| (name.to_owned(), times)).into())
}

/// The switches of all threads in a text of their files.
fn switches(status: &str) -> Result<u64> {
    let counts = status.lines().filter_map(|line| {
        let count = SWITCHES.iter().find_map(|name| line.strip_prefix(name));
        Some(count?.trim().parse::<u64>())
    });
    let counts = counts.collect::<Result<Vec<_>, _>>()?;
    match counts.len() {
        0 => bail!("the kernel counts no switches"),
        _ => Ok(counts.iter().sum()),
    }
}

/// The interrupts of the driver, of all processors.
fn interrupts(text: &str) -> Result<u64> {
    let is_ours = |line: &&str| line.split_whitespace().any(|it| it.starts_with(DRIVER));
    let rows = text.lines().filter(is_ours);
    // "24:  3  0  PCI-MSIX-0000:00:05.0  0-edge  vgpu0"; a count for each processor.
    let counts = rows.map(|row| {
        let words = row.split_whitespace().skip(1);
        words.map_while(|word| word.parse::<u64>().ok()).sum()
    });
    let counts: Vec<u64> = counts.collect();
    match counts.len() {
        0 => bail!("the driver has no interrupt"),
        _ => Ok(counts.iter().sum()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_counts_is_added_up() {
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t3\nnonvoluntary_ctxt_switches:\t4\n";
        assert_eq!(switches(&status.repeat(2)).unwrap(), 14);
        assert!(switches("Name:\tx\n").is_err());
        let text = "           CPU0       CPU1\n  4:   9   0  IO-APIC  4-edge  ttyS0\n \
                    24:   3   1  PCI-MSIX-0000:00:05.0  0-edge  vgpu0\n \
                    25:  10   0  PCI-MSIX-0000:00:05.0  1-edge  vgpu0\n";
        assert_eq!(interrupts(text).unwrap(), 14);
        assert!(interrupts("  4:   9  IO-APIC  4-edge  ttyS0\n").is_err());
    }
}
