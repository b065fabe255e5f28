//! The hostile guest, and what it must not cost the host.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Pid;
use vgpu_bed::machine::Machine;
use vgpu_bed::soak;

use super::{Place, run};

/// How long each attack lasts, in seconds.
const SECONDS: u64 = 2;
/// Bytes of logs that a guest may cause in that time, and does in minutes.
pub(crate) const LOG_LIMIT: usize = 16 << 10;
/// What QEMU may have more after an attack than after the one before, once it has levelled off: 1 MiB was seen. Before
/// that, on a busy machine, there may be steps of 50 MiB together, of what QEMU frees late.
const GROWTH_KIB: u64 = 2 << 10;
/// How many attacks it may take to get there. What leaks does so in each of them.
const ATTACKS: usize = 12;
/// How QEMU emulates the processors of an attacker.
///
/// In turn: with a thread for each, QEMU 11.1.3 dies (a null pointer in TCG) when one of them moves a BAR that another
/// accesses, whatever device it is; its own pci-testdev will do. Room for translated code, so that memory does not grow by
/// more of it.
pub(crate) const ATTACKED: &str = "thread=single,tb-size=32";

/// Attacks the device from all of the guest's processors until QEMU does not grow any more. The device is afterwards as it
/// was.
pub(crate) fn attack(machine: &mut Machine, place: Place) -> Result<()> {
    let seconds = SECONDS * u64::from(soak::times());
    let address = place.address();
    let mut one = || -> Result<u64> {
        let command = format!("vgpu-hostile {address} --seconds {seconds}");
        let limit = Duration::from_secs(60 + 2 * seconds);
        let done = machine.guest()?.run_within(&command, limit)?.success()?;
        println!("{done}");
        run(machine, "vgpu-stub check")?;
        memory_kib(machine.pid())
    };
    let mut memory = vec![one()?];
    while !levelled_off(&memory) {
        ensure!(
            memory.len() < ATTACKS,
            "QEMU grows with each attack: {memory:?} KiB"
        );
        memory.push(one()?);
    }
    println!("QEMU's own memory: {memory:?} KiB");

    // Linux forgets all that it knew of the device, and finds it.
    let again =
        format!("echo 1 >/sys/bus/pci/devices/{address}/remove; echo 1 >/sys/bus/pci/rescan");
    run(machine, &again)?;
    run(machine, "vgpu-stub check")?;
    let log = machine.log();
    println!("QEMU's log: {} bytes", log.len());
    ensure!(log.len() < LOG_LIMIT, "QEMU logs too much:\n{log}");
    Ok(())
}

/// Whether the last of the attacks cost QEMU next to no memory.
fn levelled_off(memory: &[u64]) -> bool {
    matches!(memory, [.., before, after] if *after < before + GROWTH_KIB)
}

/// What a process has in memory that is in no file, in KiB. A guest's memory is in a file where it is shared.
pub(crate) fn memory_kib(pid: Pid) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let anonymous = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = anonymous.and_then(|rest| rest.trim().strip_suffix(" kB"));
    Ok(kib.context("no RssAnon")?.trim().parse()?)
}

/// The processor time that a process has used, in ticks of the clock.
pub(crate) fn processor_time(pid: Pid) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(") ").context("no name")?;
    let fields: Vec<_> = fields.split(' ').collect();
    let tick = |at: usize| {
        fields
            .get(at)
            .context("no time")?
            .parse::<u64>()
            .context("no time")
    };
    Ok(tick(11)? + tick(12)?)
}
