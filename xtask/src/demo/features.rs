//! `cargo xtask demo --features`: a guest shares its memory with a worker of `vgpud`, and tries it by `vgpu ping`.

use std::time::Duration;

use anyhow::Result;
use vgpu_bed::cache::Cache;
use vgpu_bed::machine::MachineType;
use vgpu_bed::ping::VGPU;
use vgpu_bed::steps::Steps;
use vgpu_bed::stock_qemu::StockQemu;
use vgpu_terminal::OrMend;

use super::logs::finish;
use crate::features::{Host, Programs};

/// What the guest tries: some seconds of each.
const ARGUMENTS: &str = "ping --bytes 256M";

/// How long it may take, on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs the demonstration.
pub(super) fn demonstrate(machine: MachineType, keep: bool, steps: &Steps) -> Result<()> {
    let cache = Cache::open()?;
    let programs = Programs::build("quick", steps)?;
    let qemu = match StockQemu::system() {
        Some(qemu) => qemu,
        None => StockQemu::fetch(&cache, steps)?,
    };
    let image = programs.image(&cache, steps)?;
    let mut host = steps
        .step(&format!("Boot a guest in QEMU {}", qemu.release), |step| {
            let mut host = Host::start(&programs, &qemu, machine, &image)?;
            step.say(&format!("logs in {}", host.machine.folder().display()));
            host.machine.guest()?.wait_ready()?;
            Ok(host)
        })
        .or_mend("See what QEMU and the guest say above; on a busy machine, try again later.")?;
    let shown = steps.step("Share memory of the guest with the host", |_| {
        let command = format!("{VGPU} {ARGUMENTS}");
        host.machine.guest()?.run_within(&command, LIMIT)
    });
    let shown = shown.and_then(|said| {
        println!("\nguest# vgpu {ARGUMENTS}\n{}{}", said.stdout, said.stderr);
        said.success()
            .map(drop)
            .or_mend("See what the line above says, and the log of vgpud.")?;
        host.machine.power_off()
    });
    if keep || shown.is_err() {
        host.server.keep_folder();
        eprintln!("logs of the device: {}", host.server.folder().display());
        eprint!("{}", host.daemon.log());
    }
    finish(&host.machine, shown, keep)
}
