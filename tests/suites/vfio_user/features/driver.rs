//! The guest's driver: CUDA programs of a guest compute on the host's engine.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Signal, kill_process};
use serde_json::Value;
use vgpu_bed::daemon::{Daemon, within};
use vgpu_bed::guest::GuestImage;
use vgpu_bed::kernel_module::KERNELS;
use vgpu_bed::machine::Machine;
use vgpu_bed::soak;

use crate::bed::{Bed, Served};
use crate::common::features::daemon_with;
use crate::common::{CUDA, Place, run};

/// How long a program may take that is emulated, and whose kernels are interpreted, on a busy machine.
const COMPUTED: Duration = Duration::from_secs(60);

/// How long something may take that nobody waits for.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// The engine that computes.
pub(super) const CPU: &str = "cpu";

/// How the guest starts its doctor.
const DOCTOR: &str = "ld-linux-x86-64.so.2 --library-path /bin /bin/vgpu doctor --json";

/// What the program says in the end.
const RIGHT: &str = "1000 sums are right on";

/// A machine with the driver, whose device a daemon with this engine serves.
fn start(bed: &Bed, daemon: &Daemon, place: Place) -> Result<(Served, Machine)> {
    boot(bed, daemon, place, &bed.image_with_driver()?)
}

fn boot(bed: &Bed, daemon: &Daemon, place: Place, image: &GuestImage) -> Result<(Served, Machine)> {
    let served = bed.serve(&daemon.arguments().each_ref().map(String::as_str))?;
    let mut machine = bed.machine(&served, place).image(image).start()?;
    run(&mut machine, "insmod /bin/vgpu.ko")?;
    Ok((served, machine))
}

pub(super) fn computes(machine: &mut Machine) -> Result<()> {
    let said = machine.guest()?.run_within(CUDA, COMPUTED)?.success()?;
    ensure!(said.contains(RIGHT), "{said}");
    Ok(())
}

/// Each has a worker of its own.
pub(super) fn two_compute_at_once(machine: &mut Machine) -> Result<()> {
    let both = format!("({CUDA} 20 >/one; echo $? >>/one) & {CUDA} 20 >/two; wait; cat /one /two");
    let said = machine.guest()?.run_within(&both, COMPUTED)?.success()?;
    ensure!(said.matches(RIGHT).count() == 2, "{said}");
    Ok(())
}

/// Starts a program that computes for ever, and waits until it does.
pub(super) fn begin(machine: &mut Machine, daemon: &Daemon) -> Result<()> {
    let command = format!(
        "rm -f /cuda.*; (({CUDA} 0 & echo $! >/cuda.pid; wait $!) >/cuda.out 2>&1; echo $? >/cuda.new; mv /cuda.new /cuda.rc) >/dev/null 2>&1 &"
    );
    run(machine, &command)?;
    within(COMPUTED, || Ok(daemon.workers()?.len() == 1)).context("no worker")
}

/// Waits until it has ended by an error, and gives what it said.
fn ended(machine: &mut Machine) -> Result<String> {
    let tries = LIMIT.as_millis() / 100;
    let wait = format!("for i in $(seq {tries}); do [ -e /cuda.rc ] && break; sleep 0.1; done");
    let said = run(machine, &format!("{wait}; cat /cuda.out; cat /cuda.rc"))?;
    let code = said.lines().last().and_then(|it| it.parse::<u8>().ok());
    let code = code.with_context(|| format!("the program goes on: {said}"))?;
    ensure!(code != 0, "{said}");
    Ok(said)
}

pub(super) fn no_worker(daemon: &Daemon) -> Result<()> {
    within(LIMIT, || Ok(daemon.workers()?.is_empty())).context("a worker is left")
}

/// One after another ends while a program computes: it is told, and what is left of the device serves the next.
pub(super) fn all_end(machine: &mut Machine, daemon: &mut Daemon, place: Place) -> Result<()> {
    let device = format!("/sys/bus/pci/devices/{}", place.address());
    let driver = "/sys/bus/pci/drivers/vgpu";
    // The program.
    begin(machine, daemon)?;
    run(machine, "kill -9 $(cat /cuda.pid)")?;
    no_worker(daemon)?;
    ended(machine)?;
    // Its worker.
    begin(machine, daemon)?;
    for worker in daemon.workers()? {
        kill_process(worker, Signal::KILL)?;
    }
    ended(machine)?;
    computes(machine)?;
    no_worker(daemon)?;
    // The device, by a function level reset.
    begin(machine, daemon)?;
    run(machine, &format!("echo 1 >{device}/reset"))?;
    no_worker(daemon)?;
    ended(machine)?;
    computes(machine)?;
    no_worker(daemon)?;
    // Its driver.
    begin(machine, daemon)?;
    let unbind = format!("echo {} >{driver}/unbind", place.address());
    run(machine, &unbind)?;
    no_worker(daemon)?;
    ended(machine)?;
    run(machine, "[ ! -e /dev/vgpu0 ]")?;
    let bind = format!("echo {} >{driver}/bind", place.address());
    run(machine, &bind)?;
    computes(machine)?;
    no_worker(daemon)?;
    // The daemon, and its workers with it.
    begin(machine, daemon)?;
    daemon.kill()?;
    ended(machine)?;
    returns(machine, daemon)
}

/// A daemon comes again, and serves the driver that is there.
pub(super) fn returns(machine: &mut Machine, daemon: &mut Daemon) -> Result<()> {
    daemon.start_again(CPU)?;
    within(LIMIT, || Ok(computes(machine).is_ok())).context("no daemon again")?;
    no_worker(daemon)
}

/// The driver's messages that are of an error.
fn kernel_is_content(machine: &mut Machine) -> Result<()> {
    let said = run(machine, "dmesg")?;
    for bad in ["BUG:", "WARNING:", "Oops", "does not give", "no answer"] {
        ensure!(!said.contains(bad), "{said}");
    }
    Ok(())
}

#[test]
fn programs_compute_on_the_hosts_engine() -> Result<()> {
    let (bed, daemon) = (Bed::new()?, daemon_with(CPU)?);
    let (_served, mut machine) = start(&bed, &daemon, Place::Q35)?;
    computes(&mut machine)?;
    no_worker(&daemon)?;
    two_compute_at_once(&mut machine)?;
    no_worker(&daemon)?;
    kernel_is_content(&mut machine)?;
    machine.power_off()
}

/// Whatever ends a program, its worker or the device at work: nobody keeps memory, and the next program computes.
#[test]
fn ends_of_programs_workers_and_the_device() -> Result<()> {
    let (bed, mut daemon) = (Bed::new()?, daemon_with(CPU)?);
    let place = Place::Pc;
    let (_served, mut machine) = start(&bed, &daemon, place)?;
    computes(&mut machine)?;
    no_worker(&daemon)?;
    for _ in 0..soak::times() {
        all_end(&mut machine, &mut daemon, place)?;
    }
    run(&mut machine, "rmmod vgpu")?;
    run(&mut machine, "insmod /bin/vgpu.ko")?;
    computes(&mut machine)?;
    kernel_is_content(&mut machine)?;
    machine.power_off()
}

/// What there is not is said.
#[test]
fn what_is_missing_is_said() -> Result<()> {
    let (bed, mut daemon) = (Bed::new()?, daemon_with("null")?);
    let (_served, mut machine) = start(&bed, &daemon, Place::Q35)?;
    let fails = |machine: &mut Machine| -> Result<String> {
        let said = machine.guest()?.run_within(CUDA, COMPUTED)?;
        ensure!(said.status != 0, "{}", said.stdout);
        Ok(said.stderr)
    };
    daemon.kill()?;
    let said = fails(&mut machine)?;
    ensure!(
        said.contains("host gives no sessions now (STATE 3)"),
        "{said}"
    );
    run(&mut machine, "rmmod vgpu")?;
    let said = fails(&mut machine)?;
    ensure!(
        said.contains("0000:00:05.0 has no driver: load it with `modprobe vgpu`"),
        "{said}"
    );
    machine.power_off()
}

/// `vgpu doctor` in the guest: all that a device and its host can have wrong, one after another.
#[test]
fn the_doctor_finds_each_fault_and_nothing_else() -> Result<()> {
    let (bed, mut daemon) = (Bed::new()?, daemon_with("null")?);
    let place = Place::Q35;
    let (_served, mut machine) = start(&bed, &daemon, place)?;
    let (address, driver) = (place.address(), "/sys/bus/pci/drivers/vgpu");
    // The image has our library in no folder of the linker's.
    let faults = |machine: &mut Machine| -> Result<Vec<String>> {
        let said = machine.guest()?.run_within(DOCTOR, COMPUTED)?;
        let report: Value = serde_json::from_str(&said.stdout).context(said.stderr)?;
        let points = report["points"].as_array().into_iter().flatten();
        let found = points.filter(|it| it["verdict"] == "fault" && it["id"] != "library");
        println!("{:#?}", found.clone().collect::<Vec<_>>());
        Ok(found.map(|it| it["id"].to_string()).collect())
    };
    let expect = |machine: &mut Machine, id: &str| -> Result<()> {
        let (found, expected) = (faults(machine)?, format!("{id:?}"));
        ensure!(found == [expected], "not {id} alone: {found:?}");
        Ok(())
    };
    let well = |machine: &mut Machine| Ok::<_, anyhow::Error>(faults(machine)?.is_empty());
    ensure!(well(&mut machine)?, "not well");
    no_worker(&daemon)?;
    daemon.kill()?;
    within(LIMIT, || Ok(expect(&mut machine, "host").is_ok())).context("host")?;
    daemon.start_again("null")?;
    within(LIMIT, || well(&mut machine)).context("no daemon again")?;
    run(&mut machine, &format!("echo {address} >{driver}/unbind"))?;
    expect(&mut machine, "bound")?;
    run(&mut machine, &format!("echo {address} >{driver}/bind"))?;
    ensure!(well(&mut machine)?, "not well, bound again");
    run(&mut machine, "mv /dev/vgpu0 /dev/other")?;
    expect(&mut machine, "node")?;
    run(&mut machine, "mv /dev/other /dev/vgpu0")?;
    run(&mut machine, "rmmod vgpu")?;
    expect(&mut machine, "module")?;
    machine.power_off()
}

/// Computes, before and after the device was reset and bound anew, on each kernel that boots here.
#[test]
#[ignore = "fetches a compiler for each release: cargo xtask soak driver-kernels"]
fn on_kernels_of_other_releases() -> Result<()> {
    let (bed, daemon) = (Bed::new()?, daemon_with(CPU)?);
    let place = Place::Q35;
    // Without backports, whose kernels apt has under names of their own.
    for (release, headers) in KERNELS.iter().filter(|(name, _)| !name.contains('-')) {
        let image = bed.image_with_driver_on(release, headers)?;
        let (_served, mut machine) = boot(&bed, &daemon, place, &image)?;
        println!("Linux {}", image.release());
        computes(&mut machine)?;
        let address = place.address();
        for act in [
            format!("echo 1 >/sys/bus/pci/devices/{address}/reset"),
            format!("echo {address} >/sys/bus/pci/drivers/vgpu/unbind"),
            format!("echo {address} >/sys/bus/pci/drivers/vgpu/bind"),
        ] {
            run(&mut machine, &act)?;
        }
        computes(&mut machine)?;
        no_worker(&daemon)?;
        kernel_is_content(&mut machine)?;
        machine.power_off()?;
    }
    Ok(())
}
