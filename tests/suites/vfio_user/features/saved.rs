//! A machine that is saved and loaded in the middle of a stream. A stock QEMU has no migration by vfio-user, and does not refuse
//! it either: channels do not travel, and nothing is left of them.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use vgpu_bed::daemon::within;
use vgpu_bed::machine::Machine;

use super::start;
use crate::bed::Bed;
use crate::common::features::ends::{GIVEN_UP, stream, stream_fails};
use crate::common::features::{LITTLE, daemon, ping};
use crate::common::{Place, run};

/// How long a machine may take to be loaded, on a busy machine.
const LOADED: Duration = Duration::from_secs(60);

/// Saves a machine to a file, and gives how that ended.
fn save(machine: &mut Machine, file: &str) -> Result<String> {
    let uri = format!("exec:cat >{file}");
    machine.qmp().execute("migrate", json!({ "uri": uri }))?;
    let mut end = String::new();
    let ended = || {
        let status = machine.qmp().execute("query-migrate", Value::Null)?;
        status["status"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut end);
        Ok(["completed", "failed", "cancelled"].contains(&end.as_str()))
    };
    within(LOADED, ended).context("it is not saved")?;
    Ok(end)
}

/// Saves the machine to a file and ends it, and starts it from there beside a new server.
#[test]
fn in_the_middle_of_a_stream() -> Result<()> {
    let (bed, daemon, place) = (Bed::new()?, daemon()?, Place::Q35);
    let (served, mut machine) = start(&bed, &daemon, place)?;
    let streaming = stream(&mut machine, &daemon)?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("machine").display().to_string();
    // No reason for QEMU to refuse it.
    let end = save(&mut machine, &file)?;
    ensure!(end == "completed", "the migration {end}");
    drop(machine);
    let server = Some(served.server.pid());
    within(GIVEN_UP, || {
        Ok(daemon.workers()?.is_empty() && streaming.ram.is_only_with(None, server))
    })
    .context("somebody has the guest's memory")?;

    let machine = bed.machine(&served, place);
    let machine = machine.image(&bed.image_with_cuda()?);
    let mut machine = machine.incoming(&format!("exec:cat {file}")).start()?;
    machine.qmp().wait_event("RESUME", LOADED)?;
    let said = stream_fails(&mut machine)?;
    if !said.contains("the device was reset") && !said.contains("it reads all ones") {
        bail!("{said}");
    }
    ensure!(daemon.workers()?.is_empty(), "a channel has travelled");
    // QEMU has not loaded where BAR0 was, so the guest has to find the device anew.
    let address = place.address();
    let anew =
        format!("echo 1 >/sys/bus/pci/devices/{address}/remove; echo 1 >/sys/bus/pci/rescan");
    run(&mut machine, &anew)?;
    ping(&mut machine, LITTLE)?;
    machine.power_off()
}
