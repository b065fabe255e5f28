//! `vgpu doctor` in the guest.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use vgpu_bed::daemon::within;
use vgpu_bed::machine::Machine;

use super::{COMPUTED, LIMIT, no_worker, start};
use crate::bed::Bed;
use crate::common::features::daemon_with;
use crate::common::{Place, run};

/// How the guest starts its doctor.
const DOCTOR: &str = "ld-linux-x86-64.so.2 --library-path /bin /bin/vgpu doctor --json";

/// All that a device and its host can have wrong, one after another.
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
