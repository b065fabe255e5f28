//! `vgpu smi` in a guest: what the machine has, and who uses it.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use vgpu_bed::daemon::{Daemon, within};
use vgpu_bed::machine::Machine;
use vgpu_bed::ping::VGPU;

use crate::bed::Bed;
use crate::common::{CUDA, Place, environment, run};

const MACHINE: &str = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";

/// How long a session may take to begin or to end in an emulated guest, on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A machine that has a quota.
fn daemon() -> Result<Daemon> {
    let user = rustix::process::getuid().as_raw();
    let machine =
        format!("[[machine]]\nuuid = \"{MACHINE}\"\nuid = {user}\ndevice-memory-mib = 64\n");
    let programs = environment("VGPU_STUB_CUDA_PROGRAMS")?;
    Daemon::of_machines(&programs.join("vgpud"), &machine)
}

/// What it says, with this exit code.
fn smi(machine: &mut Machine, code: u8) -> Result<Value> {
    let said = machine.guest()?.run(&format!("{VGPU} smi --json"))?;
    ensure!(said.status == code, "{said:?}");
    Ok(serde_json::from_str(&said.stdout)?)
}

/// The commands of the processes that it shows.
fn commands(said: &Value) -> Vec<&str> {
    let all = said["processes"].as_array().into_iter().flatten();
    all.filter_map(|it| it["command"].as_str()).collect()
}

#[test]
fn a_guest_sees_its_own_share() -> Result<()> {
    let (bed, mut daemon) = (Bed::new()?, daemon()?);
    let attached = daemon.arguments_of(MACHINE);
    let served = bed.serve(&attached.each_ref().map(String::as_str))?;
    let image = bed.image_with_driver()?;
    let place = Place::Q35;
    let mut machine = bed.machine(&served, place).image(&image).start()?;
    let refused = machine.guest()?.run(&format!("{VGPU} smi"))?;
    ensure!(refused.status == 2, "{refused:?}");
    ensure!(refused.stderr.contains("has no driver"), "{refused:?}");
    run(&mut machine, "insmod /bin/vgpu.ko")?;
    let said = smi(&mut machine, 0)?;
    ensure!(said["node"] == "/dev/vgpu0", "{said}");
    ensure!(said["address"] == place.address(), "{said}");
    ensure!(said["abi"] == "1.0" && said["host"] == "ready", "{said}");
    ensure!(said["memory"] == 64 << 20, "{said}");
    ensure!(said["memory_used"] == 0, "{said}");
    ensure!(said["utilisation"].is_null(), "{said}");
    ensure!(said["processes_all"] == true, "{said}");
    ensure!(commands(&said).is_empty(), "{said}");
    // A program that computes for ever.
    run(
        &mut machine,
        &format!("({CUDA} 0 >/dev/null 2>&1 & echo $! >/cuda.pid)"),
    )?;
    let mut said = Value::Null;
    within(LIMIT, || {
        said = smi(&mut machine, 0)?;
        Ok(said["memory_used"].as_u64() > Some(0))
    })?;
    ensure!(
        commands(&said).iter().any(|it| it.contains("cuda-add")),
        "{said}"
    );
    ensure!(commands(&said).len() == 1, "{said}");
    run(&mut machine, "kill -9 $(cat /cuda.pid)")?;
    within(LIMIT, || Ok(smi(&mut machine, 0)?["memory_used"] == 0))?;
    daemon.kill()?;
    let said = smi(&mut machine, 1)?;
    ensure!(said["host"] == "lost" && said["device"].is_null(), "{said}");
    machine.power_off()
}
